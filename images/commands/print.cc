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

std::string printable(std::string text) {
  unsigned char before = 0;
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool control = (byte < ' ' && c != '\n') || byte == 0x7f;
    // U+0080 to U+009F: control characters too, as UTF-8 has them.
    if (control || (before == 0xc2 && byte >= 0x80 && byte < 0xa0)) c = '?';
    before = byte;
  }
  return text;
}

std::string plural(std::uint64_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

}  // namespace cove
