// SeccompMode::trace, on the supervisor's side: lets every call through that the program's filter
// would have refused, and counts them.
//
// What the program can make of this is bounded: so many different calls are told apart, all others
// are one number; and a round of the supervisor's loop answers so many of them, then the other
// sandboxes and the clocks have their turn.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "cove/sandbox_result.h"
#include "runtime/supervise/watched_fd.h"

namespace cove {

// How often what was called.
class CallCounts {
 public:
  static constexpr std::size_t kMostCalls = 512;

  // `answer`: the filter's value (SECCOMP_RET_*, with its data).
  void add(const seccomp_data& call, std::uint32_t answer);

  // The most frequent first, then by name.
  std::vector<TracedCall> calls() const;
  // Those that came when kMostCalls were there already.
  std::uint64_t others() const { return others_; }

 private:
  using Kind = std::tuple<std::uint32_t, int, std::uint32_t>;  // architecture, number, answer
  std::map<Kind, std::uint64_t> counts_;
  std::uint64_t others_ = 0;
};

struct TraceInputs {
  std::string name;                 // of the filter
  std::vector<sock_filter> filter;  // as it would be enforced
  UniqueFd link;                    // over which the listener comes (init/traced_filter.h)
};

class CallTracer {
 public:
  explicit CallTracer(TraceInputs inputs);

  // What to poll for EPOLLIN: the link, then the listener; none once no more can come.
  BorrowedFd source() const { return listener_ ? listener_ : link_; }
  void on_event();
  // No call comes any more that would have to be answered.
  void stop();
  // What was given up is in no epoll set any more.
  void close_given_up();

  SeccompTrace trace() const;

 private:
  void take_listener();
  bool is_asked();
  void answer_one();
  bool send_answer(const seccomp_notif_resp& answer);

  const std::string name_;
  const std::vector<sock_filter> filter_;
  WatchedFd link_, listener_;
  // Of the sizes that this kernel has (SECCOMP_GET_NOTIF_SIZES), which may be more than we know;
  // words, for their alignment.
  std::vector<std::uint64_t> question_, answer_;
  CallCounts counts_;
};

}  // namespace cove
