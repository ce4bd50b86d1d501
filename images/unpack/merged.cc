#include "images/unpack/merged.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <climits>
#include <deque>

#include "images/store_index/files.h"
#include "images/unpack/merged_tree.h"

namespace cove {
namespace {

constexpr int kMaxLinks = 40;  // as the kernel

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
  std::deque<MergedDirectory> trail;  // from the root to where we are
  trail.push_back(merged_root(layers));
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
    MergedEntry found = look_in(trail.back(), part.c_str());
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
  const UniqueFd root(open(layer.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  return root && is_opaque(root);
}

}  // namespace cove
