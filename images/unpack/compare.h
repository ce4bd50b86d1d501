// Two directory trees, entry by entry: whether a layer on disk still is what its archive makes.
#pragma once

#include <functional>
#include <string>

#include "images/unpack/implied.h"
#include "runtime/kernel/fd.h"

namespace cove {

// Tells each difference by its path ("" for the directory itself) and what it is: "is missing",
// "should not be there", "has another content". Compared are type, mode, owner, time of modification
// (not of directories in `untimed`), number of names, size and content, a link's target, a device's
// number, and extended attributes.
using TellDifference = std::function<void(const std::string& path, const std::string& what)>;
void compare_trees(BorrowedFd expected, BorrowedFd found, const Implied& untimed,
                   const TellDifference& tell);

}  // namespace cove
