#include "runtime/text/text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

namespace cove {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::string_view kHex = "0123456789abcdef";

// Length of the well-formed sequence at the start of `bytes`; 0 if there is none. The ranges of the
// second byte are those of table 3-7 of the Unicode standard.
std::size_t sequence_length(std::string_view bytes) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const auto continues = [&](std::size_t i) { return i < bytes.size() && (at(i) & 0xC0) == 0x80; };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  if (!continues(1)) return 0;
  if (first < 0xE0) return 2;

  const unsigned char second = at(1);
  if (first == 0xE0 && second < 0xA0) return 0;  // overlong
  if (first == 0xED && second > 0x9F) return 0;  // surrogates
  if (first == 0xF0 && second < 0x90) return 0;  // overlong
  if (first == 0xF4 && second > 0x8F) return 0;  // above U+10FFFF
  if (!continues(2)) return 0;
  if (first < 0xF0) return 3;
  return continues(3) ? 4 : 0;
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

void append_hex(std::string& out, char c) {
  const auto byte = static_cast<unsigned char>(c);
  out += "\\x";
  out += kHex[byte >> 4];
  out += kHex[byte & 15];
}

// What people write who come from another tool.
struct Alias {
  std::string_view written;
  std::string_view meant;
};
constexpr auto kAliases = std::to_array<Alias>({
    {"args", "command"},
    {"argv", "command"},
    {"cmd", "command"},
    {"code", "command"},
    {"container", "container_path"},
    {"cpu", "cpus"},
    {"cpu_limit", "cpus"},
    {"cpu_shares", "cpu_weight"},
    {"cwd", "workdir"},
    {"destination", "container_path"},
    {"dir", "workdir"},
    {"dst", "container_path"},
    {"environment", "env"},
    {"host", "host_path"},
    {"image_ref", "image"},
    {"input", "stdin"},
    {"limits", "resources"},
    {"mem", "memory"},
    {"mem_limit", "memory"},
    {"memory_limit", "memory"},
    {"network_mode", "network"},
    {"path", "container_path"},
    {"pids", "pids_limit"},
    {"readonly", "read_only"},
    {"ro", "read_only"},
    {"root", "rootfs"},
    {"source", "host_path"},
    {"src", "host_path"},
    {"storage", "disk"},
    {"target", "container_path"},
    {"time_limit", "timeout"},
    {"ulimits", "rlimits"},
    {"version", "spec_version"},
    {"volumes", "mounts"},
    {"working_dir", "workdir"},
});

// Levenshtein's distance with swapped neighbours counted once (the commonest slip of all).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

// Spelled as our names are: "cpuWeight", "CPU-weight" and "cpu weight" become "cpu_weight".
std::string in_our_spelling(std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool upper = c >= 'A' && c <= 'Z';
    const bool after_lower = i > 0 && name[i - 1] >= 'a' && name[i - 1] <= 'z';
    if (upper && after_lower) out += '_';
    if (upper) {
      out += static_cast<char>(c - 'A' + 'a');
    } else {
      out += c == '-' || c == ' ' ? '_' : c;
    }
  }
  return out;
}

}  // namespace

bool is_utf8(std::string_view bytes) {
  std::size_t i = 0;
  while (i < bytes.size()) {
    // Eight ASCII bytes at a time: megabytes of output come through here.
    std::uint64_t eight = 0;
    while (i + sizeof eight <= bytes.size()) {
      std::memcpy(&eight, bytes.data() + i, sizeof eight);
      if ((eight & 0x8080808080808080U) != 0) break;
      i += sizeof eight;
    }
    if (i == bytes.size()) break;
    if (static_cast<unsigned char>(bytes[i]) < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = sequence_length(bytes.substr(i));
    if (length == 0) return false;
    i += length;
  }
  return true;
}

std::string to_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t length = sequence_length(bytes);
    out += length == 0 ? kReplacement : bytes.substr(0, length);
    bytes.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

std::string in_quotes(std::string_view text, std::size_t longest) {
  std::string out = "\"";
  while (!text.empty()) {
    if (out.size() > longest) return out + "...\"";
    const std::size_t length = sequence_length(text);
    if (length == 0 || is_control(text[0])) {
      append_hex(out, text[0]);
    } else {
      if (text[0] == '"' || text[0] == '\\') out += '\\';
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out + "\"";
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_control(c)) {
      append_hex(out, c);
    } else {
      out += c;
    }
  }
  return out;
}

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string to_base64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t have = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < have ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += k <= have ? kBase64[group >> (18 - 6 * k) & 63] : '=';
    }
  }
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  static constexpr auto kValues = [] {
    std::array<std::int8_t, 256> values{};
    values.fill(-1);
    for (std::size_t i = 0; i < kBase64.size(); ++i) {
      values[static_cast<unsigned char>(kBase64[i])] = static_cast<std::int8_t>(i);
    }
    return values;
  }();
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }

  std::string out;
  out.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const std::int8_t value = kValues[static_cast<unsigned char>(c)];
    if (value < 0) return std::nullopt;
    bits = (bits << 6 | static_cast<std::uint32_t>(value)) & 0xFFFFFF;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out += static_cast<char>(bits >> held & 0xFF);
  }
  if ((bits & ((1U << held) - 1)) != 0) return std::nullopt;  // bits that no byte carries
  return out;
}

std::string decimal_seconds(std::chrono::nanoseconds duration) {
  // Unsigned, since the most negative count has no positive counterpart.
  const bool negative = duration.count() < 0;
  const auto raw = static_cast<std::uint64_t>(duration.count());
  const std::uint64_t count = negative ? 0 - raw : raw;
  std::string text(negative ? "-" : "");
  text += std::to_string(count / 1'000'000'000);
  const std::uint64_t rest = count % 1'000'000'000;
  if (rest == 0) return text;
  const std::string digits = std::to_string(1'000'000'000 + rest).substr(1);
  text += '.';
  return text.append(digits, 0, digits.find_last_not_of('0') + 1);
}

std::string_view nearest(std::string_view name, std::span<const std::string_view> known) {
  constexpr std::size_t kLongestName = 64;  // no name of ours is near that; bounds the work below
  if (name.empty() || name.size() > kLongestName) return {};
  const std::string written = in_our_spelling(name);
  for (const Alias& alias : kAliases) {
    if (written != alias.written) continue;
    const auto found = std::ranges::find(known, alias.meant);
    if (found != known.end()) return *found;
  }

  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(1, written.size() / 3) + 1;
  for (const std::string_view candidate : known) {
    const std::size_t d = distance(written, candidate);
    if (d >= best_distance || d >= candidate.size()) continue;
    best_distance = d;
    best = candidate;
  }
  return best;
}

}  // namespace cove
