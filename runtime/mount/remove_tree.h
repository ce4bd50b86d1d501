// Removal of a directory with all that is below.
#pragma once

#include <string>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

// Follows no link and leaves no mount. One that is not there counts as removed. Errors: setup_failed,
// "scratch", with the first name that could not be removed; what can be is.
Result<void> remove_tree(BorrowedFd parent, const std::string& name);

}  // namespace cove
