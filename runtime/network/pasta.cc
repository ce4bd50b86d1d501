#include "runtime/network/pasta.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "runtime/kernel/directory.h"
#include "runtime/kernel/io.h"
#include "runtime/kernel/syscalls.h"

namespace cove {
namespace {

// As it finds them; above the three streams.
constexpr int kNamespaceFd = 3, kReadyFd = 4;
constexpr const char* kNamespacePath = "/proc/self/fd/3";
constexpr const char* kReadyPath = "/proc/self/fd/4";

// Of connections and UDP ports, two descriptors each at most: it bounds the sockets of the host
// that a sandbox can take.
constexpr rlim_t kOpenFiles = 4096;

Error pasta_error(std::string what) {
  return errno_error(ErrorCode::setup_failed, "network", std::move(what));
}

Result<kernel::Pipe> make_pipe() {
  kernel::Pipe pipe = kernel::make_pipe();
  if (!pipe) return fail(pasta_error("pipe"));
  // Nor may pasta ever wait for us to read.
  for (const UniqueFd* end : {&pipe.reading, &pipe.writing})
    if (fcntl(end->number(), F_SETFL, O_NONBLOCK) != 0) return fail(pasta_error("fcntl"));
  return pipe;
}

// ---- in the child, until it is pasta ----

// Null where all went well; else what could not be done, with errno.
using Failure = const char*;

// The sandbox's user namespace comes last: in it there is no right to the others.
Failure enter_namespaces(const PastaInputs& inputs) {
  const HostPlace& host = inputs.host;
  if (host.network && setns(host.network.number(), CLONE_NEWNET) != 0)
    return "return to the host's network";
  if (host.mounts && setns(host.mounts.number(), CLONE_NEWNS) != 0)
    return "return to the host's mounts";
  if (fchdir(host.root.number()) != 0 || chroot(".") != 0 || chdir("/") != 0)
    return "enter the host's root";
  if (setns(inputs.user.number(), CLONE_NEWUSER) != 0) return "enter the sandbox's user namespace";
  return nullptr;
}

Failure become_nobody(const PastaInputs& inputs) {
  // EPERM: a plain user's only id, where the kernel forbids it.
  if (setgroups(0, nullptr) != 0 && errno != EPERM) return "setgroups";
  if (setresgid(inputs.gid, inputs.gid, inputs.gid) != 0) return "setresgid";
  if (setresuid(inputs.uid, inputs.uid, inputs.uid) != 0) return "setresuid";
  return nullptr;
}

// Behind the change of user, which clears it. If the launcher ended before, nobody reads the pipe.
Failure end_with_parent() {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return "PR_SET_PDEATHSIG";
  pollfd reader{kReadyFd, 0, 0};
  if (poll(&reader, 1, 0) != 0) _exit(0);
  return nullptr;
}

// To enter the network namespace and set it up, and for a mount namespace. What is inheritable and
// ambient lasts through the exec, of root inside or of another user; all else goes then.
Failure leave_two_capabilities() {
  static constexpr std::array<cap_value_t, 2> kLeft{CAP_SYS_ADMIN, CAP_NET_ADMIN};
  const cap_t set = cap_get_proc();
  if (set == nullptr) return "cap_get_proc";
  bool done = cap_set_flag(set, CAP_INHERITABLE, kLeft.size(), kLeft.data(), CAP_SET) == 0 &&
              cap_set_proc(set) == 0;
  cap_free(set);
  for (const cap_value_t capability : kLeft)
    done = done && cap_set_ambient(capability, CAP_SET) == 0;
  // Last: nothing outside of the bounding set can be made inheritable.
  for (cap_value_t capability = 0; capability < cap_max_bits(); ++capability)
    done = done && cap_drop_bound(capability) == 0;
  return done ? nullptr : "give up all capabilities but CAP_SYS_ADMIN and CAP_NET_ADMIN";
}

Failure set_limits() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max = std::min(files.rlim_max, kOpenFiles);
  const rlimit core{0, 0};
  if (setrlimit(RLIMIT_NOFILE, &files) != 0 || setrlimit(RLIMIT_CORE, &core) != 0)
    return "setrlimit";
  return nullptr;
}

void unblock_signals() {
  kernel::reset_signals();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

Failure become_pasta(const PastaInputs& inputs) {
  if (Failure failure = enter_namespaces(inputs)) return failure;
  if (Failure failure = become_nobody(inputs)) return failure;
  if (Failure failure = end_with_parent()) return failure;
  if (Failure failure = leave_two_capabilities()) return failure;
  if (Failure failure = set_limits()) return failure;
  if (kernel::close_range(kReadyFd + 1, ~0u, CLOSE_RANGE_CLOEXEC) != 0) return "close_range";
  unblock_signals();

  std::vector<std::string> words = inputs.command;
  words.insert(words.end(), {"--netns", kNamespacePath, "--pid", kReadyPath});
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  char* environment[] = {nullptr};
  execve(argv[0], argv.data(), environment);
  return "execute it";
}

[[noreturn]] void run_child(const PastaInputs& inputs, BorrowedFd complaints, BorrowedFd ready) {
  // Raised first, out of each other's way.
  const int raised_complaints = fcntl(complaints.number(), F_DUPFD, kReadyFd + 1);
  const int raised_ready = fcntl(ready.number(), F_DUPFD, kReadyFd + 1);
  const int raised_namespace = fcntl(inputs.network.number(), F_DUPFD, kReadyFd + 1);
  PastaInputs raised = inputs;
  for (BorrowedFd* fd :
       {&raised.host.mounts, &raised.host.network, &raised.host.root, &raised.user})
    if (*fd) *fd = BorrowedFd(fcntl(fd->number(), F_DUPFD, kReadyFd + 1));
  Failure failure = "dup2";
  if (dup2(raised_complaints, 2) == 2 && dup2(raised_namespace, kNamespaceFd) == kNamespaceFd &&
      dup2(raised_ready, kReadyFd) == kReadyFd)
    failure = become_pasta(raised);
  dprintf(2, "cannot %s: %s\n", failure, strerror(errno));
  _exit(1);
}

// ---- in the parent ----

std::string read_some(BorrowedFd fd) {
  std::array<char, 4096> buffer;  // NOLINT: filled by read
  const ssize_t got = read(fd.number(), buffer.data(), buffer.size());
  return got > 0 ? std::string(buffer.data(), static_cast<std::size_t>(got)) : std::string();
}

// pasta's words on one line, without those about a system log that it does not have.
std::string tidy(const std::string& text) {
  std::string words;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.empty() || line.find("to syslog") != std::string::npos) continue;
    words += (words.empty() ? "" : "; ") + line;
  }
  return words;
}

