#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/kernel/syscalls.h"
#include "runtime/launch/launcher.h"
#include "runtime/launch/request.h"

namespace cove {
namespace {

constexpr std::size_t kStackBytes = 64 * 1024;
constexpr int kLauncherSocket = 3;

// What the two short-lived processes share with us: they run in our memory, while we stand still
// (CLONE_VFORK).
struct Start {
  const char* executable;
  int socket;
  char* stacks;  // two of kStackBytes
  int error = 0;
};

// Only system calls here, and no memory but the stack and `start`.
int become_launcher(void* argument) {
  Start& start = *static_cast<Start*>(argument);
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  char* argv[] = {const_cast<char*>("cove-launcher"), nullptr};
  char* environment[] = {nullptr};
  sigset_t none;
  sigemptyset(&none);
  const bool ready = null >= 0 && setsid() >= 0 && chdir("/") == 0 &&
                     dup2(start.socket, kLauncherSocket) >= 0 && dup2(null, 0) >= 0 &&
                     dup2(null, 1) >= 0 && dup2(null, 2) >= 0 &&
                     kernel::close_range(kLauncherSocket + 1, ~0u, 0) == 0 &&
                     sigprocmask(SIG_SETMASK, &none, nullptr) == 0;
  umask(077);
  if (ready) execve(start.executable, argv, environment);
  start.error = errno;
  _exit(1);
}

int start_and_leave(void* argument) {
  Start& start = *static_cast<Start*>(argument);
  if (clone(become_launcher, start.stacks + 2 * kStackBytes, CLONE_VM | CLONE_VFORK | SIGCHLD,
            argument) < 0)
    start.error = errno;
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
  const pid_t child = clone(start_and_leave, static_cast<char*>(stacks) + kStackBytes,
                            CLONE_VM | CLONE_VFORK, &start);
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
  return LauncherClient(std::move(sockets->first));
}

Result<Launched> LauncherClient::launch(LaunchInputs inputs,
                                        const std::vector<SourceFacts>& sources) {
  std::vector<BorrowedFd> fds;
  const std::string body = encode_request(inputs, sources, fds);
  const std::lock_guard lock(mutex_);
  auto sent = send_message(socket_, body, fds);
  auto reply = sent ? receive_message(socket_) : Result<Message>(fail(sent.error()));
  if (!reply || reply->body.empty()) {
    return fail(Error{ErrorCode::sandbox_lost,
                      "launcher",
                      0,
                      "the launcher is gone",
                      "",
                      "it was killed from outside; make a new engine",
                      {}});
  }
  return decode_reply(std::move(*reply));
}

}  // namespace cove
