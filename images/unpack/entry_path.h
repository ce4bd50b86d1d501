// The path of an entry of a layer's archive. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "cove/result.h"
#include "images/unpack/layer.h"

namespace cove {

inline constexpr std::string_view kWhiteout = ".wh.";

// A path of an entry, cleaned: no leading or trailing '/', no "." or "//". Empty: the root itself.
// A leading '/' means the layer's root, as everywhere in the world of images.
struct EntryPath {
  std::string text;
  std::size_t base = 0;  // where the last part starts

  std::string parent() const { return base == 0 ? std::string() : text.substr(0, base - 1); }
  const char* name() const { return text.c_str() + base; }
};

// Errors: the rule that it breaks; `on_dotdot` for one that holds "..".
Result<EntryPath> clean(std::string_view raw, const UnpackLimits& limits, UnpackRule on_dotdot);

}  // namespace cove
