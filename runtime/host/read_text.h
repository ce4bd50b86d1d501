// Files of /proc, /sys and /etc.
#pragma once

#include <string>

namespace cove {

// The whole file. Empty where it is missing or may not be read: what cannot be read counts as not
// there.
std::string read_text(const std::string& path);

}  // namespace cove
