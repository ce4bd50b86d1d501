#include "runtime/init/init.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "runtime/init/build_root.h"
#include "runtime/init/network.h"
#include "runtime/init/payload.h"
#include "runtime/init/protocol.h"
#include "runtime/init/terminal.h"
#include "runtime/init/uplink.h"
#include "runtime/kernel/command_line.h"
#include "runtime/kernel/descriptors.h"
#include "runtime/kernel/io.h"
#include "runtime/kernel/message.h"
#include "runtime/kernel/syscalls.h"
#include "runtime/model/capabilities.h"

namespace cove {
namespace {

constexpr const char* kName = "cove-init";
constexpr int kKeyctlJoinSession = 1;  // KEYCTL_JOIN_SESSION_KEYRING of keyctl(2)

Error init_error(std::string step, std::string what) {
  return errno_error(ErrorCode::setup_failed, std::move(step), std::move(what));
}

class Init {
 public:
  explicit Init(const InitInputs& inputs)
      : inputs_(inputs), control_(inputs.control), link_(inputs.link.number()) {}

  [[noreturn]] void run() {
    if (auto done = set_up(); !done) report_and_exit(done.error());
    serve();
  }

 private:
  // Each step says what breaks if it moves.
  Result<void> set_up() {
    using Step = Result<void> (Init::*)();
    static constexpr std::array<Step, 12> kSteps{
        // First: an inherited lifeline would keep other sandboxes alive.
        &Init::drop_descriptors,
        // Before anything in here could look at /proc/1.
        &Init::forget_caller,
        // Ids are nobody until then, and a rootless parent cannot write the maps of a process that
        // is not dumpable.
        &Init::await_maps,
        // Files made from here on have an owner.
        &Init::become_root,
        // Not dumpable, no new privileges, nothing in the bounding set that the program has not.
        &Init::lock_down,
        &Init::set_hostname,
        // Slow, and in parallel with the launcher, who makes the root; unless that had one ready.
        &Init::make_network,
        // Before the launcher's procfs is out of sight: the kernel asks for it.
        &Init::prepare_proc,
        &Init::prepare_pts,
        // Waits for the launcher's mounts.
        &Init::build,
        // After the root: its /dev/null takes the place of 0, 1 and 2.
        &Init::let_go_of_ground,
        // Last, since it takes longest: a program's first act may be to connect.
        &Init::connect,
    };
    for (Step step : kSteps) {
      if (auto done = (this->*step)(); !done) return done;
    }
    return {};
  }

  Result<void> drop_descriptors() {
    mark("clone");
    std::vector<int> keep{control_.number(), link_.number()};
    for (BorrowedFd fd : inputs_.hold) keep.push_back(fd.number());
    if (!kernel::close_all_but(std::move(keep)))
      return fail(init_error("descriptors", "close_range"));
    // 0, 1 and 2 stay taken, so that no later descriptor becomes somebody's standard stream.
    for (int number = 0; number < 3; ++number) {
      if (open("/", O_PATH | O_DIRECTORY | O_CLOEXEC) != number)
        return fail(init_error("descriptors", "occupy 0, 1 and 2"));
    }
    return {};
  }

  Result<void> forget_caller() {
    kernel::forget_command_line(kName);
    kernel::reset_signals();
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (sigprocmask(SIG_SETMASK, &child, nullptr) != 0)
      return fail(init_error("init", "sigprocmask"));
    children_ = UniqueFd(signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!children_) return fail(init_error("init", "signalfd"));
    // The caller's keys are reached through the session keyring; a new one is empty. ENOSYS: a
    // kernel without keys.
    if (syscall(SYS_keyctl, kKeyctlJoinSession, nullptr) < 0 && errno != ENOSYS) {
      const bool too_many = errno == EDQUOT;
      Error error = init_error("init", "new session keyring");
      if (too_many)
        error.hint = "the caller's user has kernel.keys.maxkeys of them: raise it with sysctl";
      return fail(std::move(error));
    }
    return {};
  }

  Result<void> await_maps() {
    const auto message = expect(Order::maps);
    mark("id maps");
    return message ? Result<void>{} : fail(message.error());
  }

