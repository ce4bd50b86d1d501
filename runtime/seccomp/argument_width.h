// How much of a system call's argument the kernel looks at.
//
// A filter sees 64 bits of each. Of an `int` the kernel takes the low 32, so socket(16 | 1 << 32)
// opens what socket(16) opens; a comparison of 64 bits lets it pass. Arguments whose meaning
// depends on another one (the third of fcntl, the later ones of prctl) count as 64 bits.
#pragma once

#include <cstdint>
#include <string_view>

namespace cove {

// A mask: 0xffffffff for an int. All ones also for calls and arguments that are not known here.
std::uint64_t bits_seen_by_kernel(std::string_view syscall, unsigned index);

}  // namespace cove
