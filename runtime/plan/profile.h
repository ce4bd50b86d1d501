// Named sandboxes: specs that fill in what a spec leaves open.
#pragma once

#include <string_view>

#include "cove/result.h"
#include "cove/spec.h"

namespace cove {

// `default` is the empty spec, without looking at its document: its values are the defaults of the
// plan's own code (a test compares the two). Others are read from the documents embedded in the
// library. Errors: invalid_argument, with the known names.
Result<SandboxSpec> sandbox_profile(std::string_view name);

// `spec`, and what it leaves open from `profile`. Maps are joined entry by entry. Mounts and the
// root filesystem are always the spec's: a profile knows no host paths.
SandboxSpec fill_in(SandboxSpec spec, const SandboxSpec& profile);

}  // namespace cove
