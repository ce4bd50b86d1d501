// A process of its own for work on what strangers wrote: decompression and tar. It dies with us, and
// is kept from all that the work does not need (confinement.h); its answer comes back through a
// pipe, as strings.
//
//   Needs needs;
//   needs.keep = {blob.number()};
//   needs.directory = layer;
//   needs.writes = Writes::tree;
//   auto process = ConfinedProcess::start(needs, [&]() -> Result<Records> { ... });
//   Result<Records> records = process->finish();
//
// The caller must have a single thread at start(): the child goes on in a copy of its memory. So the
// work can read what the caller knew; it cannot tell it to anybody but the caller, and the files
// that it writes.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "cove/result.h"
#include "images/unpack/confinement.h"
#include "runtime/kernel/fd.h"

namespace cove {

using Records = std::vector<std::string>;

class ConfinedProcess {
 public:
  // Landlock, a root of its own and the filter are used where the host has them (missing()); the
  // others must hold: setup_failed at finish(). The work's own descriptors must be in the
  // confinement.
  static Result<ConfinedProcess> start(const Needs& needs,
                                       const std::function<Result<Records>()>& work);

  ConfinedProcess(ConfinedProcess&& other) noexcept;
  ConfinedProcess& operator=(ConfinedProcess&&) = delete;
  ~ConfinedProcess();  // kills and reaps it, unless it was finished

  // Becomes readable when there is something to wait for no longer: an answer, or its end.
  BorrowedFd answer() const { return answer_; }
  // Whether it is. Who has read to the end of a pipe that only the process wrote to finds it so.
  bool has_answered() const;

  // Waits for the end. The work's own result; resource_exhausted where it needed more memory than it
  // may have; sandbox_lost where the process died without a result.
  Result<Records> finish();
  // After finish(): what this host refused it, "no filter of system calls".
  const std::vector<std::string>& missing() const { return missing_; }

 private:
  ConfinedProcess(pid_t pid, UniqueFd answer) : pid_(pid), answer_(std::move(answer)) {}
  void remember_missing(char told);

  pid_t pid_ = -1;
  UniqueFd answer_;
  std::vector<std::string> missing_;
};

}  // namespace cove
