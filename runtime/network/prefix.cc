#include "runtime/network/prefix.h"

#include <arpa/inet.h>

#include <charconv>
#include <optional>

namespace cove {
namespace {

// Bits behind `length` would be compared with an address's in vain.
bool ends_in_zeros(const Prefix& prefix, unsigned bits) {
  for (unsigned bit = prefix.length; bit < bits; ++bit) {
    if ((prefix.address[bit / 8] >> (7 - bit % 8) & 1) != 0) return false;
  }
  return true;
}

std::optional<Prefix> parse(const std::string& text) {
  const std::size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  Prefix prefix;
  if (inet_pton(AF_INET, address.c_str(), prefix.address.data()) != 1) {
    prefix.version = IpVersion::six;
    if (inet_pton(AF_INET6, address.c_str(), prefix.address.data()) != 1) return std::nullopt;
  }
  const unsigned bits = prefix.version == IpVersion::four ? 32 : 128;
  prefix.length = bits;
  if (slash != std::string::npos) {
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + slash + 1, end, prefix.length);
    if (parsed.ec != std::errc{} || parsed.ptr != end || prefix.length > bits) return std::nullopt;
  }
  if (!ends_in_zeros(prefix, bits)) return std::nullopt;
  return prefix;
}

}  // namespace

Result<std::vector<Prefix>> parse_prefixes(const std::vector<std::string>& texts) {
  std::vector<Prefix> prefixes;
  for (const std::string& text : texts) {
    const auto prefix = parse(text);
    if (!prefix) {
      return fail(
          Error{ErrorCode::internal, "network", 0, "is no range of addresses", text, "", {}});
    }
    prefixes.push_back(*prefix);
  }
  return prefixes;
}

}  // namespace cove
