#include "images/unpack/implied.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>

#include "images/layout/sha256.h"
#include "images/store_index/files.h"
#include "images/unpack/merged_tree.h"
#include "images/unpack/shown_name.h"
#include "images/unpack/xattrs.h"

namespace cove {
namespace {

constexpr std::size_t kLongestName = 255;

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

// The first part of a path, which is taken off.
std::string take_part(std::string_view& path) {
  const std::size_t slash = std::min(path.find('/'), path.size());
  const std::string part(path.substr(0, slash));
  path.remove_prefix(std::min(slash + 1, path.size()));
  return part;
}

bool is_plain(std::string_view path) {
  if (path.starts_with('/') || path.ends_with('/')) return false;
  while (!path.empty()) {
    const std::string part = take_part(path);
    if (part.empty() || part == "." || part == ".." || part.size() > kLongestName) return false;
  }
  return true;
}

// Those that an image may give.
std::map<std::string, std::string> xattrs_of(BorrowedFd directory) {
  std::map<std::string, std::string> all = read_xattrs(directory);
  std::erase_if(all, [](const auto& one) {
    return !one.first.starts_with("user.") || one.first.starts_with("user.overlay.");
  });
  return all;
}

std::optional<DirectoryAttributes> attributes_of(BorrowedFd directory) {
  struct stat status {};
  if (fstat(directory.number(), &status) != 0) return {};
  return DirectoryAttributes{status.st_mode & 07777U, status.st_uid, status.st_gid, status.st_mtim,
                             xattrs_of(directory)};
}

// Looks at one path through all layers.
class Stack {
 public:
  explicit Stack(const std::vector<UnpackedLayer>& layers) : layers_(layers) {
    std::vector<std::string> directories;
    for (const UnpackedLayer& layer : layers) directories.push_back(layer.directory);
    root_ = merged_root(directories);
  }

  // As the overlay shows it, and as it was meant. Nothing where there is no such directory.
  struct Seen {
    DirectoryAttributes shown, meant;
  };
  std::optional<Seen> look(const std::string& path) const {
    MergedDirectory below;
    const MergedDirectory* here = &root_;
    for (std::string_view rest = path; !rest.empty();) {
      const std::string part = take_part(rest);
      MergedDirectory next = look_in(*here, part.c_str()).directory;
      below = std::move(next);
      here = &below;
    }
    if (here->empty()) return {};
    const auto shown = attributes_of(here->front().directory);
    // Where no layer contains it, it stays as the topmost made it.
    const auto meant = std::find_if(here->begin(), here->end(), [&](const MergedPart& part) {
      return !layers_[part.layer].implied.contains(path);
    });
    const auto attributes = meant == here->end() ? shown : attributes_of(meant->directory);
    if (!shown || !attributes) return {};
    Seen seen{*shown, *attributes};
    // Nobody asks when the root was changed; most images have nothing else to mend.
    if (path.empty()) seen.meant.modified = seen.shown.modified;
    return seen;
  }

 private:
  const std::vector<UnpackedLayer>& layers_;
  MergedDirectory root_;
};

Error write_error(const std::string& path, const char* action) {
  return storage_error("image store", action, shown_name(path));
}

UniqueFd open_made(BorrowedFd into, const std::string& path) {
  return open_beneath(into, path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY,
                      RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

Result<void> write_one(const std::string& path, const DirectoryAttributes& attributes,
                       BorrowedFd into) {
  if (!path.empty()) {
    const UniqueFd parent = open_made(into, parent_of(path));
    const std::size_t slash = path.rfind('/');
    const char* name = path.c_str() + (slash == std::string::npos ? 0 : slash + 1);
    if (!parent || mkdirat(parent.number(), name, 0700) != 0)
      return fail(write_error(path, "mkdir"));
  }
  const UniqueFd directory = open_made(into, path);
  if (!directory || fchown(directory.number(), attributes.uid, attributes.gid) != 0 ||
      fchmod(directory.number(), attributes.mode) != 0)
    return fail(write_error(path, "set owner and mode"));
  for (const auto& [name, value] : attributes.xattrs) {
    if (fsetxattr(directory.number(), name.c_str(), value.data(), value.size(), 0) != 0)
      return fail(write_error(path, "set an extended attribute"));
  }
  return {};
}

}  // namespace

bool DirectoryAttributes::operator==(const DirectoryAttributes& other) const {
  return mode == other.mode && uid == other.uid && gid == other.gid &&
         modified.tv_sec == other.modified.tv_sec && modified.tv_nsec == other.modified.tv_nsec &&
         xattrs == other.xattrs;
}

std::string to_text(const Implied& implied) {
  std::string text;
  for (const std::string& path : implied) text.append(path).push_back('\0');
  return text;
}

Implied implied_from(std::string_view text) {
  Implied implied;
  for (std::size_t end = 0; (end = text.find('\0')) != std::string_view::npos;
       text.remove_prefix(end + 1)) {
    if (is_plain(text.substr(0, end))) implied.emplace(text.substr(0, end));
  }
  return implied;
}

DirectoryTree directories_to_mend(const std::vector<UnpackedLayer>& layers) {
  const Stack stack(layers);
  Implied paths;
  for (const UnpackedLayer& layer : layers)
    paths.insert(layer.implied.begin(), layer.implied.end());
  DirectoryTree tree;
  for (const std::string& path : paths) {
    const auto seen = stack.look(path);
    if (!seen || seen->shown == seen->meant) continue;
    tree[path] = seen->meant;
    for (std::string above = path; !above.empty();) {
      above = parent_of(above);
      if (tree.contains(above)) break;
      if (const auto parent = stack.look(above)) tree[above] = parent->meant;
    }
  }
  return tree;
}

Result<void> write_directories(const DirectoryTree& tree, BorrowedFd into) {
  for (const auto& [path, attributes] : tree) {
    if (auto written = write_one(path, attributes, into); !written) return written;
  }
  // Once nothing is made in them any more.
  for (const auto& [path, attributes] : tree) {
    const UniqueFd directory = open_made(into, path);
    const std::array<timespec, 2> times{attributes.modified, attributes.modified};
    if (!directory || futimens(directory.number(), times.data()) != 0)
      return fail(write_error(path, "set the time"));
  }
  return {};
}

std::string digest_of(const DirectoryTree& tree) {
  std::string text = "directories of layers that do not contain them\n";
  const auto add = [&text](std::string_view word) { text.append(word).push_back('\0'); };
  for (const auto& [path, attributes] : tree) {
    add(path);
    for (const auto number :
         {std::int64_t{attributes.mode}, std::int64_t{attributes.uid}, std::int64_t{attributes.gid},
          std::int64_t{attributes.modified.tv_sec}, std::int64_t{attributes.modified.tv_nsec},
          static_cast<std::int64_t>(attributes.xattrs.size())})
      add(std::to_string(number));
    for (const auto& [name, value] : attributes.xattrs) {
      add(name);
      add(std::to_string(value.size()));
      text += value;
    }
  }
  return sha256_of(text);
}

}  // namespace cove
