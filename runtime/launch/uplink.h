// A sandbox's way out, from its launch to its end, as the launcher sees to it between other things.
//
//   init                               launcher                      pasta
//    | --- network + namespaces ------> |                              |   over their own socket, the link
//    |                                  | --- start -----------------> |
//    |  (builds its root meanwhile)     | <-- ready ------------------ |   the interface is up
//    |                                  | --- filter on its tap        |
//    | <-- connected ------------------ |                              |   the program may start
//    or  <-- failed ------------------- |                              |   init reports it, and ends
//
// If pasta ends early, the sandbox goes on without a network; if the sandbox ends, pasta is killed.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cove/plan.h"
#include "cove/result.h"
#include "runtime/kernel/fd.h"
#include "runtime/network/pasta.h"
#include "runtime/state/belongings.h"

namespace cove {

class Uplink {
 public:
  // `link`: the launcher's end. `group`: of cgroup v2, that pasta starts in; may be none.
  Uplink(const Plan& plan, const Belongings& belongings, UniqueFd link, UniqueFd group);

  // What is to be polled for input; none once it is over.
  BorrowedFd awaited() const;
  // Call when that is readable.
  void advance(const HostPlace& host);

  // CLOCK_MONOTONIC in nanoseconds, by which pasta has to be ready.
  std::optional<std::uint64_t> deadline() const;
  void on_deadline();

  // The sandbox's init is gone.
  void end();
  bool is_over() const { return !link_ && !pasta_; }

 private:
  Result<void> start(const HostPlace& host);
  Result<void> connect(const HostPlace& host);
  void give_up(const Error& error);

  UplinkPlan plan_;
  std::uint32_t uid_ = 0, gid_ = 0;
  std::optional<std::uint32_t> outer_uid_;
  UniqueFd link_;  // until the program may start
  UniqueFd group_;
  std::optional<Pasta> pasta_;
  std::uint64_t deadline_ = 0;
};

}  // namespace cove
