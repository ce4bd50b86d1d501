// A copy of a directory of the host's, for where it cannot be mounted.
#pragma once

#include <sys/types.h>

#include <set>
#include <string>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

struct TreeCopy {
  BorrowedFd source;  // a directory, O_PATH will do
  BorrowedFd target;  // another, which may hold files already: they stay
  std::string shown;  // the source's path: in errors, and in front of names in `left_out`
  const std::set<std::string>& left_out;  // with all that is below
  uid_t uid = 0;                          // whose the copies are
  gid_t gid = 0;
};

// Directories, regular files and links; what cannot be read, and everything else, is left out. Modes
// are kept but for set-id bits. Errors: setup_failed, "root", where the target is full.
Result<void> copy_tree(const TreeCopy& copy);

}  // namespace cove
