// Work on a directory tree that somebody hostile filled: every step is relative to a descriptor,
// and no symbolic link is followed unless that is said.
#pragma once

#include <string>
#include <string_view>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

// Removes `name` in `directory`, whatever it is and with all below. True also if there was nothing.
// False with errno.
bool remove_tree(BorrowedFd directory, const char* name);

// Text from an archive, made fit for a message: control characters and the like become '?', and it
// is cut at 200 bytes.
std::string shown_name(std::string_view text);

}  // namespace cove
