// How the commands show things.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace cove {

// Bytes that are no UTF-8 are replaced.
std::string dump(const nlohmann::ordered_json& document, int indent = -1);
std::string short_digest(const std::string& digest);  // "sha256:" and 12 digits
std::string mebibyte_text(std::uint64_t bytes);       // "3.2 MiB", "120 MiB"
// Without what a terminal would obey; lines stay lines. For text that strangers had a hand in.
std::string printable(std::string text);
std::string plural(std::uint64_t count, const char* noun);

}  // namespace cove
