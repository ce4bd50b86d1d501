// Quantities with their unit in the type.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "cove/result.h"

namespace cove {

// A number of bytes. Text forms are Docker's: "512m", "1.5g", "64k", "1GiB", "100MB", "4096" or
// "4096b". As in Docker, every suffix is a power of 1024, with or without the "i" and the "B", in
// either case: k, m, g, t.
struct Bytes {
  std::uint64_t count = 0;

  auto operator<=>(const Bytes&) const = default;
};

constexpr Bytes kibibytes(std::uint64_t n) { return Bytes{n << 10}; }
constexpr Bytes mebibytes(std::uint64_t n) { return Bytes{n << 20}; }
constexpr Bytes gibibytes(std::uint64_t n) { return Bytes{n << 30}; }

// Refuses an empty text, a sign, an unknown suffix, anything behind the suffix, a fraction of a
// byte, and a value above 2^63 - 1 (what the kernel's own parsers hold).
Result<Bytes> parse_bytes(std::string_view text);

// The shortest exact text: "512 MiB", "1 GiB", "1000 bytes".
std::string to_string(Bytes bytes);

// Time limits, with fractions. Text form: a number of seconds, "1.5", or with a unit, "200ms",
// "1.5s", "2m", "1h". Refuses what is negative, not finite, or above 10 years.
using Duration = std::chrono::nanoseconds;

Result<Duration> parse_duration(std::string_view text);

// Seconds as a decimal text: "1.5 s".
std::string to_string(Duration duration);

// Of a terminal, in characters. 0: not known, which programs take for 24 by 80.
struct WindowSize {
  std::uint16_t rows = 0;
  std::uint16_t columns = 0;
};

}  // namespace cove
