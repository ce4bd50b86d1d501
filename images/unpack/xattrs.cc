#include "images/unpack/xattrs.h"

#include <sys/xattr.h>

#include <vector>

namespace cove {
namespace {

constexpr std::size_t kLargest = 65536;  // XATTR_LIST_MAX and XATTR_SIZE_MAX of linux/limits.h

}  // namespace

std::map<std::string, std::string> read_xattrs(BorrowedFd file) {
  std::map<std::string, std::string> all;
  std::vector<char> names(kLargest), value(kLargest);
  const ssize_t size = flistxattr(file.number(), names.data(), names.size());
  for (ssize_t at = 0; at < size;) {
    const std::string name = &names[static_cast<std::size_t>(at)];
    at += static_cast<ssize_t>(name.size()) + 1;
    const ssize_t length = fgetxattr(file.number(), name.c_str(), value.data(), value.size());
    if (length >= 0) all[name].assign(value.data(), static_cast<std::size_t>(length));
  }
  return all;
}

}  // namespace cove
