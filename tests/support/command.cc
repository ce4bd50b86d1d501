#include "tests/support/command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <stdexcept>

#include "tests/support/files.h"

extern char** environ;

namespace cove::testing {
namespace {

constexpr int kLongest = 90;  // seconds

struct PipeEnds {
  int reading, writing;
};

PipeEnds make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
  return {ends[0], ends[1]};
}

void close_fd(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

void set_non_blocking(int fd) { fcntl(fd, F_SETFL, O_NONBLOCK); }

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (const std::string& text : texts) list.push_back(const_cast<char*>(text.c_str()));
  list.push_back(nullptr);
  return list;
}

}  // namespace

double seconds_now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

RunningCommand::RunningCommand(const std::vector<std::string>& argv,
                               const CommandOptions& options) {
  std::vector<std::string> environment = options.environment;
  for (char** variable = environ; *variable != nullptr; ++variable)
    environment.push_back(*variable);
  const std::vector<char*> arguments = pointers(argv), variables = pointers(environment);

  PipeEnds input{-1, -1};
  if (options.input) input = make_pipe();
  const PipeEnds output = make_pipe(), errors = make_pipe();
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int source = options.input           ? input.reading
                     : options.stdin_fd >= 0 ? options.stdin_fd
                                             : null;

  began_ = seconds_now();
  pid_ = fork();
  if (pid_ == 0) {
    dup2(source, 0);
    dup2(output.writing, 1);
    dup2(errors.writing, 2);
    if (options.in_child) options.in_child();
    execve(arguments[0], arguments.data(), variables.data());
    _exit(126);
  }
  close(null);
  close(output.writing);
  close(errors.writing);
  if (options.input) close(input.reading);
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  in_ = input.writing;
  out_ = output.reading;
  err_ = errors.reading;
  input_ = options.input.value_or("");
  for (const int fd : {in_, out_, err_}) {
    if (fd >= 0) set_non_blocking(fd);
  }
}

RunningCommand::~RunningCommand() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  close_fd(in_);
  close_fd(out_);
  close_fd(err_);
}

void RunningCommand::kill(int signal) const {
  if (pid_ > 0) ::kill(pid_, signal);
}

void RunningCommand::look_at_memory() {
  const std::string status = contents_of("/proc/" + std::to_string(pid_) + "/status");
  const std::size_t at = status.find("VmHWM:");
  if (at != std::string::npos)
    outcome_.peak_resident_kib = std::strtoull(status.c_str() + at + 6, nullptr, 10);
}

bool RunningCommand::pump(int milliseconds) {
  if (in_ >= 0 && input_.empty()) close_fd(in_);
  std::array<pollfd, 3> events{{{out_, POLLIN, 0}, {err_, POLLIN, 0}, {in_, POLLOUT, 0}}};
  if (out_ < 0 && err_ < 0) return false;
  if (poll(events.data(), events.size(), milliseconds) <= 0) return true;
  std::array<char, 65536> buffer;
  const auto take = [&](int& fd, std::string& text) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got > 0) text.append(buffer.data(), static_cast<std::size_t>(got));
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) close_fd(fd);
  };
  if (events[0].revents != 0) take(out_, outcome_.out);
  if (events[1].revents != 0) take(err_, outcome_.err);
  if (events[2].revents != 0) {
    signal(SIGPIPE, SIG_IGN);
    const ssize_t done = write(in_, input_.data(), input_.size());
    if (done > 0) input_.erase(0, static_cast<std::size_t>(done));
    if (done < 0 && errno != EAGAIN && errno != EINTR) close_fd(in_);
  }
  return true;
}

bool RunningCommand::wait_for_output(const std::string& text) {
  const double end = seconds_now() + 5;
  while (outcome_.out.find(text) == std::string::npos) {
    if (seconds_now() > end || !pump(20)) return outcome_.out.find(text) != std::string::npos;
  }
  return true;
}

CommandOutcome RunningCommand::wait() {
  while (pump(20)) {
    look_at_memory();
    // A run that hangs is a failure of its test, not of all that would come after it.
    if (seconds_now() - began_ > kLongest) {
      kill(SIGKILL);
      outcome_.err +=
          "the test killed it: still there after " + std::to_string(kLongest) + " seconds\n";
      close_fd(out_);
      close_fd(err_);
    }
  }
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  outcome_.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome_.seconds = seconds_now() - began_;
  return std::move(outcome_);
}

CommandOutcome run_command(const std::vector<std::string>& argv, const CommandOptions& options) {
  return RunningCommand(argv, options).wait();
}

}  // namespace cove::testing