  Result<void> become_root() {
    if (inputs_.plan.identity.mapping == IdMapping::single)
      return {};  // the one id is ours already
    if (setgroups(0, nullptr) != 0 || setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
      return fail(init_error("init", "become root inside"));
    return {};
  }

  Result<void> lock_down() {
    // A change of credentials clears it, so not before become_root. A launcher that was killed
    // earlier has closed the control socket, which is noticed as well.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return fail(init_error("init", "PR_SET_PDEATHSIG"));
    if (prctl(PR_SET_DUMPABLE, 0) != 0) return fail(init_error("init", "PR_SET_DUMPABLE"));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
      return fail(init_error("no_new_privs", "prctl"));
    const std::uint64_t kept = capability_mask(inputs_.plan.capabilities);
    for (cap_value_t capability = 0; capability < cap_max_bits(); ++capability) {
      if ((kept >> capability & 1) != 0) continue;
      if (cap_drop_bound(capability) != 0)
        return fail(init_error("capabilities", "reduce the bounding set"));
    }
    return {};
  }

  Result<void> set_hostname() {
    const std::string& name = inputs_.plan.hostname;
    if (sethostname(name.data(), name.size()) != 0)
      return fail(init_error("hostname", "sethostname"));
    return {};
  }

  Result<void> make_network() {
    const auto& wanted = inputs_.plan.namespaces;
    const bool own = std::find(wanted.begin(), wanted.end(), Protection::network) != wanted.end();
    if (!own || inputs_.network == Network::inherited) return {};
    if (auto done = make_network_namespace(); !done) return done;
    mark("network");
    return link_ ? ask_for_uplink(*inputs_.plan.uplink, link_) : Result<void>{};
  }

  Result<void> prepare_proc() {
    auto proc = make_proc();
    if (!proc) return fail(proc.error());
    if (inputs_.plan.enforced.count(Protection::nested_user_namespaces) != 0) {
      const UniqueFd file(
          openat(proc->number(), "sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC));
      if (!file || write(file.number(), "0", 1) != 1)
        return fail(init_error("nested user namespaces", "write 0 to user.max_user_namespaces"));
    }
    if (auto done = cover_proc(inputs_.plan, *proc); !done) return done;
    own_.proc = std::move(*proc);
    mark("proc");
    return {};
  }

  Result<void> prepare_pts() {
    auto pts = make_pts(inputs_.plan);
    if (!pts) return fail(pts.error());
    own_.pts = std::move(*pts);
    return {};
  }

  Result<void> build() {
    auto message = expect(Order::mounts);
    if (!message) return fail(message.error());
    mark("wait for mounts");
    MessageReader reader(message->body);
    reader.u32();
    auto prepared = decode_mounts(inputs_.plan, reader, std::move(message->fds));
    if (!prepared) return fail(prepared.error());
    auto built = build_root(inputs_.plan, std::move(*prepared), std::move(own_));
    mark("attach");
    return built;
  }

  Result<void> let_go_of_ground() {
    const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null) return fail(init_error("init", "open /dev/null"));
    for (int number = 0; number < 3; ++number) {
      if (dup2(null.number(), number) < 0) return fail(init_error("init", "dup2"));
    }
    return {};
  }

  Result<void> connect() {
    if (!link_) return {};
    auto connected = await_uplink(link_);
    link_.reset();
    mark("uplink");
    return connected;
  }

  // ---- the sandbox is built; from here on init only serves ----

  [[noreturn]] void serve() {
    for (;;) {
      std::array<pollfd, 2> events{
          {{control_.number(), POLLIN, 0}, {children_.number(), POLLIN, 0}}};
      if (poll(events.data(), events.size(), -1) < 0 && errno != EINTR)
        report_and_exit(init_error("init", "poll"));
      if (events[1].revents != 0) reap();
      if (events[0].revents != 0) obey();
    }
  }

  void obey() {
    auto message = receive_message(control_);
    if (!message || message->body.empty())
      _exit(0);  // the supervisor is gone, and so is the sandbox
    MessageReader reader(message->body);
    switch (static_cast<Order>(reader.u32())) {
      case Order::exec: {
        auto order = decode_exec(reader);
        if (!order) report_and_exit(order.error());
        start(*order, std::move(message->fds));
        return;
      }
      case Order::signal:
        if (program_ > 0) kill(program_, static_cast<int>(reader.u32()));
        return;
      case Order::resize: {
        const auto rows = static_cast<std::uint16_t>(reader.u32());
        const auto columns = static_cast<std::uint16_t>(reader.u32());
        if (terminal_) set_window(terminal_, {rows, columns});
        return;
      }
      case Order::maps:
      case Order::mounts:
      case Order::connected:
        break;
    }
    errno = EBADMSG;
    report_and_exit(init_error("protocol", "an order that init does not know"));
  }

  void start(const ExecOrder& order, std::vector<UniqueFd> fds) {
    Terminal terminal;
    if (order.terminal != TerminalUse::none) {
      auto opened = open_terminal(order.window);
      if (!opened) report_and_exit(opened.error());
      terminal = std::move(*opened);
    }
    BorrowedFd group;
    auto streams = sort_out(order, fds, terminal.inside, group);
    if (!streams) report_and_exit(streams.error());
    kernel::Pipe pipe = kernel::make_pipe();
    if (!pipe) report_and_exit(init_error("exec", "pipe"));

    clone_args args{};
    args.exit_signal = SIGCHLD;
    if (group) {
      args.flags |= CLONE_INTO_CGROUP;
      args.cgroup = static_cast<std::uint64_t>(group.number());
    }
    auto become = [&]() noexcept {
      const Error error = become_payload(order, *streams, inputs_.filters);
      const std::string text = encode(to_report(error));
      (void)!write(pipe.writing.number(), text.data(), text.size());
      _exit(127);
    };
    const pid_t pid = kernel::clone3_and_call(args, exec_stack_, become);
    if (pid < 0)
      report_and_exit(init_error("exec", group ? "clone into the sandbox's cgroup" : "clone"));
    // The payload has shared our memory until here, and its change of user may have made that
    // dumpable (fs.suid_dumpable).
    prctl(PR_SET_DUMPABLE, 0);
    pipe.writing.reset();
    fds.clear();
    await_exec(pid, pipe.reading, std::move(terminal));
  }

  // What the descriptors of an exec order are; see ExecOrder.
  static Result<PayloadFds> sort_out(const ExecOrder& order, const std::vector<UniqueFd>& fds,
                                     BorrowedFd terminal, BorrowedFd& group) {
    std::size_t next = 0;
    const auto take = [&] { return next < fds.size() ? fds[next++].borrow() : BorrowedFd(); };
    PayloadFds streams;
    streams.terminal = terminal;
    streams.in = order.terminal == TerminalUse::streams ? terminal : take();
    streams.out = terminal ? terminal : take();
    streams.err = terminal ? terminal : take();
    if (order.has_group) group = take();
    if (order.traced) streams.trace = take();
    if (!streams.in || !streams.err || (order.has_group && !group) ||
        (order.traced && !streams.trace)) {
      errno = EBADMSG;
      return fail(init_error("protocol", "descriptors are missing"));
    }
    while (next < fds.size()) streams.v1_tasks.push_back(take());
    return streams;
  }

  // End of file without a word: execve closed the pipe.
  void await_exec(pid_t pid, const UniqueFd& reading, Terminal terminal) {
    std::array<char, 8192> text;  // NOLINT: filled by read
    ssize_t got;
    do {
      got = read(reading.number(), text.data(), text.size());
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
      while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
      }
      send(std::string(text.data(), static_cast<std::size_t>(got)));
      return;
    }
    program_ = pid;
    mark("exec");
    std::vector<BorrowedFd> fds;
    if (terminal.outside) fds.push_back(terminal.outside);
    send(encode(StartedReport{milestones_}), fds);
    // Held until the program's end: a program may close its streams and come back by /dev/tty.
    terminal_ = std::move(terminal.inside);
  }

  void reap() {
    std::array<signalfd_siginfo, 8> ignored;  // NOLINT: drained, the truth is in waitpid
    while (read(children_.number(), ignored.data(), sizeof ignored) > 0) {
    }
    int status = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      if (pid == program_) end_sandbox(status);
    }
  }

