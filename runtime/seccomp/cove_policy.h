// Cove's own format of a system call policy (docs/seccomp.md).
#pragma once

#include "runtime/seccomp/document.h"
#include "runtime/seccomp/policy.h"

namespace cove {

// What is wrong with `json` is complained of to `document`; then the policy is of no use.
Policy read_cove_policy(DocumentReader& document, const Json& json);

}  // namespace cove
