// Programs started from tests, foremost the `cove` command: with input, until the end, or killed
// half-way.
//
//   const CommandOutcome outcome = run_command({command_path(), "version"});
//   RunningCommand run({command_path(), "run", ...});
//   run.kill(SIGKILL);
//   run.wait();
//
// A RunningCommand that goes out of scope is killed and reaped.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace cove::testing {

struct CommandOptions {
  std::optional<std::string> input;      // written to its stdin through a pipe; none: /dev/null
  int stdin_fd = -1;                     // given as its stdin in place of that
  std::vector<std::string> environment;  // "NAME=value", added to ours
  std::function<void()> in_child;        // called after fork, before exec: system calls only
};

struct CommandOutcome {
  int status = -1;  // exit code, or 128 + the signal's number
  std::string out, err;
  double seconds = 0;
  std::uint64_t peak_resident_kib = 0;  // VmHWM as last seen before its end; 0: too short to see
};

class RunningCommand {
 public:
  explicit RunningCommand(const std::vector<std::string>& argv, const CommandOptions& options = {});
  RunningCommand(const RunningCommand&) = delete;
  RunningCommand& operator=(const RunningCommand&) = delete;
  ~RunningCommand();

  pid_t pid() const { return pid_; }
  void kill(int signal) const;
  // Reads on until its output has `text` in it. False after five seconds.
  bool wait_for_output(const std::string& text);
  CommandOutcome wait();

 private:
  // Copies what there is, and waits for more for that long. False at the end of both streams.
  bool pump(int milliseconds);
  void look_at_memory();

  pid_t pid_ = -1;
  int in_ = -1, out_ = -1, err_ = -1;
  std::string input_;
  double began_ = 0;
  CommandOutcome outcome_;
};

CommandOutcome run_command(const std::vector<std::string>& argv,
                           const CommandOptions& options = {});

double seconds_now();

}  // namespace cove::testing
