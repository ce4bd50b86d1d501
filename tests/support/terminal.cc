#include "tests/support/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <stdexcept>

#include "tests/support/command.h"

namespace cove::testing {
namespace {

constexpr double kPatience = 5;

winsize kernels(WindowSize window) {
  winsize size{};
  size.ws_row = window.rows;
  size.ws_col = window.columns;
  return size;
}

[[noreturn]] void become_command(std::vector<char*>& argv) {
  setpgid(0, 0);
  // In front, as a shell has it; done by a process in the background, thus the signal.
  signal(SIGTTOU, SIG_IGN);
  tcsetpgrp(0, getpgrp());
  signal(SIGTTOU, SIG_DFL);
  execv(argv[0], argv.data());
  _exit(127);
}

// Tells the command's pid, then its wait status.
[[noreturn]] void lead_session(int terminal, int pipe, std::vector<char*>& argv) {
  setsid();
  ioctl(terminal, TIOCSCTTY, 0);
  for (int fd = 0; fd < 3; ++fd) dup2(terminal, fd);
  const pid_t pid = fork();
  if (pid == 0) become_command(argv);
  (void)!write(pipe, &pid, sizeof pid);
  int status = 0;
  waitpid(pid, &status, 0);
  (void)!write(pipe, &status, sizeof status);
  for (;;) pause();  // no hang-up before the test has seen everything
}

}  // namespace

DrivenTerminal::DrivenTerminal(const std::vector<std::string>& words, WindowSize window) {
  const winsize size = kernels(window);
  std::array<int, 2> ends{};
  if (openpty(&ours_, &theirs_, nullptr, nullptr, &size) != 0 ||
      pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw std::runtime_error("cannot make a terminal");
  }
  fcntl(ours_, F_SETFD, FD_CLOEXEC);
  fcntl(theirs_, F_SETFD, FD_CLOEXEC);
  before_ = settings();
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  leader_ = fork();
  if (leader_ == 0) lead_session(theirs_, ends[1], argv);
  close(ends[1]);
  status_pipe_ = ends[0];
  if (read(status_pipe_, &command_, sizeof command_) != sizeof command_)
    throw std::runtime_error("cannot start a command");
}

DrivenTerminal::~DrivenTerminal() {
  ::kill(leader_, SIGKILL);
  waitpid(leader_, nullptr, 0);
  for (const int fd : {ours_, theirs_, status_pipe_}) close(fd);
}

void DrivenTerminal::type(const std::string& keys) const {
  (void)!write(ours_, keys.data(), keys.size());
}

void DrivenTerminal::resize(WindowSize window) const {
  const winsize size = kernels(window);
  ioctl(ours_, TIOCSWINSZ, &size);
}

void DrivenTerminal::kill(int signal) const { ::kill(command_, signal); }

bool DrivenTerminal::pump(int milliseconds) {
  pollfd ready{ours_, POLLIN, 0};
  if (poll(&ready, 1, milliseconds) <= 0) return false;
  std::array<char, 65536> buffer;
  const ssize_t got = read(ours_, buffer.data(), buffer.size());
  if (got > 0) screen_.append(buffer.data(), static_cast<std::size_t>(got));
  return got > 0;
}

bool DrivenTerminal::wait_for(const std::string& text) {
  const double end = seconds_now() + kPatience;
  for (;;) {
    const std::size_t at = screen_.find(text, seen_);
    if (at != std::string::npos) {
      seen_ = at + text.size();
      return true;
    }
    if (seconds_now() > end) return false;
    pump(50);
  }
}

void DrivenTerminal::read_for(double seconds) {
  for (const double end = seconds_now() + seconds; seconds_now() < end;) pump(20);
}

termios DrivenTerminal::settings() const {
  termios now{};
  tcgetattr(theirs_, &now);
  return now;
}

bool DrivenTerminal::is_raw() const { return (settings().c_lflag & (ICANON | ISIG | ECHO)) == 0; }

bool DrivenTerminal::is_as_before() const {
  const termios now = settings();
  return now.c_iflag == before_.c_iflag && now.c_oflag == before_.c_oflag &&
         now.c_cflag == before_.c_cflag && now.c_lflag == before_.c_lflag &&
         std::memcmp(now.c_cc, before_.c_cc, sizeof now.c_cc) == 0;
}

bool DrivenTerminal::becomes_as_before() const {
  for (const double end = seconds_now() + 2; !is_as_before() && seconds_now() < end;) usleep(1000);
  return is_as_before();
}

int DrivenTerminal::wait() {
  const double end = seconds_now() + 2 * kPatience;
  pollfd ended{status_pipe_, POLLIN, 0};
  while (poll(&ended, 1, 0) == 0) {
    if (seconds_now() > end) return -1;
    pump(20);
  }
  while (pump(0)) {
  }
  int status = 0;
  if (read(status_pipe_, &status, sizeof status) != sizeof status) return -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace cove::testing
