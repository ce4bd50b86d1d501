#include "runtime/cgroup/scope.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>
#include <vector>

#include "runtime/cgroup/file.h"
#include "runtime/kernel/syscalls.h"

namespace cove {
namespace {

using Clock = std::chrono::steady_clock;

// D-Bus gives 25 seconds; nobody waits so long for a launch.
constexpr std::chrono::seconds kPatience{5};
constexpr std::chrono::milliseconds kPause{1};
constexpr std::size_t kMostWords = 4096;
constexpr const char* kLeaf = "launcher";

Error scope_error(std::string what) {
  return Error{ErrorCode::setup_failed, "", 0, std::move(what), "", "", {}};
}

Error scope_errno(std::string what, std::string where) {
  Error error = errno_error(ErrorCode::setup_failed, "", std::move(what));
  error.where = std::move(where);
  return error;
}

// ---- asking ----

std::vector<std::string> question(const ScopeInputs& inputs, const std::string& unit) {
  // clang-format off
  return {inputs.busctl, "--user", "--timeout=" + std::to_string(kPatience.count()), "call",
          "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
          "org.freedesktop.systemd1.Manager", "StartTransientUnit", "ssa(sv)a(sa(sv))",
          unit, "fail", "4",
          "Description", "s", "Cove sandboxes of process " + std::to_string(getpid()),
          "PIDs", "au", "1", std::to_string(inputs.pid),
          "Delegate", "b", "true",
          "CollectMode", "s", "inactive-or-failed",  // no failed unit stays behind an OOM kill
          "0"};
  // clang-format on
}

// What busctl needs of ours to find the bus, and no more.
std::vector<std::string> bus_environment() {
  std::vector<std::string> environment{"LC_ALL=C"};
  for (const char* name : {"DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"}) {
    if (const char* value = std::getenv(name))
      environment.push_back(std::string(name) + "=" + value);
  }
  return environment;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> all;
  for (std::string& word : words) all.push_back(word.data());
  all.push_back(nullptr);
  return all;
}

// A descriptor above the three streams, so that none of them overwrites it.
UniqueFd raised(int fd) {
  const UniqueFd below(fd);
  return UniqueFd(below ? fcntl(below.number(), F_DUPFD_CLOEXEC, 3) : -1);
}

// No handler of the caller's may run in a process that shares its memory. busctl keeps them
// blocked: it ends by itself, or is killed.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  BlockedSignals(const BlockedSignals&) = delete;
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

struct Asking {
  UniqueFd pidfd;
  UniqueFd words;  // what it complains of
};

Result<Asking> start(std::vector<std::string> arguments) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return fail(scope_errno("pipe2", ""));
  Asking asking{{}, UniqueFd(ends[0])};
  const UniqueFd writing = raised(ends[1]);
  const UniqueFd null = raised(open("/dev/null", O_RDWR | O_CLOEXEC));
  const kernel::Stack stack;
  if (!writing || !null) return fail(scope_errno("open the streams of busctl", ""));

  std::vector<std::string> environment = bus_environment();
  const std::vector<char*> argv = pointers(arguments), envp = pointers(environment);
  auto exec = [&]() noexcept {
    if (dup2(null.number(), 0) == 0 && dup2(null.number(), 1) == 1 &&
        dup2(writing.number(), 2) == 2 && kernel::close_range(3, ~0u, 0) == 0)
      execve(argv[0], argv.data(), envp.data());
    _exit(127);
  };
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_PIDFD;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  // Exit signal 0: no SIGCHLD, and no plain wait of the caller's reaps it.
  const BlockedSignals blocked;
  if (kernel::clone3_and_call(args, stack, exec) < 0)
    return fail(scope_errno("clone a process for busctl", ""));
  asking.pidfd = UniqueFd(pidfd);
  return asking;
}

int milliseconds_until(Clock::time_point deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::max<std::int64_t>(left, 0));
}

// Until end of file, or the deadline.
std::string read_words(BorrowedFd fd, Clock::time_point deadline) {
  std::string words;
  std::array<char, 512> buffer;  // NOLINT: filled by read
  for (pollfd readable{fd.number(), POLLIN, 0}; words.size() < kMostWords;) {
    const int ready = poll(&readable, 1, milliseconds_until(deadline));
    if (ready < 0 && errno == EINTR) continue;
    const ssize_t got = ready > 0 ? read(fd.number(), buffer.data(), buffer.size()) : 0;
    if (got <= 0) break;
    words.append(buffer.data(), static_cast<std::size_t>(got));
  }
  while (!words.empty() && words.back() == '\n') words.pop_back();
  std::replace(words.begin(), words.end(), '\n', ' ');
  return words;
}

