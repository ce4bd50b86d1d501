// A process of its own for work on what strangers wrote: decompression and tar. It has
// no_new_privs, dies with us, and holds only the capabilities that it is given, in a user namespace
// of its own where it is given one; its answer comes back through a pipe, as strings.
//
//   auto process = ConfinedProcess::start({CAP_CHOWN}, [&]() -> Result<Records> { ... });
//   Result<Records> records = process->finish();
//
// The caller must have a single thread at start(): the child goes on in a copy of its memory.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

using Records = std::vector<std::string>;

class ConfinedProcess {
 public:
  // `capabilities` are kept where the caller has them; nothing is gained. With a user namespace the
  // process is its root, and they are good for what belongs to that alone.
  static Result<ConfinedProcess> start(const std::vector<int>& capabilities,
                                       const std::function<Result<Records>()>& work,
                                       BorrowedFd user_namespace = BorrowedFd());

  ConfinedProcess(ConfinedProcess&& other) noexcept;
  ConfinedProcess& operator=(ConfinedProcess&&) = delete;
  ~ConfinedProcess();  // kills and reaps it, unless it was finished

  // Becomes readable when there is something to wait for no longer: an answer, or its end.
  BorrowedFd answer() const { return answer_; }

  // Waits for the end. The work's own result; sandbox_lost where the process died without one.
  Result<Records> finish();

 private:
  ConfinedProcess(pid_t pid, UniqueFd answer) : pid_(pid), answer_(std::move(answer)) {}

  pid_t pid_ = -1;
  UniqueFd answer_;
};

// Whether this process holds a capability (effective).
bool has_capability(int capability);

}  // namespace cove
