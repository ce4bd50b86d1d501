#include "images/unpack/merged_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <array>

namespace cove {
namespace {

UniqueFd open_directory(int parent, const char* name) {
  return UniqueFd(
      openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
}

}  // namespace

bool is_opaque(BorrowedFd directory) {
  std::array<char, 2> value{};
  for (const char* name : {"trusted.overlay.opaque", "user.overlay.opaque"}) {
    if (fgetxattr(directory.number(), name, value.data(), value.size()) == 1 && value[0] == 'y')
      return true;
  }
  return false;
}

MergedDirectory merged_root(const std::vector<std::string>& layers) {
  MergedDirectory root;
  for (std::size_t at = layers.size(); at-- > 0;) {
    UniqueFd directory = open_directory(AT_FDCWD, layers[at].c_str());
    if (directory) root.push_back({std::move(directory), at});
  }
  return root;
}

MergedEntry look_in(const MergedDirectory& parents, const char* name) {
  MergedEntry found;
  for (const MergedPart& parent : parents) {
    struct stat status {};
    if (fstatat(parent.directory.number(), name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    const bool first = found.mode == 0;
    if (S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0)) return found;
    if (!S_ISDIR(status.st_mode)) {
      if (first) found = {{}, parent.directory.number(), status.st_mode};
      return found;
    }
    found.mode = status.st_mode;
    UniqueFd directory = open_directory(parent.directory.number(), name);
    if (!directory) return found;
    const bool opaque = is_opaque(directory);
    found.directory.push_back({std::move(directory), parent.layer});
    if (opaque) return found;
  }
  return found;
}

}  // namespace cove
