// Routes of a network namespace, by rtnetlink(7).
#pragma once

#include <vector>

#include "cove/result.h"
#include "runtime/network/prefix.h"

namespace cove {

// Has this namespace answer at once for these (EACCES), where the frame filter would be silent.
// Nothing where the kernel has no such IP version.
Result<void> prohibit(const std::vector<Prefix>& prefixes);

}  // namespace cove
