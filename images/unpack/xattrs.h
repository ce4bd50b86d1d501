// Extended attributes of an open file.
#pragma once

#include <map>
#include <string>

#include "runtime/kernel/fd.h"

namespace cove {

// All that this process may see, with their values. Empty where the file system has none.
std::map<std::string, std::string> read_xattrs(BorrowedFd file);

}  // namespace cove
