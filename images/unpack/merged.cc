#include "images/unpack/merged.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <climits>
#include <deque>
#include <memory>

#include "images/store_index/files.h"

namespace cove {
namespace {

constexpr int kMaxLinks = 40;  // as the kernel

// The directories that make up one directory of the merged tree, the topmost first.
using MergedDirectory = std::vector<UniqueFd>;

bool is_opaque(int directory) {
  std::array<char, 2> value{};
  for (const char* name : {"trusted.overlay.opaque", "user.overlay.opaque"}) {
    if (fgetxattr(directory, name, value.data(), value.size()) == 1 && value[0] == 'y') return true;
  }
  return false;
}

UniqueFd open_directory(int parent, const char* name) {
  return UniqueFd(
      openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
}

// What a name is in a merged directory: nothing, a directory, or the one other thing on top.
struct Found {
  MergedDirectory directory;
  int parent = -1;  // of the other thing
  mode_t mode = 0;  // 0: nothing
};

Found look(const MergedDirectory& parents, const char* name) {
  Found found;
  for (const UniqueFd& parent : parents) {
    struct stat status {};
    if (fstatat(parent.number(), name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    const bool first = found.mode == 0;
    if (S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0)) return found;
    if (!S_ISDIR(status.st_mode)) {
      if (first) found = {{}, parent.number(), status.st_mode};
      return found;
    }
    found.mode = status.st_mode;
    UniqueFd directory = open_directory(parent.number(), name);
    if (!directory) return found;
    const bool opaque = is_opaque(directory.number());
    found.directory.push_back(std::move(directory));
    if (opaque) return found;
  }
  return found;
}

void push_front(std::deque<std::string>& parts, const std::string& path) {
  std::vector<std::string> own;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    if (end > at) own.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  parts.insert(parts.begin(), own.begin(), own.end());
}

}  // namespace

std::string read_merged_file(const std::vector<std::string>& layers, const std::string& path) {
  std::deque<MergedDirectory> trail(1);  // from the root to where we are
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    UniqueFd root = open_directory(AT_FDCWD, layer->c_str());
    if (root) trail.front().push_back(std::move(root));
  }
  std::deque<std::string> parts;
  push_front(parts, path);
  int links = 0;
  while (!parts.empty()) {
    const std::string part = parts.front();
    parts.pop_front();
    if (part == ".") continue;
    if (part == "..") {
      if (trail.size() > 1) trail.pop_back();
      continue;
    }
    Found found = look(trail.back(), part.c_str());
    if (S_ISDIR(found.mode)) {
      trail.push_back(std::move(found.directory));
    } else if (S_ISLNK(found.mode)) {
      std::array<char, PATH_MAX> target{};
      const ssize_t length = readlinkat(found.parent, part.c_str(), target.data(), target.size());
      if (length <= 0 || ++links > kMaxLinks) return {};
      if (target[0] == '/') trail.resize(1);
      push_front(parts, std::string(target.data(), static_cast<std::size_t>(length)));
    } else if (S_ISREG(found.mode) && parts.empty()) {
      const UniqueFd file(
          openat(found.parent, part.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
      if (!file) return {};
      return read_regular(file, kAccountsCap, Oversize::whole_lines, path).value_or(std::string());
    } else {
      return {};
    }
  }
  return {};
}

bool hides_layers_below(const std::string& layer) {
  const UniqueFd root = open_directory(AT_FDCWD, layer.c_str());
  return root && is_opaque(root.number());
}

}  // namespace cove
