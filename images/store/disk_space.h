// Bytes on disk: what trees take, and what a store that is full would have needed.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>

#include "cove/result.h"
#include "images/store/store.h"
#include "runtime/kernel/fd.h"

namespace cove {

// Of one file: its allocated blocks.
std::uint64_t allocated_bytes(const struct stat& status);
// Of `name` in `parent` with all below: allocated blocks, as du(1) counts them, a file with several
// links once.
Result<std::uint64_t> bytes_on_disk(BorrowedFd parent, const std::string& name);

// An error of a load, in whose hint is said how much room there is, where it is one for want of room;
// else as it was. `packed`: bytes of the image's blobs or of its archive, where these are known.
Error say_room(Error error, const Store& store, const Staging& staging,
               std::optional<std::uint64_t> packed);

}  // namespace cove
