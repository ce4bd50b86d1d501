#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "runtime/kernel/command_line.h"
#include "runtime/kernel/syscalls.h"
#include "runtime/launch/launcher.h"
#include "runtime/launch/request.h"

namespace cove {
namespace {

constexpr const char* kName = "cove-launcher";
constexpr std::size_t kStackBytes = 64 * 1024;
constexpr int kLauncherSocket = 3;
// ThreadSanitizer has its books of a thread in memory, and a child that shares it would go on writing
// them. There it gets a copy; what it fails at is not heard of then.
#ifdef __SANITIZE_THREAD__
constexpr int kBorrowMemory = CLONE_VFORK;
#else
constexpr int kBorrowMemory = CLONE_VM | CLONE_VFORK;
#endif

// What the two short-lived processes share with us: they run in our memory, while we stand still
// (CLONE_VFORK).
struct Start {
  const char* executable;
  int socket;
  char* stacks;  // two of kStackBytes
  int error = 0;
  pid_t launcher = -1;
};

// Leaves everything of the caller's behind, but for the socket, which becomes kLauncherSocket. Only
// system calls here, and no memory but the stack.
bool leave_caller(int socket) {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  // A launcher lives as long as its socket. Whoever stops a service or kills by name reaches it as
  // well as its caller, and it is needed to the end.
  sigset_t all;
  sigfillset(&all);
  umask(077);
  return null >= 0 && setsid() >= 0 && chdir("/") == 0 && dup2(socket, kLauncherSocket) >= 0 &&
         dup2(null, 0) >= 0 && dup2(null, 1) >= 0 && dup2(null, 2) >= 0 &&
         kernel::close_range(kLauncherSocket + 1, ~0u, 0) == 0 &&
         sigprocmask(SIG_SETMASK, &all, nullptr) == 0;
}

int become_launcher(void* argument) {
  Start& start = *static_cast<Start*>(argument);
  char* argv[] = {const_cast<char*>(kName), nullptr};
  char* environment[] = {nullptr};
  if (leave_caller(start.socket)) execve(start.executable, argv, environment);
  start.error = errno;
  _exit(1);
}

int start_and_leave(void* argument) {
  Start& start = *static_cast<Start*>(argument);
  start.launcher =
      clone(become_launcher, start.stacks + 2 * kStackBytes, kBorrowMemory | SIGCHLD, argument);
  if (start.launcher < 0) start.error = errno;
  _exit(0);
}

// dup2(3, 3) would leave close-on-exec set, and 0 to 2 are overwritten: the socket has to come in
// above.
Result<UniqueFd> raise_above_streams(UniqueFd fd) {
  UniqueFd raised(fcntl(fd.number(), F_DUPFD_CLOEXEC, kLauncherSocket + 1));
  if (!raised)
    return fail(errno_error(ErrorCode::resource_exhausted, "launcher", "duplicate a socket"));
  return raised;
}

// The processors that a process may run on, for the largest kernels that are built.
class Processors {
 public:
  // All that are online, or nothing is done: a restriction by the caller (taskset) could not be
  // given back as it was.
  Processors()
      : all_(sched_getaffinity(0, sizeof set_, set_.data()) == 0 &&
             CPU_COUNT_S(sizeof set_, set_.data()) == sysconf(_SC_NPROCESSORS_ONLN)) {}
  // Moves a child that was just forked to another processor than ours, if it has one. Where an idle
  // virtual processor looks busy to its kernel (KVM), the child would else wait for us to block,
  // which costs all that was to be gained by working beside each other.
  void send_away(pid_t child) const {
    const int here = sched_getcpu();
    auto others = set_;
    if (!all_ || here < 0 || CPU_COUNT_S(sizeof others, others.data()) < 2) return;
    CPU_CLR_S(static_cast<unsigned>(here), sizeof others, others.data());
    sched_setaffinity(child, sizeof others, others.data());
  }
  // Of every processor there may be: the kernel keeps what is asked for, and those that a cpuset
  // gains later are in it.
  void give_back() const {
    decltype(set_) every;
    std::memset(every.data(), 0xff, sizeof every);
    if (all_) sched_setaffinity(0, sizeof every, every.data());
  }

