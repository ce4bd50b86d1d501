// A JSON document as it was written: members in their order, duplicates seen, nothing converted
// yet. The library's own DOM would lose all three. The only place that knows the JSON library.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cove/error.h"
#include "cove/result.h"

namespace cove {

struct JsonValue {
  enum class Kind { null, boolean, integer, natural, real, text, list, object };

  Kind kind = Kind::null;
  bool boolean = false;
  bool duplicate = false;     // an earlier member of the same object has this key
  std::uint64_t natural = 0;  // a whole number from 0 on
  std::int64_t integer = 0;   // a whole number below 0
  double real = 0;            // any other number; `text` has it as it was written
  std::string key;            // in an object
  std::string text;
  std::vector<JsonValue> items;  // of a list or an object

  // "a string", "an object", ...
  std::string_view kind_name() const;
};

struct JsonDocument {
  JsonValue root;
  std::vector<Error> problems;  // duplicate names: the rest can still be read
};

inline constexpr std::size_t kDeepestJson = 64;
inline constexpr std::size_t kMostJsonValues = 1'000'000;

// Errors: invalid_argument, for what is no JSON (with line, column and the JSON path reached),
// larger than `largest` bytes, too deep, or of too many values. `step` goes into every error.
Result<JsonDocument> parse_json(std::string_view text, std::size_t largest, std::string_view step);

// Adds a member or an index to a JSON path: "$" -> "$.mounts" -> "$.mounts[1]"; names that are not
// plain words in brackets, $.env["A B"].
void append_path(std::string& path, std::string_view key);
void append_path(std::string& path, std::size_t index);

}  // namespace cove
