// Times of images, as people and as programs read them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "cove/result.h"

namespace cove {

// A number and one of s, m, h, d, w: "90s", "36h", "7d", "2w". At most 100 years; no fractions.
Result<std::chrono::seconds> parse_age(std::string_view text);

// Docker's words: "5 seconds ago", "About an hour ago", "3 weeks ago". What lies ahead is "just now".
std::string age_text(std::chrono::seconds age);

// "2026-01-31T12:00:00Z".
std::string rfc3339_text(std::chrono::sys_seconds time);
// Any time of RFC 3339, fractions dropped. Nothing for all else.
std::optional<std::chrono::sys_seconds> parse_rfc3339(const std::string& text);

}  // namespace cove
