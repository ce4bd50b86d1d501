// What the caller's environment says.
#pragma once

#include <cstdlib>
#include <string>

namespace cove {

// Empty where the variable is not set: nothing that is read here tells the two apart.
inline std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody here sets it
  return value ? value : "";
}

}  // namespace cove
