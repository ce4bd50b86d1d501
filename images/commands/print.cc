#include "images/commands/print.h"

#include <array>
#include <cstdio>

namespace cove {

using nlohmann::ordered_json;

std::string dump(const ordered_json& document, int indent) {
  return document.dump(indent, ' ', false, ordered_json::error_handler_t::replace);
}

std::string short_digest(const std::string& digest) {
  return digest.substr(0, sizeof("sha256:") - 1 + 12);
}

std::string mebibyte_text(std::uint64_t bytes) {
  std::array<char, 32> text{};
  const double mebi = static_cast<double>(bytes) / (1024.0 * 1024.0);
  std::snprintf(text.data(), text.size(), mebi < 10 ? "%.1f MiB" : "%.0f MiB", mebi);
  return text.data();
}

std::string plural(std::uint64_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

}  // namespace cove
