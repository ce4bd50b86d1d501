#include "runtime/seccomp/document.h"

#include <cerrno>
#include <cstring>
#include <functional>
#include <set>
#include <utility>

namespace cove {
namespace {

constexpr std::size_t kDeepest = 64;  // as for every JSON document of Cove's (cove/json.h)
constexpr int kHighestErrno = 133;

struct TooDeep {};

// Follows nlohmann's parser to see what its values no longer show: a name that was given twice.
// Throws TooDeep, since a parser callback has no other way to stop.
class DuplicateFinder {
 public:
  bool operator()(int /*depth*/, Json::parse_event_t event, Json& value) {
    switch (event) {
      case Json::parse_event_t::object_start:
        open(false);
        break;
      case Json::parse_event_t::array_start:
        open(true);
        break;
      case Json::parse_event_t::key:
        key(value.get<std::string>());
        break;
      case Json::parse_event_t::value:
        element();
        break;
      case Json::parse_event_t::object_end:
      case Json::parse_event_t::array_end:
        open_.pop_back();
        break;
    }
    return true;
  }
  const std::vector<std::string>& found() const { return found_; }

 private:
  struct Level {
    bool array;
    std::string path;
    std::set<std::string> keys;
    std::string key;
    std::size_t index = 0;
  };
  std::string element() {
    if (open_.empty()) return "$";
    Level& level = open_.back();
    return level.array ? join(level.path, level.index++) : join(level.path, level.key);
  }
  void open(bool array) {
    if (open_.size() == kDeepest) throw TooDeep{};
    std::string path = element();
    open_.push_back(Level{array, std::move(path), {}, {}, 0});
  }
  void key(std::string name) {
    Level& level = open_.back();
    if (!level.keys.insert(name).second) found_.push_back(join(level.path, name));
    level.key = std::move(name);
  }

  std::vector<Level> open_;
  std::vector<std::string> found_;
};

// nlohmann's message without its own error numbers: "parse error at line 3, column 7: ...".
std::string without_label(const std::string& message) {
  const std::size_t end = message.find("] ");
  return end == std::string::npos ? message : message.substr(end + 2);
}

}  // namespace

std::string join(const std::string& path, std::string_view field) {
  return path + "." + std::string(field);
}

std::string join(const std::string& path, std::size_t index) {
  return path + "[" + std::to_string(index) + "]";
}

void DocumentReader::complain(std::string where, std::string what, std::string hint) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "seccomp";
  error.where = std::move(where);
  error.what = std::move(what);
  error.hint = std::move(hint);
  mistakes_.push_back(std::move(error));
}

std::optional<Error> DocumentReader::mistakes() const {
  if (mistakes_.empty()) return std::nullopt;
  return one_error(mistakes_);
}

std::optional<Json> DocumentReader::parse(std::string_view text) {
  DuplicateFinder duplicates;
  try {
    Json document = Json::parse(text, std::ref(duplicates));
    for (const std::string& path : duplicates.found()) complain(path, "is given twice");
    return document;
  } catch (const Json::exception& error) {
    complain("$", "is not JSON: " + without_label(error.what()));
  } catch (const TooDeep&) {
    complain("$", "is nested deeper than " + std::to_string(kDeepest));
  }
  return std::nullopt;
}

bool DocumentReader::object(const Json& json, const std::string& path) {
  if (json.is_object()) return true;
  complain(path, "must be an object");
  return false;
}

void DocumentReader::fields(const Json& json, const std::string& path,
                            std::initializer_list<std::string_view> known) {
  for (const auto& [name, value] : json.items()) {
    bool found = false;
    for (std::string_view one : known) found = found || one == name;
    if (found) continue;
    std::string hint = "the fields here are";
    for (std::string_view one : known) hint.append(" ").append(one);
    complain(join(path, name), "is not a field of a seccomp policy", hint);
  }
}

const Json* DocumentReader::field(const Json& json, const std::string& path, const char* name) {
  const auto found = json.find(name);
  if (found != json.end()) return &*found;
  complain(join(path, name), "is missing");
  return nullptr;
}

const Json* DocumentReader::list(const Json& json, const std::string& path, const char* name) {
  const Json* value = field(json, path, name);
  if (value == nullptr) return nullptr;
  if (value->is_array() && !value->empty()) return value;
  complain(join(path, name), "must be a list that is not empty");
  return nullptr;
}

std::string DocumentReader::text(const Json& json, const std::string& path, const char* name) {
  const Json* value = field(json, path, name);
  if (value == nullptr) return {};
  if (value->is_string()) {
    const std::string& words = value->get_ref<const std::string&>();
    if (!words.empty() && words.find('\n') == std::string::npos) return words;
  }
  complain(join(path, name), "must be one line of text");
  return {};
}

std::optional<int> errno_named(std::string_view name) {
  // The second names of three; strerrorname_np knows their first.
  if (name == "EWOULDBLOCK") return EWOULDBLOCK;
  if (name == "ENOTSUP") return ENOTSUP;
  if (name == "EDEADLOCK") return EDEADLOCK;
  for (int number = 1; number <= kHighestErrno; ++number) {
    const char* known = strerrorname_np(number);
    if (known != nullptr && name == known) return number;
  }
  return std::nullopt;
}

}  // namespace cove
