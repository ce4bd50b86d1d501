// Text as people and JSON may see it: UTF-8 checks, quoting, base64, seconds, and the nearest known
// name to a mistyped one.
//
// Everything that comes from a spec, an image or the host may hold any byte. What is shown to
// somebody goes through in_quotes() or printable(); what must survive unchanged goes through
// base64.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace cove {

// Well-formed UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view bytes);

// The same text with every ill-formed byte replaced by U+FFFD.
std::string to_utf8(std::string_view bytes);

// In double quotes, control characters and ill-formed bytes escaped, shortened to about `longest`
// bytes: fit for an error message, whoever wrote the text.
std::string in_quotes(std::string_view text, std::size_t longest = 60);

// Control characters written as \xNN, so that a text cannot drive the terminal that it is shown on.
std::string printable(std::string_view text);

std::string to_base64(std::string_view bytes);

// Strict: the standard alphabet with its padding, no white space, no stray bits.
std::optional<std::string> from_base64(std::string_view text);

// Exact, without exponent and without needless zeros: "1.5", "0.000000001", "-2".
std::string decimal_seconds(std::chrono::nanoseconds duration);

// The known name that was probably meant, by edit distance or because other tools call it so ("cwd"
// for "workdir"); empty if none is near.
std::string_view nearest(std::string_view name, std::span<const std::string_view> known);

}  // namespace cove
