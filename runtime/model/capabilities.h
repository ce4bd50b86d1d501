// Capabilities as a spec names them, as a plan lists them and as the kernel numbers them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cove/capability.h"

namespace cove {

inline constexpr const char* kAllCapabilities = "all";  // in any case: every one that is grantable

// A spec's list as a plan has it: names without "cap_", in the order of their numbers, each once.
// Names that are not known or not grantable are left out.
std::vector<std::string> granted_capabilities(const std::vector<std::string>& written);

// Bit n for the capability of number n (linux/capability.h).
std::uint64_t capability_mask(const std::vector<std::string>& names);

}  // namespace cove
