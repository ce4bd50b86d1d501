// The caller's terminal, while a program inside has one of its own: every key goes inside, and the
// settings are put back on every way out.
//
//   auto terminal = CallerTerminal::watch(STDIN_FILENO);
//   terminal->make_raw();
//   ...
//   terminal->restore();
//
// A small process, the guard, puts them back where this one is killed. It holds nothing but the
// terminal and the end of a pipe.
#pragma once

#include <sys/types.h>
#include <termios.h>

#include <optional>

#include "cove/result.h"
#include "cove/units.h"

namespace cove::cli {

class CallerTerminal {
 public:
  // Remembers the settings of `fd`, a terminal, and starts the guard. Before there is any descriptor
  // or thread that a forked process should not have.
  static Result<CallerTerminal> watch(int fd);
  CallerTerminal(CallerTerminal&& other) noexcept;
  CallerTerminal& operator=(CallerTerminal&&) = delete;
  ~CallerTerminal();  // restores, and lets the guard go

  // Both async-signal-safe. An error means that the terminal is gone; then nothing is to be done.
  void make_raw();
  void restore();

  // In a process forked from the one that watches: the terminal is not its own to restore.
  void forget();

 private:
  CallerTerminal(int fd, const termios& settings, int guard_pipe);

  int fd_;
  termios settings_, raw_;
  int guard_pipe_;
};

// Of the first of our streams that is a terminal. Async-signal-safe.
WindowSize window_of_caller();

}  // namespace cove::cli
