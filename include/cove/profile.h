// Named sandboxes and system call filters, embedded in the library.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cove/result.h"

namespace cove {

struct ProfileInfo {
  std::string kind;  // "sandbox" or "seccomp"
  std::string name;
  std::string description;  // one line
};

std::vector<ProfileInfo> list_profiles();

// The JSON source of a profile, as it was written. Errors: invalid_argument, with the known names.
Result<std::string> profile_source(std::string_view kind, std::string_view name);

}  // namespace cove