 private:
  std::array<cpu_set_t, 8> set_{};  // of 1024 each
  bool all_;
};

Error launcher_is_gone() {
  return Error{ErrorCode::sandbox_lost,
               "launcher",
               0,
               "the launcher is gone",
               "",
               "it was killed from outside; make a new engine",
               {}};
}

Error keeper_is_gone() {
  return Error{ErrorCode::sandbox_lost,
               "private rootfs",
               0,
               "the process that copied the layers is gone",
               "",
               "it was killed from outside; launch again",
               {}};
}

}  // namespace

Result<LauncherClient> LauncherClient::start(const std::string& executable) {
  auto sockets = make_socket_pair();
  if (!sockets) return fail(sockets.error());
  auto theirs = raise_above_streams(std::move(sockets->second));
  if (!theirs) return fail(theirs.error());
  void* stacks = mmap(nullptr, 2 * kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stacks == MAP_FAILED)
    return fail(errno_error(ErrorCode::resource_exhausted, "launcher", "mmap a stack"));

  Start start{executable.c_str(), theirs->number(), static_cast<char*>(stacks)};
  // No handler of the caller's may run in a process that shares its memory.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  // Exit signal 0: the caller's wait(-1) does not see the child in between.
  const pid_t child =
      clone(start_and_leave, static_cast<char*>(stacks) + kStackBytes, kBorrowMemory, &start);
  if (child < 0) start.error = errno;
  while (child > 0 && waitpid(child, nullptr, __WALL) < 0 && errno == EINTR) {
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  munmap(stacks, 2 * kStackBytes);
  if (start.error != 0) {
    errno = start.error;
    Error error = errno_error(ErrorCode::setup_failed, "launcher", "start the launcher");
    error.where = executable;
    return fail(std::move(error));
  }
  return LauncherClient(std::move(sockets->first), start.launcher);
}

Result<LauncherClient> LauncherClient::fork_here() {
  auto sockets = make_socket_pair();
  if (!sockets) return fail(sockets.error());
  auto theirs = raise_above_streams(std::move(sockets->second));
  if (!theirs) return fail(theirs.error());
  struct stat threads {};
  if (stat("/proc/self/task", &threads) == 0 && threads.st_nlink > 3) {  // ".", ".." and one
    return fail(Error{ErrorCode::invalid_argument,
                      "launcher",
                      0,
                      "a process with several threads cannot launch from itself",
                      "",
                      "use LaunchFrom::launcher",
                      {}});
  }
  const Processors processors;
  const pid_t child = fork();
  if (child < 0) {
    Error error = errno_error(ErrorCode::resource_exhausted, "launcher", "fork");
    error.hint = "a limit on processes is reached: ulimit -u, or pids.max of this cgroup";
    return fail(std::move(error));
  }
  if (child == 0) {
    if (!leave_caller(theirs->number())) _exit(1);
    kernel::forget_command_line(kName);
    kernel::reset_signals();
    // The first message comes after send_away.
    pollfd first{kLauncherSocket, POLLIN, 0};
    poll(&first, 1, -1);
    processors.give_back();
    _exit(serve_launches(UniqueFd(kLauncherSocket), Expect::one));
  }
  processors.send_away(child);
  return LauncherClient(std::move(sockets->first), child);
}

void LauncherClient::prepare(const Standing& standing) {
  const std::lock_guard lock(mutex_);
  (void)send_message(socket_, encode_prepare(standing));
}

Result<LayerCopies> LauncherClient::copy_layers(const Plan& plan, BorrowedFd root) {
  auto sockets = make_socket_pair();
  if (!sockets) return fail(sockets.error());
  std::vector<BorrowedFd> fds;
  const std::string body = encode_copy(plan, root, sockets->second, fds);
  {
    const std::lock_guard lock(mutex_);
    if (auto sent = send_message(socket_, body, fds); !sent)
      return fail(sent.error().sys_errno == EPIPE ? launcher_is_gone() : sent.error());
  }
  sockets->second.reset();
  auto reply = receive_message(sockets->first);
  if (!reply) return fail(reply.error());
  if (reply->body.empty()) return fail(keeper_is_gone());
  auto copies = decode_copied(std::move(*reply));
  if (copies) copies->keeper = std::move(sockets->first);
  return copies;
}

Result<PendingLaunch> LauncherClient::launch(const LaunchInputs& inputs,
                                             const std::vector<SourceFacts>& sources) {
  std::vector<BorrowedFd> fds;
  const std::string body = encode_request(inputs, sources, fds);
  std::unique_lock lock(mutex_);
  if (auto sent = send_message(socket_, body, fds); !sent)
    return fail(sent.error().sys_errno == EPIPE ? launcher_is_gone() : sent.error());
  return PendingLaunch(*this, std::move(lock));
}

void LauncherClient::leave(std::chrono::milliseconds patience) {
  shutdown(socket_.number(), SHUT_WR);
  pollfd gone{socket_.number(), POLLIN, 0};
  while (poll(&gone, 1, static_cast<int>(patience.count())) < 0 && errno == EINTR) {
  }
}

Result<Launched> PendingLaunch::finish() {
  auto reply = receive_message(std::exchange(client_, nullptr)->socket_);
  lock_.unlock();
  if (!reply || reply->body.empty()) return fail(launcher_is_gone());
  return decode_reply(std::move(*reply));
}

PendingLaunch::~PendingLaunch() {
  if (client_ != nullptr) (void)finish();
}

}  // namespace cove
