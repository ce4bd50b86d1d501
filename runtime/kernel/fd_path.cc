#include "runtime/kernel/fd_path.h"

#include <unistd.h>

#include <array>
#include <climits>

namespace cove::kernel {

std::string path_of(BorrowedFd fd) {
  std::array<char, PATH_MAX> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd.number());
  const ssize_t length = readlink(link.c_str(), path.data(), path.size());
  return length > 0 ? std::string(path.data(), static_cast<std::size_t>(length)) : std::string();
}

}  // namespace cove::kernel
