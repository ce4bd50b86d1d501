#include "images/registry/credential_helper.h"

#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>

#include "images/unpack/shown_name.h"
#include "runtime/kernel/fd.h"
#include "runtime/kernel/io.h"

extern char** environ;

namespace cove {
namespace {

using Clock = std::chrono::steady_clock;

// What all helpers say that are made with Docker's library for them.
constexpr const char* kNotFound = "credentials not found";
constexpr std::size_t kMostOutput = 64 * 1024;

Error helper_error(const std::string& program, std::string what) {
  Error error;
  error.code = ErrorCode::setup_failed;
  error.step = "credentials";
  error.where = program;
  error.what = std::move(what);
  return error;
}

bool is_helper_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

// A child that is killed and reaped unless it was waited for.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() {
    if (pid_ < 0) return;
    kill(pid_, SIGKILL);
    wait();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  // False when the deadline passes.
  bool ends_before(Clock::time_point deadline) const {
    constexpr timespec kPause{0, 2'000'000};
    siginfo_t ended{};
    while (waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           ended.si_pid == 0) {
      if (Clock::now() >= deadline) return false;
      nanosleep(&kPause, nullptr);
    }
    return true;
  }
  int wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_;
};

// Everything up to the end of the file; false when the deadline passes.
bool read_until(BorrowedFd pipe, Clock::time_point deadline, std::string& text) {
  std::array<char, 4096> buffer{};
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd waited{pipe.number(), POLLIN, 0};
    const int ready = left > 0 ? poll(&waited, 1, static_cast<int>(left)) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const ssize_t got = read(pipe.number(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    if (text.size() < kMostOutput) text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

Result<pid_t> spawn(const std::string& program, const std::string& verb, BorrowedFd in,
                    BorrowedFd out) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.number(), 0);
  posix_spawn_file_actions_adddup2(&actions, out.number(), 1);
  std::string name = program, word = verb;
  const std::array<char*, 3> argv{name.data(), word.data(), nullptr};
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error == 0) return pid;
  Error failed = helper_error(program, "cannot be started");
  failed.sys_errno = error;
  failed.hint = "a configuration of docker or podman names it; install it, or remove it there";
  return fail(failed);
}

}  // namespace

Result<std::optional<std::string>> call_credential_helper(const std::string& name,
                                                          const std::string& verb,
                                                          const std::string& input,
                                                          std::chrono::milliseconds patience) {
  const std::string program = "docker-credential-" + name;
  if (!is_helper_name(name)) {
    Error error = helper_error(shown_name(name), "is no name of a credential helper");
    error.code = ErrorCode::invalid_argument;
    return fail(error);
  }
  kernel::Pipe in = kernel::make_pipe(), out = kernel::make_pipe();
  if (!in || !out) return fail(errno_error(ErrorCode::resource_exhausted, "credentials", "pipe"));
  // What is asked is smaller than a pipe: it is there before the helper is.
  if (input.size() >= 4096) return fail(helper_error(program, "the credentials are too long"));
  if (write(in.writing.number(), input.data(), input.size()) < 0)
    return fail(errno_error(ErrorCode::setup_failed, "credentials", "write"));
  in.writing.reset();
  const Result<pid_t> pid = spawn(program, verb, in.reading, out.writing);
  if (!pid) return fail(pid.error());
  Child child(*pid);
  in.reading.reset();
  out.writing.reset();
  std::string printed;
  const Clock::time_point deadline = Clock::now() + patience;
  if (!read_until(out.reading, deadline, printed) || !child.ends_before(deadline)) {
    return fail(helper_error(program, "did not come to its end in " +
                                          std::to_string(patience.count() / 1000) + " seconds"));
  }
  const int status = child.wait();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return std::optional(std::move(printed));
  if (printed.find(kNotFound) != std::string::npos) return std::optional<std::string>();
  while (!printed.empty() && printed.back() == '\n') printed.pop_back();
  return fail(helper_error(program, verb + " failed: " + shown_name(printed)));
}

}  // namespace cove
