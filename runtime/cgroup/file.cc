#include "runtime/cgroup/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>

namespace cove {

Result<void> write_group_file(BorrowedFd group, const char* file, std::string_view value) {
  const UniqueFd fd(openat(group.number(), file, O_WRONLY | O_CLOEXEC));
  if (!fd || write(fd.number(), value.data(), value.size()) < 0) {
    Error error =
        errno_error(ErrorCode::setup_failed, "cgroup", "write \"" + std::string(value) + "\"");
    error.where = file;
    return fail(std::move(error));
  }
  return {};
}

std::string read_group_file(BorrowedFd group, const char* file) {
  const UniqueFd fd(openat(group.number(), file, O_RDONLY | O_CLOEXEC));
  if (!fd) return {};
  std::array<char, 4096> buffer;  // NOLINT: filled by read
  const ssize_t got = read(fd.number(), buffer.data(), buffer.size());
  return got > 0 ? std::string(buffer.data(), static_cast<std::size_t>(got)) : std::string();
}

std::optional<std::uint64_t> read_group_number(BorrowedFd group, const char* file) {
  const std::string text = read_group_file(group, file);
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc{}) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> find_key(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (line.size() > key.size() && line.substr(0, key.size()) == key && line[key.size()] == ' ') {
      std::uint64_t value = 0;
      const std::string_view digits = line.substr(key.size() + 1);
      if (std::from_chars(digits.data(), digits.data() + digits.size(), value).ec == std::errc{})
        return value;
    }
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return std::nullopt;
}

}  // namespace cove
