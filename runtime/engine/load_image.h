// Loading an image is the work of another executable, `cove-image`: what launches has no archive
// code in it.
#pragma once

#include <string>

#include "cove/result.h"

namespace cove {

// Runs `cove-image load REFERENCE` and waits for it: the digest of the image that it gave. `libexec`
// as in find_executable.
Result<std::string> load_image(const std::string& store, const std::string& reference,
                               const std::string& libexec);

// Where an executable of ours is: in `libexec` (EngineOptions), or, where that is empty,
// $COVE_LIBEXEC, beside this executable, ../libexec/cove from it, or where Cove was configured to
// be installed. Errors: internal, step "find NAME", naming the places that were tried.
Result<std::string> find_executable(const std::string& name, const std::string& libexec);

}  // namespace cove
