#include "runtime/supervise/supervision.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "runtime/cgroup/file.h"
#include "runtime/kernel/syscalls.h"
#include "runtime/model/names.h"

namespace cove {
namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr int kStepsPerEvent = 32;  // then the other sandboxes have their turn

double milliseconds(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

std::uint64_t nanoseconds(Duration duration) {
  return static_cast<std::uint64_t>(duration.count());
}

}  // namespace

Supervision::Supervision(SupervisionInputs inputs)
    : belongings_(std::move(inputs.belongings)),
      plan_(std::move(inputs.plan)),
      pidfd_(std::move(inputs.pidfd)),
      control_(std::move(inputs.control)),
      scratch_(std::move(inputs.scratch)),
      lease_(std::move(inputs.lease)),
      groups_(std::move(inputs.groups)),
      in_(std::move(inputs.in)),
      out_(std::move(inputs.out)),
      err_(std::move(inputs.err)),
      on_detach_(std::move(inputs.on_detach)),
      launch_began_(inputs.launch_began),
      milestones_(std::move(inputs.milestones)),
      launcher_milestones_(std::move(inputs.launcher_milestones)) {
  if (inputs.trace) tracer_.emplace(std::move(*inputs.trace));
  if (!in_ || !in_->destination()) in_pending_ = Pending::done;
  if (!out_.source()) out_pending_ = Pending::done;
  if (!err_.source()) err_pending_ = Pending::done;
}

// Shut down, not only closed: a duplicate is in the caller's hands (Sandbox::signal), or in those of
// a child that the caller forked.
Supervision::~Supervision() { shutdown(control_.number(), SHUT_RDWR); }

std::vector<Supervision::Interest> Supervision::interests() const {
  std::vector<Interest> wanted;
  if (state_ < State::draining && !lost_)
    wanted.push_back({Role::control, control_.number(), EPOLLIN});
  if (lost_ && state_ < State::draining) wanted.push_back({Role::pidfd, pidfd_.number(), EPOLLIN});
  if (groups_.v1_oom_event() && state_ < State::draining && !own_limit_met_) {
    wanted.push_back({Role::oom, groups_.v1_oom_event().number(), EPOLLIN});
  }
  if (tracer_ && tracer_->source())
    wanted.push_back({Role::trace, tracer_->source().number(), EPOLLIN});
  // A stream that could go on at once waits like one that has to: it is ready when it is asked.
  if (in_pending_ == Pending::source)
    wanted.push_back({Role::in_source, in_->source().number(), EPOLLIN});
  if (in_pending_ == Pending::destination || in_pending_ == Pending::nothing) {
    wanted.push_back({Role::in_pipe, in_->destination().number(), EPOLLOUT});
  }
  const auto output = [&](const OutputCopier& copier, Pending pending, Role pipe,
                          Role destination) {
    if (pending == Pending::source || pending == Pending::nothing)
      wanted.push_back({pipe, copier.source().number(), EPOLLIN});
    if (pending == Pending::destination)
      wanted.push_back({destination, copier.destination().number(), EPOLLOUT});
  };
  output(out_, out_pending_, Role::out_pipe, Role::out_destination);
  output(err_, err_pending_, Role::err_pipe, Role::err_destination);
  return wanted;
}

void Supervision::close_given_up() {
  out_.close_given_up();
  err_.close_given_up();
  if (in_) in_->close_given_up();
  if (tracer_) tracer_->close_given_up();
}

void Supervision::on_event(Role role) {
  switch (role) {
    case Role::control:
      on_control();
      break;
    case Role::pidfd:
      begin_draining();  // lost, and now surely dead
      break;
    case Role::oom: {
      std::uint64_t count = 0;
      own_limit_met_ = read(groups_.v1_oom_event().number(), &count, sizeof count) == sizeof count;
      // What memory.oom.group does on v2: no half of a program goes on.
      if (own_limit_met_) groups_.kill_payload();
      break;
    }
    case Role::in_source:
    case Role::in_pipe:
      step(*in_, in_pending_);
      if (in_->detached()) detach();
      break;
    case Role::out_pipe:
    case Role::out_destination:
      step(out_, out_pending_);
      break;
    case Role::err_pipe:
    case Role::err_destination:
      step(err_, err_pending_);
      break;
    case Role::trace:
      tracer_->on_event();
      break;
  }
  check_output_limit();
  finish_if_drained();
}

template <typename Copier>
void Supervision::step(Copier& copier, Pending& pending) {
  int left = kStepsPerEvent;
  do {
    pending = copier.step();
  } while (pending == Pending::nothing && --left > 0);
}

void Supervision::check_output_limit() {
  const bool over = (plan_.stdout_stream.policy == OutputPolicy::kill && out_.over_cap()) ||
                    (plan_.stderr_stream.policy == OutputPolicy::kill && err_.over_cap());
  if (over && state_ == State::running) end(Cause::output_limit);
}

void Supervision::on_control() {
  auto message = receive_message(control_, Wait::poll);
  if (!message) {
    if (message.error().sys_errno != EAGAIN) on_lost();
    return;
  }
  if (message->body.empty()) return on_lost();
  on_report(std::move(*message));
}

void Supervision::on_report(Message message) {
  MessageReader reader(message.body);
  switch (static_cast<Report>(reader.u32())) {
    case Report::started: {
      auto report = decode_started(reader);
      if (!report) return on_failed(report.error());
      if (!message.fds.empty()) connect(std::move(message.fds.front()));
      return on_started(std::move(*report));
    }
    case Report::exited: {
      auto report = decode_exited(reader);
      return report ? on_exited(*report) : on_failed(report.error());
    }
    case Report::failed: {
      auto report = decode_failed(reader);
      return on_failed(report ? to_error(*report) : report.error());
    }
    case Report::network:
      break;
  }
  on_failed(Error{
      ErrorCode::internal, "protocol", 0, "init sent a report that is not known", "", "", {}});
}

// What the program has written since its exec waits in there.
void Supervision::connect(UniqueFd terminal) {
  if (in_ && in_->awaits_terminal()) {
    // Another number for the same file: an epoll set has each once.
    in_->connect(UniqueFd(fcntl(terminal.number(), F_DUPFD_CLOEXEC, 3)));
    in_pending_ = Pending::nothing;
  }
  out_.connect(std::move(terminal));
  out_pending_ = Pending::source;
}

void Supervision::detach() {
  for (auto [copier, pending] :
       {std::pair{&out_, &out_pending_}, std::pair{&err_, &err_pending_}}) {
    copier->discard();
    if (*pending == Pending::destination) *pending = Pending::source;
  }
  if (const auto tell = std::exchange(on_detach_, nullptr)) tell();
}

void Supervision::on_started(StartedReport report) {
  init_milestones_ = std::move(report.milestones);
  started_ = init_milestones_.empty() ? monotonic_now() : init_milestones_.back().at;
  state_ = State::running;
  // It was ended before it had begun.
  if (reason_) return kill_program();
  arm_clocks(monotonic_now());
}

void Supervision::on_exited(const ExitedReport& report) {
  exited_ = report;
  begin_draining();
}

void Supervision::on_failed(Error error) {
  result_.error = std::move(error);
  begin_draining();
}

// The socket is closed before the kernel kills the pid namespace: nothing is over until init's
// process is.
void Supervision::on_lost() {
  lost_ = true;
  deadline_.reset();
  if (reason_) return;
  result_.error = Error{ErrorCode::sandbox_lost,
                        "init",
                        0,
                        "the sandbox's init ended without a report",
                        "",
                        "it was killed from outside, or the host ran out of memory (see dmesg)",
                        {}};
}

void Supervision::begin_draining() {
  if (state_ >= State::draining) return;
  state_ = State::draining;
  deadline_.reset();
  if (tracer_) tracer_->stop();
  in_pending_ = Pending::done;
  if (in_) in_->stop();
  out_.program_ended();
  err_.program_ended();
  for (auto [copier, pending] :
       {std::pair{&out_, &out_pending_}, std::pair{&err_, &err_pending_}}) {
    if (*pending != Pending::done) step(*copier, *pending);
  }
  finish_if_drained();
}

void Supervision::finish_if_drained() {
  if (state_ != State::draining || out_pending_ != Pending::done || err_pending_ != Pending::done)
    return;
  compose_result();
  state_ = State::ended;
}

void Supervision::end(Cause reason) {
  if (state_ >= State::draining || reason_) return;
  reason_ = reason;
  if (state_ == State::starting) {
    if (reason == Cause::cancelled) kernel::pidfd_send_signal(pidfd_.number(), SIGKILL);
    return;
  }
  const bool time_is_up = reason == Cause::timeout || reason == Cause::cpu_timeout;
  if (time_is_up && plan_.grace.count() > 0) {
    asked_politely_ = true;
    send_signal_order(control_.number(), SIGTERM);
    kill_at_ = monotonic_now() + nanoseconds(plan_.grace);
    deadline_ = kill_at_;
    return;
  }
  kill_program();
}

void Supervision::kill_program() {
  deadline_.reset();
  kill_at_.reset();
  // Without cgroup.kill: the kernel kills a pid namespace with its init.
  if (!groups_.kill_payload()) kernel::pidfd_send_signal(pidfd_.number(), SIGKILL);
}

void Supervision::on_time(std::uint64_t now) {
  if (state_ != State::running || lost_ || !deadline_ || now < *deadline_) return;
  if (kill_at_) return kill_program();
  if (plan_.timeout && now >= *started_ + nanoseconds(*plan_.timeout)) return end(Cause::timeout);
  if (plan_.cpu_timeout) {
    const std::uint64_t used = groups_.statistics().cpu_usec.value_or(0) * 1000;
    if (used >= nanoseconds(*plan_.cpu_timeout)) return end(Cause::cpu_timeout);
  }
  arm_clocks(now);
}

void Supervision::arm_clocks(std::uint64_t now) {
  deadline_.reset();
  if (plan_.timeout) deadline_ = *started_ + nanoseconds(*plan_.timeout);
  if (!plan_.cpu_timeout) return;
  // The limit cannot be met before all processors together have used what is left.
  const std::uint64_t used = groups_.statistics().cpu_usec.value_or(0) * 1000;
  const std::uint64_t limit = nanoseconds(*plan_.cpu_timeout);
  const auto processors = static_cast<std::uint64_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  const std::uint64_t left = limit > used ? (limit - used) / processors : 0;
  const std::uint64_t next = now + std::max(left, kMillisecond);
  deadline_ = deadline_ ? std::min(*deadline_, next) : next;
}

void Supervision::compose_result() {
  GroupStatistics stats = groups_.statistics();
  stats.own_limit_met |= own_limit_met_;
  result_.sandbox_id = belongings_.id;
  result_.image_digest = plan_.image_digest;
  result_.enforced = plan_.enforced;
  result_.degraded = plan_.degraded;
  if (tracer_) result_.seccomp_trace = tracer_->trace();
  result_.stdout_stream = std::move(out_).finish();
  result_.stderr_stream = std::move(err_).finish();
  if (started_) {
    result_.startup_ms = milliseconds(*started_ - launch_began_);
    const std::uint64_t end = exited_ ? exited_->at : monotonic_now();
    result_.duration_ms = milliseconds(end - *started_);
  }
  fill_steps();
  fill_usage(stats);
  result_.events.oom_kills =
      stats.own_limit_met ? std::max<std::uint64_t>(stats.oom_kills, 1) : stats.oom_kills;
  result_.events.pids_limit_hits = stats.pids_limit_hits;
  result_.events.memory_high = stats.memory_limit_hits;
  decide_cause(stats);
}

void Supervision::decide_cause(const GroupStatistics& stats) {
  result_.process_status = ProcessStatus::error;
  if (result_.error) {
    result_.cause = Cause::sandbox_error;
    return;
  }
  const int status = exited_ ? exited_->wait_status : SIGKILL;
  const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  if (exited_ && WIFEXITED(status)) result_.exit_code = WEXITSTATUS(status);
  if (exited_ && WIFSIGNALED(status)) {
    result_.signal = signal_name(WTERMSIG(status));
  }
  // Decided from what happened, never from an exit code. A reason of ours counts if it ended the
  // program: by SIGKILL, or at the polite request before it; a program that was quicker has its own
  // end.
  if (reason_ && (killed || asked_politely_)) {
    result_.cause = *reason_;
  } else if (killed && stats.own_limit_met) {
    result_.cause = Cause::out_of_memory;
  } else if (killed && stats.oom_kills > 0) {
    result_.cause = Cause::sandbox_error;
    result_.error = Error{ErrorCode::sandbox_lost,
                          "memory",
                          0,
                          "the host, or a group above the sandbox, ran out of memory, and the "
                          "kernel killed the program; its own limit was not met",
                          "",
                          "run fewer sandboxes at once, or give the parent group more",
                          {}};
  } else if (WIFSIGNALED(status)) {
    result_.cause =
        WTERMSIG(status) == SIGSYS && !plan_.seccomp.empty() ? Cause::seccomp : Cause::signaled;
  } else {
    result_.cause = Cause::exited;
  }
  if (result_.cause == Cause::timeout || result_.cause == Cause::cpu_timeout)
    result_.process_status = ProcessStatus::timeout;
  if (result_.cause == Cause::exited && result_.exit_code == 0)
    result_.process_status = ProcessStatus::completed;
}

void Supervision::fill_usage(const GroupStatistics& stats) {
  Usage& usage = result_.usage;
  std::optional<std::uint64_t> user = stats.user_usec, system = stats.system_usec;
  if (!user && exited_) user = exited_->user_usec;
  if (!system && exited_) system = exited_->system_usec;
  if (user) usage.user_ms = static_cast<double>(*user) / 1e3;
  if (system) usage.system_ms = static_cast<double>(*system) / 1e3;
  if (user && system) usage.cpu_ms = *usage.user_ms + *usage.system_ms;
  usage.peak_memory_bytes = stats.memory_peak;
  usage.peak_pids = stats.pids_peak;
  if (exited_) {
    // Without a memory controller: the largest process, which is less than all of them.
    if (!usage.peak_memory_bytes) usage.peak_memory_bytes = exited_->peak_resident_kib * 1024;
    usage.io_read_bytes = exited_->read_blocks * 512;
    usage.io_write_bytes = exited_->written_blocks * 512;
  }
  struct statfs scratch {};
  if (fstatfs(scratch_.number(), &scratch) == 0 && scratch.f_blocks > 0) {
    usage.scratch_bytes =
        (scratch.f_blocks - scratch.f_bfree) * static_cast<std::uint64_t>(scratch.f_bsize);
    result_.events.disk_full = scratch.f_bfree == 0;
  }
}

// Engine, launcher and init work beside each other: together their steps are more than startup_ms.
void Supervision::fill_steps() {
  const auto add = [&](const char* who, const std::vector<Milestone>& milestones) {
    for (std::size_t i = 1; i < milestones.size(); ++i) {
      result_.steps.emplace_back(who + milestones[i].name,
                                 milliseconds(milestones[i].at - milestones[i - 1].at));
    }
  };
  milestones_.insert(milestones_.begin(), {"", launch_began_});
  add("", milestones_);
  add("launcher: ", launcher_milestones_);
  add("init: ", init_milestones_);
}

}  // namespace cove
