// A file that one process still writes while another reads it already: a pipe beside it tells the
// reader that there is more, and whether all of it came.
//
//   writer: write(file, ...); tell_growth(pipe); ... tell_complete(pipe); close(pipe)
//   reader: at the end of the file, wait_for_growth(pipe)
//
// A writer never waits for its reader: the pipe never holds more than a few bytes.
#pragma once

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

// For the writing end. A reader that is gone is nobody's error.
void tell_growth(BorrowedFd writing);
void tell_complete(BorrowedFd writing);

enum class Growth {
  more,      // there may be more bytes now
  complete,  // all bytes are there
  broken,    // no more will come, and some are missing
};
// For the reading end: waits until there is something to say.
Growth wait_for_growth(BorrowedFd reading);

}  // namespace cove
