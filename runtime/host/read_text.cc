#include "runtime/host/read_text.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "runtime/kernel/fd.h"

namespace cove {
namespace {

constexpr std::size_t kLargestText = 8 << 20;  // a mountinfo of a host with thousands of containers

}  // namespace

std::string read_text(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  std::string text;
  if (!file) return text;
  std::array<char, 4096> buffer;
  while (text.size() < kLargestText) {
    const ssize_t count = read(file.number(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return text;
}

}  // namespace cove
