// Compiled filters on disk. An entry holds the policy's whole source and is used for that source
// alone; one that is damaged, of another build or not the caller's own counts as none. Nothing here
// can fail a launch.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/kernel/fd.h"

namespace cove {

// FNV-1a, 64 bits. Finds and tells apart; whatever matters is compared in full.
std::uint64_t content_hash(std::string_view bytes);

// 16 digits.
std::string hexadecimal(std::uint64_t number);

std::string cache_entry_name(std::string_view source);

std::optional<std::vector<sock_filter>> read_cached(BorrowedFd directory, std::string_view source);

// Written under a temporary name, then renamed: a reader sees a whole entry or none.
void write_cached(BorrowedFd directory, std::string_view source,
                  std::span<const sock_filter> program);

}  // namespace cove
