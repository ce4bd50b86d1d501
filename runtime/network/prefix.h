// Ranges of addresses: "10.0.0.0/8", "fe80::/10"; without a length, one address.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "cove/result.h"

namespace cove {

enum class IpVersion { four, six };

struct Prefix {
  IpVersion version = IpVersion::four;
  std::array<std::uint8_t, 16> address{};  // network order; the first 4 for IPv4; 0 behind `length`
  unsigned length = 0;                     // bits: to 32 or 128
};

// Errors: internal. They come from a plan, and that has them from tables.
Result<std::vector<Prefix>> parse_prefixes(const std::vector<std::string>& texts);

}  // namespace cove
