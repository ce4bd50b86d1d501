// Reading and writing the small files of cgroupfs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

Result<void> write_group_file(BorrowedFd group, const char* file, std::string_view value);

// The whole file; empty where it does not exist or cannot be read.
std::string read_group_file(BorrowedFd group, const char* file);

// A file that holds one number ("max" is none).
std::optional<std::uint64_t> read_group_number(BorrowedFd group, const char* file);

// The number behind `key` in a file of "key number" lines.
std::optional<std::uint64_t> find_key(std::string_view text, std::string_view key);

}  // namespace cove
