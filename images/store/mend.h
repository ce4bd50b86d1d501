// The layer of ours that some images have on top: directories that their layers use and do not
// contain (images/unpack/implied.h).
#pragma once

#include <string>
#include <vector>

#include "cove/result.h"
#include "images/store/store.h"
#include "images/unpack/implied.h"

namespace cove {

// `layers`: diff ids, lowest first, which the store has. Empty: nothing is to be mended.
DirectoryTree directories_of(const std::vector<std::string>& layers, const Store& store);

// Makes it in staging, under the name that is returned.
Result<std::string> stage_directories(const DirectoryTree& tree, const Staging& staging);

// Adds it to `layers`, and to the store, where the image needs it.
Result<void> mend_directories(std::vector<std::string>& layers, const Store& store,
                              const Staging& staging);

}  // namespace cove
