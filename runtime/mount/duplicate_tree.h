// A copy of a directory that nobody can tell from it: contents, owners, modes, times, extended
// attributes (file capabilities and an overlay's marks are such), hard links, holes, whiteouts.
//
// Contents are reflinked where both lie on one file system that can: then the copy shares blocks of
// the disk with its source, and no page of memory.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

struct TreeDuplication {
  BorrowedFd source;                       // a directory that nobody changes meanwhile
  BorrowedFd target;                       // an empty one
  std::string shown;                       // the source's path, in errors
  const std::function<bool()>& abandoned;  // asked now and then: whether nobody wants it any more
};

// How the contents of files that have any came to the copy.
struct DuplicatedFiles {
  std::uint64_t reflinked = 0;
  std::uint64_t copied = 0;
};

// Needs the rights of root over all that is in the source, at least in this user namespace. Errors,
// "private rootfs", behind which the target is in any state: resource_exhausted where the disk is
// full; setup_failed, also where it was abandoned (ECANCELED).
Result<DuplicatedFiles> duplicate_tree(const TreeDuplication& duplication);

}  // namespace cove
