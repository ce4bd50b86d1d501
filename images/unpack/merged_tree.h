// A directory of an image as the overlay will show it, without mounting anything: the directories of
// the layers that make it up.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "runtime/kernel/fd.h"

namespace cove {

struct MergedPart {
  UniqueFd directory;
  std::size_t layer = 0;  // index into the layers, lowest first
};
// The topmost first.
using MergedDirectory = std::vector<MergedPart>;

// `layers` are directories, lowest first. Those that cannot be opened are left out.
MergedDirectory merged_root(const std::vector<std::string>& layers);

// What a name is in a merged directory: nothing, a directory, or the one other thing on top.
struct MergedEntry {
  MergedDirectory directory;
  int parent = -1;  // of the other thing; belongs to the directory that was asked
  mode_t mode = 0;  // 0: nothing
};
// Whiteouts and opaque directories as overlayfs reads them; no link is followed. `name` is one part
// of a path, and neither "." nor "..".
MergedEntry look_in(const MergedDirectory& parents, const char* name);

// Whether a layer's directory hides what lies below it.
bool is_opaque(BorrowedFd directory);

}  // namespace cove
