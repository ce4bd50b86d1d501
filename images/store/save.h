// Writing images out of the store, for other tools and other machines.
#pragma once

#include <string>
#include <vector>

#include "cove/result.h"
#include "images/store/store.h"
#include "runtime/kernel/fd.h"

namespace cove {

// One archive of all of them, in the form of Docker 25's `docker save`: an OCI image layout with a
// manifest.json beside it, so that it is read as docker-archive and as oci-archive, by older tools
// too. Layers are as they came: compressed, if they were. An image that is named by its digest goes
// without a name. The same images give the same bytes. `where` is what `out` is called in errors.
// Errors: image_not_found, image_invalid, resource_exhausted, setup_failed.
Result<void> save_images(const Store& store, const std::vector<std::string>& references,
                         BorrowedFd out, const std::string& where);

}  // namespace cove
