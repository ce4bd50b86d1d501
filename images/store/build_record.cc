#include "images/store/build_record.h"

#include <fcntl.h>

#include <nlohmann/json.hpp>

#include "images/store_index/files.h"
#include "images/store_index/reference.h"

namespace cove {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;

}  // namespace

std::string build_path(std::string_view input_digest) {
  return "images/builds/" + std::string(digest_hex(input_digest)) + ".json";
}

std::string build_text(const std::string& image_digest) {
  return json{{"version", kVersion}, {"digest", image_digest}}.dump() + "\n";
}

std::optional<std::string> build_from(std::string_view text) {
  const json record = json::parse(text, nullptr, false);
  if (!record.is_object() || record.value("version", json()) != kVersion) return {};
  const json digest = record.value("digest", json());
  if (!digest.is_string() || !is_digest(digest.get<std::string>())) return {};
  return digest.get<std::string>();
}

std::optional<std::string> read_build(const std::string& store, std::string_view input_digest) {
  const std::string path = store + "/" + build_path(input_digest);
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) return {};
  const Result<std::string> text = read_regular(file, kRecordCap, Oversize::refuse, path);
  return text ? build_from(*text) : std::nullopt;
}

}  // namespace cove
