// cove-measure: takes the samples of bench/run.
//
// Reads one JSON document from standard input and writes one to standard output:
//
//   in   {"rounds": 100, "warmup": 5, "settle_ms": 5, "rows": [ROW...]}
//   ROW  {"name": "...", "argv": ["/bin/true"], "root": DIR, "stdout": "", "keep_output": false} or
//        {"name": "...", "spec": {...}, "times": 1, "stdout": "", "keep_output": false}
//   out  {"rows": [{"ms": [...], "outputs": ["..."]}...]}                    in the order of the
//   rows
//
// A row with `argv` is a whole process: posix_spawn to waitpid. With `root` as well, its process
// changes root first. A row with `spec` is the library: Engine::run in this process, `times` in
// succession for one sample, which is then their mean. Every round takes one sample of every row,
// in an order of its own, so that noise of the machine hits all rows alike. A sample that did not
// end as it should ends the whole: there is no number for a failure.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "cove/engine.h"
#include "cove/json.h"

namespace {

using nlohmann::json;

constexpr unsigned kSampleSeconds = 60;  // a sample that takes longer is a failure

struct Row {
  std::string name;
  std::vector<std::string> argv;
  std::string root;
  std::optional<cove::SandboxSpec> spec;
  int times = 1;
  std::string expected_stdout;
  bool keep_output = false;
  std::vector<double> ms;
  std::vector<std::string> outputs;
};

struct Sample {
  double ms = 0;
  std::string output;   // of a process its stdout, of the library its result as JSON
  std::string failure;  // empty: none
};

[[noreturn]] void die(const std::string& message) {
  std::fprintf(stderr, "bench: %s\n", message.c_str());
  std::exit(1);
}

[[noreturn]] void die_of_errno(const std::string& what) { die(what + ": " + std::strerror(errno)); }

double now_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

void settle(double ms) {
  if (ms <= 0) return;
  const auto nanoseconds = static_cast<long long>(ms * 1e6);
  const timespec pause{static_cast<time_t>(nanoseconds / 1'000'000'000),
                       static_cast<long>(nanoseconds % 1'000'000'000)};
  nanosleep(&pause, nullptr);
}

// --- A whole process ---

// The process of the sample that is being taken, for a handler to kill.
volatile sig_atomic_t g_child = 0;
volatile sig_atomic_t g_stop = 0;  // the signal that asked for it

void kill_child(int signal) {
  if (signal != SIGALRM) g_stop = signal;
  if (g_child > 0) kill(static_cast<pid_t>(g_child), SIGKILL);
}

// Close-on-exec, and never full: a program that writes more than a pipe holds is no row of ours.
class Pipe {
 public:
  Pipe() {
    if (pipe2(ends_.data(), O_CLOEXEC) != 0) die_of_errno("pipe2");
    if (fcntl(ends_[0], F_SETFL, O_NONBLOCK) != 0) die_of_errno("fcntl");
  }
  ~Pipe() {
    close(ends_[0]);
    close(ends_[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int write_end() const { return ends_[1]; }

  // What is in it now.
  std::string drain() const {
    std::string bytes;
    std::array<char, 65536> buffer;
    for (;;) {
      const ssize_t length = read(ends_[0], buffer.data(), buffer.size());
      if (length <= 0) return bytes;
      bytes.append(buffer.data(), static_cast<std::size_t>(length));
    }
  }

 private:
  std::array<int, 2> ends_;
};

pid_t spawn(char* const* argv, int stdin_fd, int stdout_fd, int stderr_fd) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, stdin_fd, 0);
  posix_spawn_file_actions_adddup2(&actions, stdout_fd, 1);
  posix_spawn_file_actions_adddup2(&actions, stderr_fd, 2);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, argv[0], &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    errno = error;
    return -1;
  }
  return pid;
}

// What posix_spawn does, and a chroot, which it cannot do. The child shares our memory until its
// exec.
pid_t spawn_in_root(const char* root, char* const* argv, int stdin_fd, int stdout_fd,
                    int stderr_fd) {
  const pid_t pid = vfork();
  if (pid != 0) return pid;
  if (dup2(stdin_fd, 0) >= 0 && dup2(stdout_fd, 1) >= 0 && dup2(stderr_fd, 2) >= 0 &&
      chroot(root) == 0 && chdir("/") == 0) {
    execve(argv[0], argv, environ);
  }
  _exit(127);
}

std::string describe_wait_status(int status) {
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    return std::string("ended by signal ") + sigabbrev_np(number);
  }
  return "exit status " + std::to_string(WEXITSTATUS(status));
}

Sample sample_process(const Row& row) {
  static const int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const Pipe out, err;
  std::vector<char*> argv;
  for (const std::string& word : row.argv) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);

  alarm(kSampleSeconds);
  const double start = now_ms();
  const pid_t pid = row.root.empty() ? spawn(argv.data(), null_fd, out.write_end(), err.write_end())
                                     : spawn_in_root(row.root.c_str(), argv.data(), null_fd,
                                                     out.write_end(), err.write_end());
  if (pid < 0) return {0, {}, row.argv[0] + ": " + std::strerror(errno)};
  g_child = pid;
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) die_of_errno("waitpid");
  }
  const double end = now_ms();
  g_child = 0;
  alarm(0);

