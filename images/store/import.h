// Importing: a root filesystem that is no image yet becomes one with a single layer. A tar archive is
// that layer's blob as it is; a directory is packed first (images/pack/directory.h).
//
//   Result<RootFilesystem> root = open_root("/srv/chroot", store, limits);
//   settle_store_ids(store);      // may enter a user namespace; `root` reads the host's ids
//   import_image(options, std::move(*root));
#pragma once

#include <optional>
#include <string>

#include "cove/result.h"
#include "images/layout/settings.h"
#include "images/store/load.h"
#include "images/unpack/confined.h"
#include "runtime/kernel/fd.h"

namespace cove {

// A tar stream, and the process that makes it where the root filesystem is a directory.
struct RootFilesystem {
  UniqueFd tar;
  std::optional<ConfinedProcess> packer;
  std::string shown;  // its name in messages
};

// A directory, a tar archive (plain, gzip or zstd), or "-": an archive on standard input. The caller
// must have a single thread. Errors: image_not_found, permission_denied; invalid_argument for a
// directory that holds the store.
Result<RootFilesystem> open_root(const std::string& source, const std::string& store,
                                 const UnpackLimits& limits);

struct ImportOptions {
  std::string store;
  std::vector<std::string> names;  // normal_name; none: known by its digest alone
  ImageSettings settings;
  UnpackLimits limits;
  StoreIds ids;
};

// Errors: those of load_image.
Result<LoadResult> import_image(const ImportOptions& options, RootFilesystem root);

}  // namespace cove
