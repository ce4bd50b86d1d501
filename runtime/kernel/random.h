// The kernel's random numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace cove::kernel {

std::uint64_t random_bits();
// Up to 16 lower-case hexadecimal digits: a name that nobody guesses, and no two get.
std::string random_hex(std::size_t digits);

}  // namespace cove::kernel
