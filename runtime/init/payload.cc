#include "runtime/init/payload.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <memory>
#include <type_traits>

#include "runtime/init/traced_filter.h"
#include "runtime/kernel/syscalls.h"
#include "runtime/mount/mount.h"

namespace cove {
namespace {

// A step that failed: errno says why.
Error step_error(std::string step, std::string what, ErrorCode code = ErrorCode::setup_failed) {
  return errno_error(code, std::move(step), std::move(what));
}

using Failure = std::optional<Error>;

struct Rlimit {
  const char* name;
  int resource;
};
constexpr std::array<Rlimit, 16> kRlimits{{{"as", RLIMIT_AS},
                                           {"core", RLIMIT_CORE},
                                           {"cpu", RLIMIT_CPU},
                                           {"data", RLIMIT_DATA},
                                           {"fsize", RLIMIT_FSIZE},
                                           {"locks", RLIMIT_LOCKS},
                                           {"memlock", RLIMIT_MEMLOCK},
                                           {"msgqueue", RLIMIT_MSGQUEUE},
                                           {"nice", RLIMIT_NICE},
                                           {"nofile", RLIMIT_NOFILE},
                                           {"nproc", RLIMIT_NPROC},
                                           {"rss", RLIMIT_RSS},
                                           {"rtprio", RLIMIT_RTPRIO},
                                           {"rttime", RLIMIT_RTTIME},
                                           {"sigpending", RLIMIT_SIGPENDING},
                                           {"stack", RLIMIT_STACK}}};

// v1 groups have no CLONE_INTO_CGROUP; "0" in `tasks` moves the writing thread alone, without the 7
// ms that moving a process costs.
Failure enter_groups(const PayloadFds& fds) {
  for (BorrowedFd tasks : fds.v1_tasks) {
    if (write(tasks.number(), "0", 1) != 1)
      return step_error("cgroup", "enter the group through its tasks file");
  }
  return {};
}

// Only now: /proc/self/cgroup is shown relative to the groups that the process is in at this
// moment.
Failure hide_groups(const ExecOrder& order) {
  if (unshare(CLONE_NEWCGROUP) != 0) return step_error("cgroup namespace", "unshare");
  if (!order.cgroup_mount) return {};
  const auto groups = make_filesystem(
      "cgroup2", {}, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  if (!groups) return groups.error();
  const UniqueFd root(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const auto place = open_in_root(root, "/sys/fs/cgroup", TargetKind::directory, Missing::fail);
  if (!place) return place.error();
  const auto done = attach_mount(*groups, *place, "");
  return done ? Failure{} : done.error();
}

// /dev/tty, job control, and the signals of Ctrl-C and Ctrl-Z. It stays in the group `tty`, as
// grantpt(3) has it.
Failure take_terminal(const ExecOrder& order, BorrowedFd terminal) {
  constexpr int kDoNotSteal = 0;
  if (ioctl(terminal.number(), TIOCSCTTY, kDoNotSteal) != 0)
    return step_error("terminal", "make it the controlling one");
  if (fchown(terminal.number(), order.uid, static_cast<gid_t>(-1)) != 0)
    return step_error("terminal", "fchown");
  return {};
}

Failure take_streams(const ExecOrder& order, const PayloadFds& fds) {
  const std::array<BorrowedFd, 3> streams{fds.in, fds.out, fds.err};
  for (int number = 0; number < 3; ++number) {
    const int fd = streams[static_cast<std::size_t>(number)].number();
    if (dup2(fd, number) < 0) return step_error("stdio", "dup2");
    // A program may reopen /dev/stderr, and a pipe is opened like a file: its owner must be the
    // program's user. A device (/dev/null) is not ours to give away.
    struct stat status {};
    if (fstat(number, &status) == 0 && S_ISFIFO(status.st_mode) &&
        fchown(number, order.uid, order.gid) != 0) {
      return step_error("stdio", "fchown a pipe");
    }
  }
  if (fds.terminal) {
    if (auto failure = take_terminal(order, fds.terminal)) return failure;
  }
  // Everything else ends with the exec; the pipe that carries an error until then as well.
  if (kernel::close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) != 0)
    return step_error("stdio", "close_range");
  return {};
}

Failure set_rlimits(const ExecOrder& order) {
  for (const RlimitPlan& limit : order.rlimits) {
    for (const Rlimit& known : kRlimits) {
      if (limit.name != known.name) continue;
      const rlimit value{limit.soft, limit.hard};
      if (setrlimit(static_cast<__rlimit_resource_t>(known.resource), &value) != 0)
        return step_error("rlimit " + limit.name, "setrlimit");
    }
  }
  return {};
}

Failure become_user(const ExecOrder& order) {
  // Else a change from root to another user would empty the sets. It ends with the exec.
  if (order.capabilities != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
    return step_error("capabilities", "PR_SET_KEEPCAPS");
  if (order.set_groups && setgroups(order.groups.size(), order.groups.data()) != 0)
    return step_error("user", "setgroups");
  if (setresgid(order.gid, order.gid, order.gid) != 0) return step_error("user", "setresgid");
  if (setresuid(order.uid, order.uid, order.uid) != 0) return step_error("user", "setresuid");
  return {};
}

Failure fill_set(cap_t sets, cap_flag_t set, std::uint64_t capabilities) {
  for (cap_value_t capability = 0; capability < cap_max_bits(); ++capability) {
    if ((capabilities >> capability & 1) == 0) continue;
    if (cap_set_flag(sets, set, 1, &capability, CAP_SET) != 0)
      return step_error("capabilities", "cap_set_flag");
  }
  return {};
}

// init has left in the bounding set what the program shall hold; here the other four sets. Usually
// that is nothing, for a user id of 0 too. Through an exec root takes its capabilities from the
// bounding set; another user has the ambient set for it, which must be inheritable.
Failure reduce_capabilities(const ExecOrder& order) {
  const std::unique_ptr<std::remove_pointer_t<cap_t>, int (*)(void*)> sets(cap_init(), cap_free);
  if (!sets) return step_error("capabilities", "cap_init");
  const std::uint64_t inherited = order.uid == 0 ? 0 : order.capabilities;
  for (const cap_flag_t set : {CAP_PERMITTED, CAP_EFFECTIVE}) {
    if (auto failure = fill_set(sets.get(), set, order.capabilities)) return failure;
  }
  if (auto failure = fill_set(sets.get(), CAP_INHERITABLE, inherited)) return failure;
  if (cap_set_proc(sets.get()) != 0 ||
      prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
    return step_error("capabilities", "cap_set_proc");
  for (cap_value_t capability = 0; capability < cap_max_bits(); ++capability) {
    if ((inherited >> capability & 1) == 0) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0)
      return step_error("capabilities", "PR_CAP_AMBIENT_RAISE");
  }
  return {};
}

Failure enter_workdir(const ExecOrder& order) {
  if (chdir(order.workdir.c_str()) != 0)
    return step_error("workdir", "chdir to " + order.workdir, ErrorCode::invalid_argument);
  // CVE-2024-21626: a working directory that is not below the root means that something leaked.
  std::array<char, 4096> path{};
  if (getcwd(path.data(), path.size()) == nullptr || path[0] != '/') {
    errno = EXDEV;
    return step_error("workdir", order.workdir + " is not inside the root");
  }
  return {};
}

Failure load_filters(const std::vector<std::vector<sock_filter>>& filters, BorrowedFd trace) {
  for (const auto& filter : filters) {
    if (trace && &filter == &filters.back()) {
      const auto done = load_traced_filter(filter, trace);
      return done ? Failure{} : done.error();
    }
    const sock_fprog program{static_cast<unsigned short>(filter.size()),
                             const_cast<sock_filter*>(filter.data())};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
      return step_error("seccomp", "load the filter");
  }
  return {};
}

const char* path_of(const ExecOrder& order) {
  for (const std::string& variable : order.env) {
    if (variable.compare(0, 5, "PATH=") == 0) return variable.c_str() + 5;
  }
  return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

Error exec_error(const std::string& file, int number, bool exists) {
  Error error;
  error.step = "exec";
  error.where = file;
  if (number == ENOENT && !exists) {
    error.code = ErrorCode::command_not_found;
    error.what = file.find('/') == std::string::npos ? "command not found in PATH"
                                                     : "no such file in the sandbox";
    return error;
  }
  error.code = ErrorCode::command_not_executable;
  error.sys_errno = number;
  error.what = number == ENOENT ? "the interpreter that it names is not in the sandbox"
                                : "cannot be executed";
  if (number == ENOEXEC)
    error.hint = "not a program for this machine, or a script without a #! line";
  if (number == EACCES)
    error.hint = "it needs execute permission, and so does every directory above it";
  return error;
}

// execvpe(3) without its fallback to /bin/sh: a file that the kernel will not run is an error, as
// in every container runtime.
Error execute(const ExecOrder& order) {
  std::vector<char*> argv, env;
  for (const std::string& word : order.argv) argv.push_back(const_cast<char*>(word.c_str()));
  for (const std::string& variable : order.env) env.push_back(const_cast<char*>(variable.c_str()));
  argv.push_back(nullptr);
  env.push_back(nullptr);

  const std::string& file = order.argv.front();
  if (file.find('/') != std::string::npos || file.empty()) {
    execve(file.c_str(), argv.data(), env.data());
    const int number = errno;
    return exec_error(file, number, !file.empty() && access(file.c_str(), F_OK) == 0);
  }
  Error denied = exec_error(file, ENOENT, false);
  for (const char* at = path_of(order);;) {
    const char* end = at;
    while (*end != '\0' && *end != ':') ++end;
    const std::string candidate =
        (end == at ? std::string(".") : std::string(at, end)) + "/" + file;
    execve(candidate.c_str(), argv.data(), env.data());
    const int number = errno;
    const bool exists = access(candidate.c_str(), F_OK) == 0;
    // As the shell does: go on past what is missing or not permitted, remember the latter.
    if (number != ENOENT && number != ENOTDIR && number != EACCES)
      return exec_error(candidate, number, exists);
    if (exists && number != ENOTDIR) denied = exec_error(candidate, number, true);
    if (*end == '\0') return denied;
    at = end + 1;
  }
}

void unblock_signals() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace

// The order matters. Groups first, so that all that follows is charged to the sandbox; their
// namespace and mount while there are rights for it; streams before the user changes (fchown);
// rlimits before (some need rights); the user before the capabilities (setuid needs them), the
// working directory as the user (its permissions decide); the filter last, so that none of these
// calls needs to be in it.
Error become_payload(const ExecOrder& order, const PayloadFds& fds,
                     const std::vector<std::vector<sock_filter>>& filters) {
  setsid();
  umask(022);
  unblock_signals();
  if (auto failure = enter_groups(fds)) return *failure;
  if (auto failure = hide_groups(order)) return *failure;
  if (auto failure = take_streams(order, fds)) return *failure;
  if (auto failure = set_rlimits(order)) return *failure;
  if (auto failure = become_user(order)) return *failure;
  // ---- from here on without any right that the program shall not have ----
  if (auto failure = reduce_capabilities(order)) return *failure;
  if (auto failure = enter_workdir(order)) return *failure;
  if (auto failure = load_filters(filters, fds.trace)) return *failure;
  return execute(order);
}

}  // namespace cove
