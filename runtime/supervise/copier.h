// One stream of a program, copied between our pipe and its other side. None of these calls blocks
// on the program; a reader or writer that is slow on the caller's side holds up its own stream
// only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cove/plan.h"
#include "runtime/supervise/capture.h"
#include "runtime/supervise/key_sequence.h"
#include "runtime/supervise/watched_fd.h"

namespace cove {

// What to wait for before the next step.
enum class Pending {
  source,       // until the reading side has something
  destination,  // until the writing side takes something
  nothing,      // it can go on at once
  done,         // end of the stream
};

// stdout or stderr: kept, or passed on to a descriptor of the caller's.
class OutputCopier {
 public:
  // Captures. `null` is /dev/null, where what is not kept is drained to without a copy.
  OutputCopier(UniqueFd pipe, const StreamPlan& plan, BorrowedFd null);
  // Passes on to `destination`, a duplicate of the caller's.
  OutputCopier(UniqueFd pipe, const StreamPlan& plan, BorrowedFd null, UniqueFd destination);

  // A copier made without a pipe is at its end until it gets this: a terminal, which the sandbox
  // makes for its program.
  void connect(UniqueFd terminal) { pipe_ = WatchedFd(std::move(terminal)); }

  Pending step();
  // What was given up is in no epoll set any more.
  void close_given_up();
  // Whatever is still to come is counted, and goes nowhere.
  void discard() { discarding_ = true; }
  // The program is gone: what is in the pipe now is all there will be, whoever else still holds the
  // other end.
  void program_ended() { ended_ = true; }

  BorrowedFd source() const { return pipe_; }
  BorrowedFd destination() const { return destination_; }
  bool over_cap() const { return capture_.over_cap(); }
  CapturedStream finish() && { return std::move(capture_).finish(); }

 private:
  Pending capture_step();
  Pending discard_step();
  Pending drop_step();
  Pending pass_on_step();
  Pending copy_step();
  Pending source_empty();
  Pending close();

  WatchedFd pipe_, destination_;
  BorrowedFd null_;
  Capture capture_;
  std::optional<std::uint64_t> pass_limit_;  // passed_on: bytes still let through
  bool splice_works_ = true;
  bool ended_ = false;
  bool discarding_ = false;
  std::string unwritten_;  // read, and not taken by the destination yet
};

// The program's standard input, from bytes or from a descriptor of the caller's.
class InputCopier {
 public:
  InputCopier(UniqueFd pipe, std::string bytes);
  InputCopier(UniqueFd pipe, UniqueFd source);
  // Into a terminal, once it is connected; the end of `source` is typed as its end-of-file
  // character.
  static InputCopier typing(UniqueFd source, std::string detach_keys);
  bool awaits_terminal() const { return typing_ && !pipe_; }
  void connect(UniqueFd terminal) { pipe_ = WatchedFd(std::move(terminal)); }

  Pending step();
  // What was given up is in no epoll set any more.
  void close_given_up();
  // The keys were typed; nothing more is read.
  bool detached() const { return keys_.complete(); }
  // Whatever is still to come will not be read.
  void stop() { pipe_.give_up(); }
  BorrowedFd source() const { return source_; }
  BorrowedFd destination() const { return pipe_; }

 private:
  Pending at_end();
  Pending close();
  WatchedFd pipe_, source_;
  bool typing_ = false;
  KeySequence keys_{{}};
  bool splice_works_ = true;
  std::string unwritten_;
  std::size_t written_ = 0;
};

}  // namespace cove
