// Loading an image is the work of another executable, `cove-image`: what launches has no archive
// code in it.
#pragma once

#include <string>

#include "cove/result.h"

namespace cove {

// Runs `cove-image load REFERENCE` and waits for it. Its progress goes to standard error.
Result<void> load_image(const std::string& store, const std::string& reference);

// Where an executable of ours is: $COVE_LIBEXEC, beside this executable, ../libexec/cove from it,
// or where Cove was installed. Errors: internal, naming the places that were tried.
Result<std::string> find_executable(const std::string& name);

}  // namespace cove
