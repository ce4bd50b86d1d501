#include "runtime/kernel/random.h"

#include <sys/random.h>

namespace cove::kernel {

std::uint64_t random_bits() {
  std::uint64_t bits = 0;
  // Up to 256 bytes never fail or block once the pool is initialised.
  while (getrandom(&bits, sizeof bits, 0) != sizeof bits) {
  }
  return bits;
}

std::string random_hex(std::size_t digits) {
  std::string hex(digits, '0');
  std::uint64_t bits = random_bits();
  for (char& digit : hex) {
    digit = "0123456789abcdef"[bits & 15U];
    bits >>= 4U;
  }
  return hex;
}

}  // namespace cove::kernel
