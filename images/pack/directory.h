// A directory as the tar stream of a layer (pax, gzip): owners, modes, times to the nanosecond, hard
// links, file capabilities and user.* attributes. The same tree gives the same tar stream. Holes are
// written as zeros, which cost next to nothing: Docker and Podman cannot save a layer again that says
// where its files have holes.
//
// Others may write there meanwhile. Every directory and file is opened by its last name alone, below
// the directory that holds it, with openat2: no link is followed, and no other file system entered,
// so that nothing of outside can get in. A file that changes while it is read is an error.
//
// Left out, with a note each: device nodes, sockets, what is mounted below (of a directory the
// directory itself stays), names that begin with ".wh." (they would remove something), and other
// attributes.
//
// Meant to run in a ConfinedProcess, as root with CAP_DAC_READ_SEARCH.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "cove/result.h"
#include "images/unpack/layer.h"
#include "runtime/kernel/fd.h"

namespace cove {

using Notes = std::map<std::string, std::uint64_t>;  // what was left out -> how often

// Writes to `out`, a pipe for example; SIGPIPE has to be ignored. Errors: permission_denied, all files
// that could not be read in one; image_invalid (a limit; a file changed); setup_failed with the errno
// of a write that failed.
Result<Notes> pack_directory(BorrowedFd root, BorrowedFd out, const UnpackLimits& limits);

}  // namespace cove
