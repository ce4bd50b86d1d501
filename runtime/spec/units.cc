#include "cove/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "runtime/text/text.h"

namespace cove {
namespace {

constexpr std::uint64_t kMaxBytes = std::numeric_limits<std::int64_t>::max();
constexpr double kMaxSeconds = 10.0 * 365 * 24 * 3600;

Error unit_error(std::string_view text, std::string_view what, std::string hint) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.what = in_quotes(text);
  error.what += ' ';
  error.what += what;
  error.hint = std::move(hint);
  return error;
}

constexpr const char* kBytesHint =
    "write a size such as 512m, 1.5g, 64k or 1GiB; suffixes are powers of 1024";
constexpr const char* kDurationHint = "write seconds, 1.5, or a unit: 200ms, 1.5s, 2m, 1h";

// Splits "1.5GiB" into 1.5 and "GiB". A number is digits with at most one point: no sign, no
// exponent.
struct Quantity {
  long double value;
  std::string_view suffix;
};

Result<Quantity> split(std::string_view text, const char* hint) {
  std::size_t end = 0;
  int points = 0, digits = 0;
  while (end < text.size() && ((text[end] >= '0' && text[end] <= '9') || text[end] == '.')) {
    text[end] == '.' ? ++points : ++digits;
    ++end;
  }
  if (digits == 0 || points > 1)
    return fail(unit_error(text, "does not start with a number", hint));
  long double value = 0;
  const auto parsed =
      std::from_chars(text.data(), text.data() + end, value, std::chars_format::fixed);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + end) {
    return fail(unit_error(text, "is not a number that can be held", hint));
  }
  return Quantity{value, text.substr(end)};
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace

Result<Bytes> parse_bytes(std::string_view text) {
  const Result<Quantity> quantity = split(text, kBytesHint);
  if (!quantity) return fail(quantity.error());

  struct Suffix {
    std::string_view text;
    int shift;
  };
  static constexpr std::array<Suffix, 14> kSuffixes{{{"", 0},
                                                     {"b", 0},
                                                     {"k", 10},
                                                     {"kb", 10},
                                                     {"kib", 10},
                                                     {"m", 20},
                                                     {"mb", 20},
                                                     {"mib", 20},
                                                     {"g", 30},
                                                     {"gb", 30},
                                                     {"gib", 30},
                                                     {"t", 40},
                                                     {"tb", 40},
                                                     {"tib", 40}}};
  const std::string suffix = lower(quantity->suffix);
  for (const Suffix& known : kSuffixes) {
    if (suffix != known.text) continue;
    const long double bytes = std::ldexp(quantity->value, known.shift);
    if (bytes > static_cast<long double>(kMaxBytes)) {
      return fail(unit_error(text, "is more than a size can be",
                             "the largest is 9223372036854775807 bytes"));
    }
    if (bytes != std::floor(bytes))
      return fail(unit_error(text, "is not a whole number of bytes", kBytesHint));
    return Bytes{static_cast<std::uint64_t>(bytes)};
  }
  return fail(unit_error(text, "has an unknown suffix", kBytesHint));
}

std::string to_string(Bytes bytes) {
  struct Unit {
    const char* name;
    int shift;
  };
  static constexpr std::array<Unit, 4> kUnits{
      {{" TiB", 40}, {" GiB", 30}, {" MiB", 20}, {" KiB", 10}}};
  for (const Unit& unit : kUnits) {
    const std::uint64_t one = std::uint64_t{1} << unit.shift;
    if (bytes.count >= one && bytes.count % one == 0)
      return std::to_string(bytes.count >> unit.shift) + unit.name;
  }
  return std::to_string(bytes.count) + (bytes.count == 1 ? " byte" : " bytes");
}

Result<Duration> parse_duration(std::string_view text) {
  const Result<Quantity> quantity = split(text, kDurationHint);
  if (!quantity) return fail(quantity.error());

  struct Suffix {
    std::string_view text;
    long double seconds;
  };
  static constexpr std::array<Suffix, 6> kSuffixes{
      {{"", 1}, {"s", 1}, {"ms", 1e-3L}, {"us", 1e-6L}, {"m", 60}, {"h", 3600}}};
  for (const Suffix& known : kSuffixes) {
    if (quantity->suffix != known.text) continue;
    const long double seconds = quantity->value * known.seconds;
    if (seconds > kMaxSeconds)
      return fail(unit_error(text, "is more than ten years", "leave the limit out for no limit"));
    return Duration{static_cast<std::int64_t>(std::llround(seconds * 1e9L))};
  }
  return fail(unit_error(text, "has an unknown unit", kDurationHint));
}

std::string to_string(Duration duration) { return decimal_seconds(duration) + " s"; }

}  // namespace cove
