// A person at a terminal: a session of its own, in which a command runs in the foreground.
//
//   DrivenTerminal terminal(cove_run({"-it"}, "echo-stdin"));
//   terminal.type("hello\r");
//   ASSERT_TRUE(terminal.wait_for("hello\r\nhello")) << terminal.screen();
//   EXPECT_EQ(terminal.wait(), 0);
//   EXPECT_TRUE(terminal.is_as_before());
//
// As below a shell, the session's leader is another process than the command, which may thus be
// killed without a hang-up.
#pragma once

#include <sys/types.h>
#include <termios.h>

#include <string>
#include <vector>

#include "cove/units.h"

namespace cove::testing {

class DrivenTerminal {
 public:
  explicit DrivenTerminal(const std::vector<std::string>& argv, WindowSize window = {24, 80});
  DrivenTerminal(const DrivenTerminal&) = delete;
  DrivenTerminal& operator=(const DrivenTerminal&) = delete;
  ~DrivenTerminal();  // hangs up, and kills what is left of the session

  void type(const std::string& keys) const;
  void resize(WindowSize window) const;
  // Of the command, not of the session's leader.
  void kill(int signal) const;

  // Reads on until the screen shows `text` behind what an earlier call has found. False after five
  // seconds.
  bool wait_for(const std::string& text);
  // Reads on for that long.
  void read_for(double seconds);
  const std::string& screen() const { return screen_; }

  bool is_raw() const;
  bool is_as_before() const;  // settings, all of them
  // The same, once they had a tenth of a second to become so.
  bool becomes_as_before() const;

  // Reads on until the command has ended; its exit status, or 128 + the signal's number. -1 where it
  // has not within ten seconds.
  int wait();

 private:
  bool pump(int milliseconds);
  termios settings() const;

  int ours_ = -1, theirs_ = -1, status_pipe_ = -1;
  pid_t leader_ = -1, command_ = -1;
  termios before_{};
  std::string screen_;
  std::size_t seen_ = 0;
};

}  // namespace cove::testing
