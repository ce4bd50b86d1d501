// A policy's JSON, read so that all mistakes of a document are reported together, each with its
// path. What both formats share: parsing, and the shapes of values.
//
//   DocumentReader reader;
//   if (const auto json = reader.parse(text)) read(reader, *json);
//   if (const auto mistakes = reader.mistakes()) return fail(*mistakes);
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cove/error.h"

namespace cove {

using Json = nlohmann::json;

// "$.groups" and "[3]" below `path`.
std::string join(const std::string& path, std::string_view field);
std::string join(const std::string& path, std::size_t index);

class DocumentReader {
 public:
  void complain(std::string where, std::string what, std::string hint = {});
  // All of them: the first, the others in its `more`.
  std::optional<Error> mistakes() const;

  // Nothing where the text is not one JSON document nested at most 64 deep. Names that are given
  // twice are mistakes.
  std::optional<Json> parse(std::string_view text);

  // ---- Shapes: each complains where the document has another one. ----

  bool object(const Json& json, const std::string& path);
  // No other fields than these.
  void fields(const Json& json, const std::string& path,
              std::initializer_list<std::string_view> known);
  const Json* field(const Json& json, const std::string& path, const char* name);
  // A list with something in it.
  const Json* list(const Json& json, const std::string& path, const char* name);
  // One line, not empty.
  std::string text(const Json& json, const std::string& path, const char* name);

 private:
  std::vector<Error> mistakes_;
};

// The number of "EPERM".
std::optional<int> errno_named(std::string_view name);

}  // namespace cove
