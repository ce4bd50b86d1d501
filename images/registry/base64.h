// Base64 (RFC 4648), with padding, as credentials are written in headers and files.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cove {

std::string base64_encoded(std::string_view bytes);
// Nothing for what is no Base64.
std::optional<std::string> base64_decoded(std::string_view text);

}  // namespace cove