  // The program's end is the sandbox's: what it left running is killed, as when pid 1 of any
  // container ends. kill(-1) reaches everything in this pid namespace but us, and nothing can be
  // forked past it.
  void end_sandbox(int program_status) {
    const std::uint64_t end = monotonic_now();
    program_ = -1;
    kill(-1, SIGKILL);
    while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
    }
    terminal_.reset();  // the last: what was written to it is at its end now
    rusage usage{};
    getrusage(RUSAGE_CHILDREN, &usage);
    ExitedReport report;
    report.wait_status = program_status;
    report.at = end;
    report.user_usec = microseconds(usage.ru_utime);
    report.system_usec = microseconds(usage.ru_stime);
    report.peak_resident_kib = static_cast<std::uint64_t>(usage.ru_maxrss);
    report.read_blocks = static_cast<std::uint64_t>(usage.ru_inblock);
    report.written_blocks = static_cast<std::uint64_t>(usage.ru_oublock);
    send(encode(report));
  }

  static std::uint64_t microseconds(const timeval& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 +
           static_cast<std::uint64_t>(time.tv_usec);
  }

  Result<Message> expect(Order order) {
    auto message = receive_message(control_);
    if (!message) return message;
    if (message->body.empty()) _exit(0);  // the launcher is gone
    MessageReader reader(message->body);
    if (reader.u32() == static_cast<std::uint32_t>(order)) return message;
    errno = EBADMSG;
    return fail(init_error("protocol", "an unexpected order"));
  }

  void mark(const char* name) { milestones_.push_back({name, monotonic_now()}); }

  void send(const std::string& text, const std::vector<BorrowedFd>& fds = {}) {
    if (!send_message(control_, text, fds)) _exit(0);
  }

  [[noreturn]] void report_and_exit(const Error& error) {
    send(encode(to_report(error)));
    _exit(1);
  }

  const InitInputs& inputs_;
  const BorrowedFd control_;
  UniqueFd link_;
  UniqueFd children_;
  OwnFilesystems own_;
  pid_t program_ = -1;
  UniqueFd terminal_;  // the program's, inside
  kernel::Stack exec_stack_;
  std::vector<Milestone> milestones_;
};

}  // namespace

void run_init(const InitInputs& inputs) { Init(inputs).run(); }

}  // namespace cove
