// A small regular file, whole.
#pragma once

#include <cstddef>
#include <string>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

// `file` must be open for reading. Errors: invalid_argument where it is not a regular file or has
// more than `limit` bytes, also while it grows; else what read(2) says.
Result<std::string> read_regular_file(BorrowedFd file, std::size_t limit);

}  // namespace cove