Result<void> ask(const ScopeInputs& inputs, const std::string& unit, Clock::time_point deadline) {
  auto asking = start(question(inputs, unit));
  if (!asking) return fail(asking.error());
  const std::string words = read_words(asking->words, deadline);
  pollfd ended{asking->pidfd.number(), POLLIN, 0};
  while (poll(&ended, 1, milliseconds_until(deadline)) < 0 && errno == EINTR) {
  }
  const bool late = (ended.revents & POLLIN) == 0;
  if (late) kernel::pidfd_send_signal(asking->pidfd.number(), SIGKILL);
  siginfo_t status{};
  while (waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(asking->pidfd.number()), &status,
                WEXITED | __WALL) != 0 &&
         errno == EINTR) {
  }
  if (late)
    return fail(scope_error("no answer within " + std::to_string(kPatience.count()) + " s"));
  if (status.si_code == CLD_EXITED && status.si_status == 0) return {};
  return fail(scope_error(words.empty() ? inputs.busctl + " failed without a word" : words));
}

// ---- moving ----

std::string read_file(BorrowedFd root, const std::string& path) {
  return read_group_file(root, path.c_str() + 1);
}

// systemd would take our number for another process's, were its pid namespace not ours. Seen from
// ours, a process of a namespace below has more than one number, and one of another has 0.
bool shares_pids(const ScopeInputs& inputs) {
  const std::string pids = read_file(inputs.root, inputs.manager + "/init.scope/cgroup.procs");
  const long pid = std::strtol(pids.c_str(), nullptr, 10);
  if (pid <= 0) return false;
  const std::string status = read_file(inputs.root, "/proc/" + std::to_string(pid) + "/status");
  const std::string own = "\nNSpid:\t" + std::to_string(pid) + "\n";
  return status.find(own) != std::string::npos;
}

// systemd answers before it has moved the process. Empty: it has not, within the time.
std::string await_scope(const ScopeInputs& inputs, const std::string& unit,
                        Clock::time_point deadline) {
  const std::string file = "/proc/" + std::to_string(inputs.pid) + "/cgroup";
  const std::string manager = inputs.manager.substr(inputs.manager.rfind('/'));
  do {
    // "0::/user.slice/user-1000.slice/user@1000.service/app.slice/cove-7.scope", of v2
    const std::string groups = "\n" + read_file(inputs.root, file);
    const std::size_t v2 = groups.find("\n0::/");
    const std::size_t from = groups.find(manager + "/", std::min(v2, groups.size()));
    const std::size_t to = groups.find("/" + unit + "\n", from);
    if (from != std::string::npos && to != std::string::npos) {
      const std::size_t below = from + manager.size();
      return inputs.manager + groups.substr(below, to + 1 + unit.size() - below);
    }
    std::this_thread::sleep_for(kPause);
  } while (Clock::now() < deadline);
  return {};
}

// Into a leaf, so that the scope may hand controllers down. All that is in it: the process may have
// made children meanwhile (newuidmap).
Result<void> empty_into_leaf(BorrowedFd root, const std::string& scope,
                             Clock::time_point deadline) {
  const UniqueFd group(openat(root.number(), scope.c_str() + 1, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!group || mkdirat(group.number(), kLeaf, 0755) != 0)
    return fail(scope_errno("make a group in the scope", scope));
  const UniqueFd leaf(openat(group.number(), kLeaf, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!leaf) return fail(scope_errno("open the group", scope + "/" + kLeaf));
  for (;;) {
    const std::string pids = read_group_file(group, "cgroup.procs");
    if (pids.empty()) return {};
    const auto moved = write_group_file(leaf, "cgroup.procs", pids.substr(0, pids.find('\n')));
    // ESRCH: it has ended.
    if (!moved && moved.error().sys_errno != ESRCH) return fail(moved.error());
    if (Clock::now() >= deadline) return fail(scope_error("the scope does not get empty"));
  }
}

}  // namespace

Result<std::string> move_into_scope(const ScopeInputs& inputs) {
  if (!shares_pids(inputs)) return fail(scope_error("it is not in this process's pid namespace"));
  const auto deadline = Clock::now() + kPatience;
  const std::string unit = "cove-" + std::to_string(inputs.pid) + ".scope";
  if (auto asked = ask(inputs, unit, deadline); !asked) return fail(asked.error());
  std::string scope = await_scope(inputs, unit, deadline);
  if (scope.empty()) return fail(scope_error("it did not move the launcher within the time"));
  if (auto done = empty_into_leaf(inputs.root, scope, deadline); !done) return fail(done.error());
  return scope;
}

}  // namespace cove
