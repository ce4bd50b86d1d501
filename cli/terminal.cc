#include "cli/terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace cove::cli {
namespace {

termios raw_form_of(termios settings) {
  cfmakeraw(&settings);
  return settings;
}

bool same(const termios& a, const termios& b) {
  return a.c_iflag == b.c_iflag && a.c_oflag == b.c_oflag && a.c_lflag == b.c_lflag &&
         a.c_cflag == b.c_cflag && std::memcmp(a.c_cc, b.c_cc, sizeof a.c_cc) == 0;
}

// End of file without a word: the process that made the terminal raw was killed. A shell may have
// noticed before us and have its own settings already; those stay.
[[noreturn]] void guard(int pipe, int terminal, const termios& settings, const termios& raw) {
  sigset_t all;
  sigfillset(&all);  // SIGTTOU too, which would stop a background process that sets a terminal
  sigprocmask(SIG_SETMASK, &all, nullptr);
  setpgid(0, 0);  // out of reach of a kill that is meant for the caller's whole job
  prctl(PR_SET_NAME, "cove-terminal");
  // The streams would keep their other ends waiting.
  dup2(terminal, 1);  // first: it may be 0
  dup2(pipe, 0);
  syscall(SYS_close_range, 2u, ~0u, 0u);
  char word = 0;
  ssize_t got = 0;
  do {
    got = read(0, &word, 1);
  } while (got < 0 && errno == EINTR);
  termios now{};
  if (got == 0 && tcgetattr(1, &now) == 0 && same(now, raw)) tcsetattr(1, TCSANOW, &settings);
  _exit(0);
}

}  // namespace

Result<CallerTerminal> CallerTerminal::watch(int fd) {
  termios settings{};
  std::array<int, 2> ends{};
  if (tcgetattr(fd, &settings) != 0)
    return fail(errno_error(ErrorCode::setup_failed, "terminal", "read its settings"));
  if (pipe2(ends.data(), O_CLOEXEC) != 0)
    return fail(errno_error(ErrorCode::resource_exhausted, "terminal", "pipe2"));
  const pid_t pid = fork();
  if (pid == 0) guard(ends[0], fd, settings, raw_form_of(settings));
  close(ends[0]);
  if (pid < 0) {
    const Error error = errno_error(ErrorCode::resource_exhausted, "terminal", "fork its guard");
    close(ends[1]);
    return fail(error);
  }
  return CallerTerminal(fd, settings, ends[1]);
}

CallerTerminal::CallerTerminal(int fd, const termios& settings, int guard_pipe)
    : fd_(fd), settings_(settings), raw_(raw_form_of(settings)), guard_pipe_(guard_pipe) {}

CallerTerminal::CallerTerminal(CallerTerminal&& other) noexcept
    : fd_(other.fd_),
      settings_(other.settings_),
      raw_(other.raw_),
      guard_pipe_(std::exchange(other.guard_pipe_, -1)) {}

CallerTerminal::~CallerTerminal() {
  if (guard_pipe_ < 0) return;
  restore();
  (void)!write(guard_pipe_, "r", 1);
  close(guard_pipe_);
}

void CallerTerminal::make_raw() { (void)tcsetattr(fd_, TCSANOW, &raw_); }
void CallerTerminal::restore() { (void)tcsetattr(fd_, TCSANOW, &settings_); }

void CallerTerminal::forget() {
  close(guard_pipe_);
  guard_pipe_ = -1;
}

WindowSize window_of_caller() {
  for (const int fd : {STDOUT_FILENO, STDIN_FILENO, STDERR_FILENO}) {
    winsize size{};
    if (ioctl(fd, TIOCGWINSZ, &size) == 0) return {size.ws_row, size.ws_col};
  }
  return {};
}

}  // namespace cove::cli
