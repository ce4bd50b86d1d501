// A directory tree in words, to compare what is seen in one place with what is seen in another.
#pragma once

#include "tests/support/payload.h"

namespace probe {

// tree DIRECTORY [EXCEPT...]: one line for each entry below, sorted; EXCEPT are paths below
// DIRECTORY that are left out, with what is in them. A line has all that an image can say of a file:
// its path, type and mode, owner, time of modification in nanoseconds, the other names that it has,
// and of a regular file size and content (as a checksum), of a link its target, of a device
// its number, and extended attributes.
void describe_tree(const cove::payload::Arguments& arguments);

}  // namespace probe
