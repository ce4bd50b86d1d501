// What an image is for, in the words of images: "linux/arm64/v8".
#pragma once

#include <string>
#include <string_view>

#include "cove/result.h"

namespace cove {

struct Platform {
  std::string os, architecture, variant;  // empty: none is named

  bool operator==(const Platform&) const = default;
};

Platform host_platform();

// OS/ARCHITECTURE[/VARIANT]. Errors: invalid_argument.
Result<Platform> parse_platform(std::string_view text);

std::string to_string(const Platform& platform);

// Whether an image for `offered` is what `wanted` asks for. What neither names does not matter.
bool fits(const Platform& offered, const Platform& wanted);

}  // namespace cove