  Sample sample{end - start, out.drain(), {}};
  if (status != 0) {
    sample.failure = describe_wait_status(status) + ", stderr: " + err.drain();
  } else if (!row.keep_output && sample.output != row.expected_stdout) {
    sample.failure = "printed \"" + sample.output + "\", not \"" + row.expected_stdout + '"';
  }
  return sample;
}

// --- The library ---

cove::Engine& engine() {
  static cove::Result<cove::Engine> made = cove::Engine::create();
  if (!made) die("Engine::create: " + made.error().message());
  return *made;
}

std::string failure_of(const cove::SandboxResult& result, const Row& row) {
  if (result.error) return result.error->message();
  if (result.exit_code != 0) return "unexpected result: " + cove::to_json(result);
  if (result.stdout_stream.bytes != row.expected_stdout) {
    return "unexpected stdout: " + cove::to_json(result);
  }
  return {};
}

Sample sample_library(const Row& row) {
  std::vector<cove::SandboxResult> results;
  results.reserve(static_cast<std::size_t>(row.times));
  const double start = now_ms();
  for (int i = 0; i < row.times; ++i) results.push_back(engine().run(*row.spec));
  const double end = now_ms();

  Sample sample{(end - start) / row.times, {}, {}};
  for (const cove::SandboxResult& result : results) {
    sample.failure = failure_of(result, row);
    if (!sample.failure.empty()) return sample;
  }
  if (row.keep_output) sample.output = cove::to_json(results.back());
  return sample;
}

// --- All of it ---

Row parse_row(const json& document) {
  Row row;
  row.name = document.at("name");
  row.argv = document.value("argv", std::vector<std::string>());
  row.root = document.value("root", "");
  row.times = document.value("times", 1);
  row.expected_stdout = document.value("stdout", "");
  row.keep_output = document.value("keep_output", false);
  if (document.contains("spec")) {
    auto spec = cove::spec_from_json(document["spec"].dump());
    if (!spec) die(row.name + ": " + spec.error().message());
    row.spec = *std::move(spec);
  }
  if (row.argv.empty() == !row.spec || row.times < 1) {
    die(row.name + ": a row has argv or spec, and at least one run");
  }
  return row;
}

void take_sample(Row& row, bool counts) {
  Sample sample = row.spec ? sample_library(row) : sample_process(row);
  if (g_stop != 0) std::exit(128 + g_stop);
  if (!sample.failure.empty()) die("row \"" + row.name + "\" failed: " + sample.failure);
  if (!counts) return;
  row.ms.push_back(sample.ms);
  if (row.keep_output) row.outputs.push_back(std::move(sample.output));
}

void take_samples(std::vector<Row>& rows, int warmup, int rounds, double settle_ms) {
  // A fixed seed, so that a run can be repeated. The order differs from round to round, so that no
  // row always follows the same one and pays for what that leaves behind.
  std::mt19937 random(1);
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (int round = -warmup; round < rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    for (const std::size_t index : order) {
      settle(settle_ms);
      take_sample(rows[index], round >= 0);
    }
  }
}

}  // namespace

int main() {
  struct sigaction handler {};
  handler.sa_handler = kill_child;
  for (const int signal : {SIGALRM, SIGTERM, SIGINT}) sigaction(signal, &handler, nullptr);

  const std::string text(std::istreambuf_iterator<char>(std::cin), {});
  const json input = json::parse(text, nullptr, false);
  if (input.is_discarded()) die("standard input is no JSON document; see bench/run");

  std::vector<Row> rows;
  for (const json& row : input.at("rows")) rows.push_back(parse_row(row));
  take_samples(rows, input.at("warmup"), input.at("rounds"), input.at("settle_ms"));

  json output;
  output["rows"] = json::array();
  for (const Row& row : rows) output["rows"].push_back({{"ms", row.ms}, {"outputs", row.outputs}});
  std::cout << output.dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
  return std::cout.flush().good() ? 0 : 1;
}
