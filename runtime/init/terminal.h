// The terminal of a program: a pair from the sandbox's own devpts.
#pragma once

#include "cove/result.h"
#include "cove/units.h"
#include "runtime/kernel/fd.h"

namespace cove {

struct Terminal {
  UniqueFd outside;  // the supervisor's end (ptmx); does not block
  UniqueFd inside;   // the program's (pts)
};

// Inside the finished root, before any program runs there: nothing else can lie at /dev/pts then.
Result<Terminal> open_terminal(WindowSize window);

// `inside`: of a Terminal. Its foreground processes get SIGWINCH where the size is another one.
void set_window(BorrowedFd inside, WindowSize window);

}  // namespace cove
