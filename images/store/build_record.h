// Which image a build gave: images/builds/<digest of what it was made of>.json in the store. Ours, and
// of no other use than not to build again: one that cannot be read is as one that is not there.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "images/store/store.h"

namespace cove {

std::string build_path(std::string_view input_digest);
std::string build_text(const std::string& image_digest);

// The image's digest.
std::optional<std::string> build_from(std::string_view text);
std::optional<std::string> read_build(const std::string& store, std::string_view input_digest);

}  // namespace cove
