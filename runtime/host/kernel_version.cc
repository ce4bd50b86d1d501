#include "runtime/host/kernel_version.h"

#include <charconv>

namespace cove {

KernelVersion parse_kernel_version(std::string_view release) {
  const char* end = release.data() + release.size();
  KernelVersion kernel;
  const auto first = std::from_chars(release.data(), end, kernel.version);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '.') return {};
  const auto second = std::from_chars(first.ptr + 1, end, kernel.patchlevel);
  if (second.ec != std::errc{}) return {};
  return kernel;
}

}  // namespace cove
