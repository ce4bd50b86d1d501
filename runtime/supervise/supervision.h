// One sandbox, from the moment its init lives until its result is there: a state machine that is
// told of events and says what it waits for next.
//
//   starting --started--> running --exited--> draining --streams at their end--> ended
//       \___failed, end of file_______________/
//
// The result is complete in `ended`. What follows (init's exit, removal of the groups, the record)
// is the launcher's, behind the answer. Supervision is used by one thread (Supervisor).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cove/plan.h"
#include "cove/sandbox_result.h"
#include "runtime/cgroup/group_tree.h"
#include "runtime/init/protocol.h"
#include "runtime/kernel/fd.h"
#include "runtime/state/belongings.h"
#include "runtime/supervise/call_tracer.h"
#include "runtime/supervise/copier.h"

namespace cove {

struct SupervisionInputs {
  Belongings belongings;  // for its locks: as long as the counters are read, nobody collects them
  Plan plan;
  UniqueFd pidfd, control, scratch;
  Lease lease;  // of `groups`
  GroupTree groups;
  std::optional<InputCopier> in;
  OutputCopier out, err;
  std::optional<TraceInputs> trace;
  std::function<void()> on_detach;
  std::uint64_t launch_began = 0;              // CLOCK_MONOTONIC, nanoseconds
  std::vector<Milestone> milestones;           // of the engine, in order
  std::vector<Milestone> launcher_milestones;  // the first: when it began
};

class Supervision {
 public:
  explicit Supervision(SupervisionInputs inputs);
  Supervision(const Supervision&) = delete;
  // Lets init leave, and the launcher take away what belongs to the sandbox.
  ~Supervision();

  // What to poll, with the events of epoll_ctl(2); descriptors that are -1 are not waited for now.
  enum class Role : std::uint32_t {
    control,
    pidfd,
    oom,
    in_source,
    in_pipe,
    out_pipe,
    out_destination,
    err_pipe,
    err_destination,
    trace
  };
  struct Interest {
    Role role;
    int fd;
    std::uint32_t events;
  };
  std::vector<Interest> interests() const;
  // What is not among them has been taken out of the epoll set, and may be closed.
  void close_given_up();

  void on_event(Role role);
  // The next moment at which on_time must be called; none: no clock runs.
  std::optional<std::uint64_t> deadline() const { return deadline_; }
  void on_time(std::uint64_t now);
  // Ends the sandbox for a reason of ours; the first reason counts.
  void end(Cause reason);

  bool ended() const { return state_ == State::ended; }
  // Once ended: the result, once.
  SandboxResult take_result() { return std::move(result_); }
  int control_fd() const { return control_.number(); }
  const std::string& id() const { return belongings_.id; }

 private:
  enum class State { starting, running, draining, ended };
  void on_control();
  void on_report(Message message);
  void on_started(StartedReport report);
  void connect(UniqueFd terminal);
  void detach();
  void on_exited(const ExitedReport& report);
  void on_failed(Error error);
  void on_lost();
  template <typename Copier>
  void step(Copier& copier, Pending& pending);
  void check_output_limit();
  void arm_clocks(std::uint64_t now);
  void kill_program();
  void begin_draining();
  void finish_if_drained();
  void compose_result();
  void decide_cause(const GroupStatistics& stats);
  void fill_usage(const GroupStatistics& stats);
  void fill_steps();

  const Belongings belongings_;
  Plan plan_;
  UniqueFd pidfd_, control_, scratch_;
  Lease lease_;
  GroupTree groups_;
  std::optional<InputCopier> in_;
  OutputCopier out_, err_;
  Pending in_pending_ = Pending::nothing, out_pending_ = Pending::source,
          err_pending_ = Pending::source;
  std::optional<CallTracer> tracer_;
  std::function<void()> on_detach_;
  const std::uint64_t launch_began_;
  std::vector<Milestone> milestones_, launcher_milestones_, init_milestones_;

  State state_ = State::starting;
  bool lost_ = false;                     // init ended without a report
  bool own_limit_met_ = false;            // v1: the kernel's event
  std::optional<std::uint64_t> started_;  // the exec
  std::optional<std::uint64_t> kill_at_;  // end of the grace period
  std::optional<std::uint64_t> deadline_;
  std::optional<Cause> reason_;  // why we ended it
  bool asked_politely_ = false;  // SIGTERM was sent
  std::optional<ExitedReport> exited_;
  SandboxResult result_;
};

}  // namespace cove
