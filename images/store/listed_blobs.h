// The blobs that index.json leads to, through manifests and nested indexes.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

enum class Follow {
  nothing,    // as if it were not listed
  documents,  // the manifest and its configuration
  all,        // and the layers
};

// Digests, also of blobs that are not there. `follow` is asked for each manifest and index, by its
// digest. Errors: of a document that is there and cannot be read, since what it needs is not known.
Result<std::set<std::string>> listed_blobs(
    BorrowedFd top, const std::function<Follow(const std::string& digest)>& follow);

}  // namespace cove