std::string hint_for(const std::string& words) {
  if (words.find("xternal interface") != std::string::npos ||
      words.find("routable interface") != std::string::npos)
    return "the host needs a default route, as `ip route` shows";
  if (words.find("tun") != std::string::npos) return "modprobe tun, and see ls -l /dev/net/tun";
  return {};
}

// The descriptor of its tap device, of which the kernel says so in fdinfo ("iff:", the interface).
Result<UniqueFd> borrow_tap(BorrowedFd proc, pid_t pid, BorrowedFd pidfd) {
  const std::string directory = std::to_string(pid) + "/fdinfo";
  const UniqueFd infos(openat(proc.number(), directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const auto names = infos ? names_in(infos) : std::nullopt;
  if (!names) return fail(pasta_error("look at pasta's descriptors"));
  int tap = -1;
  for (const std::string& name : *names) {
    const UniqueFd info(openat(infos.number(), name.c_str(), O_RDONLY | O_CLOEXEC));
    if (!info || read_some(info).find("\niff:") == std::string::npos) continue;
    tap = std::atoi(name.c_str());  // NOLINT(cert-err34-c): procfs writes numbers
    break;
  }
  errno = ENODEV;
  UniqueFd borrowed(tap < 0 ? -1 : kernel::pidfd_getfd(pidfd.number(), tap));
  if (!borrowed) return fail(pasta_error("borrow pasta's tap device"));
  return borrowed;
}

}  // namespace

Result<Pasta> Pasta::start(const PastaInputs& inputs) {
  auto ready = make_pipe();
  auto complaints = make_pipe();
  if (!ready) return fail(ready.error());
  if (!complaints) return fail(complaints.error());
  // It opens this one anew, by its path.
  if (inputs.outer_uid &&
      fchown(ready->writing.number(), *inputs.outer_uid, *inputs.outer_uid) != 0)
    return fail(pasta_error("fchown a pipe"));

  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_PIDFD | CLONE_NEWPID;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  if (inputs.group) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<std::uint64_t>(inputs.group.number());
  }
  // A copy of our memory: a change of user in ours would make us undumpable, and so the next init,
  // whose id maps a plain user could then not write. Exit signal 0: invisible to a plain wait.
  const pid_t pid = kernel::clone3(args);
  if (pid < 0) return fail(pasta_error("clone a process for pasta"));
  if (pid == 0) run_child(inputs, complaints->writing, ready->writing);
  return Pasta(pid, UniqueFd(pidfd), std::move(ready->reading), std::move(complaints->reading));
}

Pasta::~Pasta() {
  if (!pidfd_) return;
  kill();
  kernel::reap(pidfd_.number());
}

void Pasta::kill() const { kernel::pidfd_send_signal(pidfd_.number(), SIGKILL); }

Error Pasta::explain_end() const {
  const std::string words = tidy(read_some(complaints_));
  return Error{ErrorCode::setup_failed,
               "network",
               0,
               "pasta could not start" + (words.empty() ? "" : ": " + words),
               "",
               hint_for(words),
               {}};
}

Result<void> Pasta::go_on(BorrowedFd proc, const std::vector<sock_filter>& filter) {
  // End of file: it has ended.
  if (read_some(ready_).empty()) return fail(explain_end());
  ready_.reset();
  const auto tap = borrow_tap(proc, pid_, pidfd_);
  if (!tap) return fail(tap.error());
  sock_fprog program{static_cast<unsigned short>(filter.size()),
                     const_cast<sock_filter*>(filter.data())};
  if (ioctl(tap->number(), TUNATTACHFILTER, &program) != 0)
    return fail(pasta_error("attach a filter to the tap device"));
  return {};
}

}  // namespace cove
