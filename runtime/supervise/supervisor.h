// The supervisor of all sandboxes of an engine: one loop that waits for their events and clocks.
//
// In a library it runs in a thread of its own, with all signals blocked; in the `cove` command the
// loop runs inside Sandbox::wait. Ticket is what the two sides share: the caller's view of one
// sandbox.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "cove/result.h"
#include "cove/sandbox_result.h"
#include "runtime/kernel/fd.h"
#include "runtime/supervise/supervision.h"

namespace cove {

struct Ticket {
  std::string id;
  UniqueFd control;  // a duplicate, for signals; the supervisor shuts the socket down at the end
  std::mutex mutex;
  std::condition_variable changed;
  bool ended = false;  // `result` is there
  SandboxResult result;
};

class Supervisor {
 public:
  enum class Mode { thread, inline_loop };
  static Result<std::shared_ptr<Supervisor>> create(Mode mode);
  ~Supervisor();

  std::shared_ptr<Ticket> add(std::unique_ptr<Supervision> supervision);
  void end(const std::string& id, Cause reason);
  // Blocks until the ticket's sandbox has ended; runs the loop meanwhile where there is no thread.
  void wait_ended(Ticket& ticket);
  // After wait_ended: the caller has its result, and what is left of the sandbox may go.
  void let_go(const Ticket& ticket);
  // Ends every sandbox and waits, for `patience`, until each has its result.
  void end_all(std::chrono::milliseconds patience);

 private:
  struct Entry;
  explicit Supervisor(Mode mode);
  void run_thread();
  // One round: waits at most until `until` (CLOCK_MONOTONIC nanoseconds; 0: without end).
  void run_once(std::uint64_t until);
  void take_requests();
  void sync(std::uint64_t serial, Entry& entry);
  void settle(std::uint64_t serial);
  std::uint64_t next_deadline() const;
  void wake();

  const Mode mode_;
  UniqueFd epoll_, wake_;
  std::map<std::uint64_t, std::unique_ptr<Entry>> entries_;  // the loop's own
  std::vector<std::unique_ptr<Entry>> ended_;                // inline_loop: until let_go
  std::uint64_t next_serial_ = 1;

  std::mutex mutex_;  // guards what follows
  std::vector<std::unique_ptr<Entry>> added_;
  std::vector<std::pair<std::string, Cause>> ends_;
  bool end_everything_ = false;
  std::size_t alive_ = 0;  // added and not ended
  std::condition_variable fewer_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace cove
