// Looking into an image's layers as the overlay will stack them, without mounting anything:
// whiteouts, opaque directories and symbolic links across layers as the kernel would read them,
// in-root.
#pragma once

#include <string>
#include <vector>

namespace cove {

// The text of a regular file of the merged tree ("etc/passwd"); `layers` are directories, lowest
// first. At most kAccountsCap bytes of whole lines. Empty: not there, no regular file, or not
// readable.
std::string read_merged_file(const std::vector<std::string>& layers, const std::string& path);

// Whether a layer hides everything below it: its root directory is marked opaque. (overlayfs itself
// ignores the mark on a layer's root.)
bool hides_layers_below(const std::string& layer);

}  // namespace cove
