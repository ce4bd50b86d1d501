#include "images/build/ignore.h"

#include <algorithm>
#include <span>

namespace cove {
namespace {

constexpr std::string_view kBlanks = " \t\r";
constexpr std::string_view kAnyDepth = "**";

using Parts = std::span<const std::string>;

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// "./a//b/" -> {"a", "b"}
std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (!part.empty() && part != ".") parts.emplace_back(part);
  }
  return parts;
}

// Read in one way alone: "*" inside a part, "**" as a part of its own, and, in what ignores, "?".
bool is_plain(const std::vector<std::string>& parts, bool exception) {
  return !parts.empty() && std::all_of(parts.begin(), parts.end(), [&](const std::string& part) {
    const bool deep = part.find(kAnyDepth) != std::string::npos && part != kAnyDepth;
    return !deep && part != ".." && part.find_first_of("[\\") == std::string::npos &&
           !(exception && part.find('?') != std::string::npos);
  });
}

bool matches(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern.front() == '*') {
    for (std::size_t skipped = 0; skipped <= name.size(); ++skipped) {
      if (matches(pattern.substr(1), name.substr(skipped))) return true;
    }
    return false;
  }
  return !name.empty() && (pattern.front() == '?' || pattern.front() == name.front()) &&
         matches(pattern.substr(1), name.substr(1));
}

// The whole path, or a directory above it: what is in an ignored directory is ignored.
bool matches(Parts pattern, Parts path) {
  if (pattern.empty()) return true;
  if (path.empty()) return false;
  if (pattern.front() == kAnyDepth) {
    if (pattern.size() == 1) return true;
    return matches(pattern.subspan(1), path) || matches(pattern, path.subspan(1));
  }
  return matches(std::string_view(pattern.front()), std::string_view(path.front())) &&
         matches(pattern.subspan(1), path.subspan(1));
}

}  // namespace

IgnoredFiles::IgnoredFiles(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view whole = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (whole.starts_with('#')) continue;
    std::string_view line = trimmed(whole);
    const bool exception = line.starts_with('!');
    if (exception) line = trimmed(line.substr(1));
    if (line.empty()) continue;
    Pattern pattern{parts_of(line), exception};
    if (!is_plain(pattern.parts, exception)) {
      if (exception) patterns_.clear();
      continue;
    }
    has_exceptions_ = has_exceptions_ || exception;
    patterns_.push_back(std::move(pattern));
  }
}

bool IgnoredFiles::holds(std::string_view path) const {
  const std::vector<std::string> parts = parts_of(path);
  bool ignored = false;
  for (const Pattern& pattern : patterns_) {
    if (matches(Parts(pattern.parts), Parts(parts))) ignored = !pattern.exception;
  }
  return ignored;
}

}  // namespace cove
