// Directories, by descriptor: no path that somebody else can change is walked.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/kernel/fd.h"

namespace cove {

// What is in a directory, without "." and "..", in no order. Nothing, with errno, where it cannot be
// listed. Leaves the position of `directory` alone, and takes O_PATH.
std::optional<std::vector<std::string>> names_in(BorrowedFd directory);

// Removes `name` in `directory`, whatever it is and with all below, however deep; no link is followed,
// and no mount entered. True also if there was nothing. False, with errno, if something is left, for
// which all that can be removed is.
bool remove_tree(BorrowedFd directory, const char* name);

// Whether it belongs to this process's user, and nobody else may enter it: in /tmp anybody may have
// made it first. False with errno (0: it is as it should not be).
bool is_private(BorrowedFd directory);

}  // namespace cove
