// Directories that a layer uses and does not contain: it has "home/ada/notes", and neither "home" nor
// "home/ada". They have to be made, but nobody said with which owner, mode and time; and in an
// overlay they would hide what a layer below did say. That differs from image to image, and layers
// are shared. So an image that needs it gets one more layer, on top of all others, which has just
// these directories, as they are in the layers below.
//
//   Implied implied = implied_from(text);                   // kept beside each layer
//   DirectoryTree tree = directories_to_mend(layers);       // empty for most images
//   write_directories(tree, staging);                       // and its name: digest_of(tree)
#pragma once

#include <sys/types.h>

#include <ctime>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

// Paths below a layer's root, which itself is "".
using Implied = std::set<std::string>;

inline constexpr std::size_t kImpliedCap =
    256 * 1024 * 1024;  // what an unpacking process may answer

std::string to_text(const Implied& implied);
// What is no path of names alone is left out: the list comes from who unpacked a hostile layer.
Implied implied_from(std::string_view text);

struct DirectoryAttributes {
  mode_t mode = 0755;
  uid_t uid = 0;
  gid_t gid = 0;
  timespec modified{};
  std::map<std::string, std::string> xattrs;  // user.*, without the overlay's own

  bool operator==(const DirectoryAttributes& other) const;
};

// Each directory with all that lead to it.
using DirectoryTree = std::map<std::string, DirectoryAttributes>;

struct UnpackedLayer {
  std::string directory;
  Implied implied;
};

// `layers`: lowest first. Empty where the overlay shows all directories as they were meant.
DirectoryTree directories_to_mend(const std::vector<UnpackedLayer>& layers);

// Into an empty directory. Errors: setup_failed, resource_exhausted.
Result<void> write_directories(const DirectoryTree& tree, BorrowedFd into);

// "sha256:...", the same for the same directories.
std::string digest_of(const DirectoryTree& tree);

}  // namespace cove
