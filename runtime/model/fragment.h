// A part of a spec as JSON: a profile, or a document that command-line options complete. Read as
// strictly as a whole spec; only image and rootfs may be missing.
#pragma once

#include <string_view>

#include "cove/result.h"
#include "cove/spec.h"

namespace cove {

Result<SandboxSpec> spec_fragment_from_json(std::string_view text);

}  // namespace cove
