// Text of an archive, in messages.
#pragma once

#include <string>
#include <string_view>

namespace cove {

// Made fit for a message: control characters and the like become '?', and it is cut at 200 bytes.
std::string shown_name(std::string_view text);

}  // namespace cove
