// Reading small files whole, by descriptor and with a cap: records of the store (ours) and
// /etc/passwd of root filesystems (anybody's). Nothing here follows a link out of the directory
// that it was given, blocks on a fifo, or reads a device.
#pragma once

#include <cstdint>
#include <string>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

// openat2(2) on `path` below `directory`; `resolve` is RESOLVE_IN_ROOT and its relatives.
// RESOLVE_NO_MAGICLINKS is always added. -1 with errno.
UniqueFd open_beneath(BorrowedFd directory, const char* path, std::uint64_t flags,
                      std::uint64_t resolve);

// What a capped read does with a file that is larger.
enum class Oversize {
  refuse,       // EFBIG
  whole_lines,  // keep the lines that fit
};

// Reads what is left of a regular file. On failure errno is set and an Error made from it is
// returned (EINVAL: not a regular file).
Result<std::string> read_regular(BorrowedFd file, std::size_t cap, Oversize oversize,
                                 const std::string& name);

// The cap on passwd and group, and how they are read: empty if absent, no regular file, or
// unreadable.
inline constexpr std::size_t kAccountsCap = 256 * 1024;
std::string read_accounts_file(BorrowedFd root, const char* path);

// From errno: resource_exhausted where the disk or a quota is full, else setup_failed.
Error storage_error(const char* step, const char* action, std::string where);

}  // namespace cove
