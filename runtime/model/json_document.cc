#include "runtime/model/json_document.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/text/text.h"

namespace cove {
namespace {

using Kind = JsonValue::Kind;

// The library's message without its own prefix and without the text read, which may be megabytes of
// anything: "[json.exception.parse_error.101] parse error at line 1, column 3: syntax error while
// parsing value - invalid literal; last read: '{x'; expected ..." becomes "invalid literal;
// expected ...".
std::string reason_of(std::string_view message) {
  const auto drop_until = [&](std::string_view mark) {
    const std::size_t at = message.find(mark);
    if (at != std::string_view::npos) message.remove_prefix(at + mark.size());
  };
  drop_until("] ");
  drop_until(": ");
  const std::size_t read = message.find("; last read: '");
  const std::size_t expected = message.rfind("'; expected ");
  std::string tail;
  if (expected != std::string_view::npos && read != std::string_view::npos && expected > read) {
    tail = message.substr(expected + 1);
  }
  message = message.substr(0, read);
  drop_until(" - ");
  std::string reason = std::string(message.substr(0, 200)) + tail;
  return to_utf8(printable(reason));
}

bool is_word(std::string_view key) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  if (key.empty() || key.size() > 64 || !letter(key[0])) return false;
  return std::ranges::all_of(key, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

// Called by the library's parser, event by event. Returning false ends the parsing.
class DocumentBuilder : public nlohmann::json_sax<nlohmann::json> {
 public:
  DocumentBuilder(std::string_view text, std::string_view step) : text_(text), step_(step) {}

  bool null() override { return add(Kind::null) != nullptr; }

  bool boolean(bool value) override {
    JsonValue* added = add(Kind::boolean);
    if (added) added->boolean = value;
    return added;
  }

  bool number_integer(number_integer_t value) override {
    JsonValue* added = add(value < 0 ? Kind::integer : Kind::natural);
    if (!added) return false;
    added->integer = value;
    if (value >= 0) added->natural = static_cast<std::uint64_t>(value);
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    JsonValue* added = add(Kind::natural);
    if (added) added->natural = value;
    return added;
  }

  bool number_float(number_float_t value, const string_t& written) override {
    JsonValue* added = add(Kind::real);
    if (!added) return false;
    added->real = value;
    added->text = written;
    // The library hands out the number with the decimal point of the caller's locale.
    for (char& c : added->text) {
      if (std::string_view("0123456789+-eE").find(c) == std::string_view::npos) c = '.';
    }
    return true;
  }

  bool string(string_t& value) override {
    JsonValue* added = add(Kind::text);
    if (added) added->text = std::move(value);
    return added;
  }

  bool binary(binary_t&) override { return false; }  // not in JSON texts

  bool start_object(std::size_t) override { return start(Kind::object); }
  bool start_array(std::size_t) override { return start(Kind::list); }

  bool key(string_t& value) override {
    key_ = std::move(value);
    return true;
  }

  bool end_object() override {
    mark_duplicates(*open_.back());
    open_.pop_back();
    return true;
  }

  bool end_array() override {
    open_.pop_back();
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception& error) override {
    const std::string_view before = text_.substr(0, position);
    const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
    fatal_ =
        mistake(path() + (key_ ? path_of_key() : ""),
                "not valid JSON at line " + std::to_string(std::ranges::count(before, '\n') + 1) +
                    ", column " + std::to_string(before.size() - line_start) + ": " +
                    reason_of(error.what()));
    return false;
  }

  Result<JsonDocument> finish() && {
    if (!fatal_) return std::move(document_);
    // What was found on the way is told too.
    for (Error& problem : document_.problems) fatal_->more.push_back(std::move(problem));
    return fail(*std::move(fatal_));
  }

 private:
  Error mistake(std::string where, std::string what) const {
    Error error;
    error.code = ErrorCode::invalid_argument;
    error.step = step_;
    error.where = std::move(where);
    error.what = std::move(what);
    return error;
  }

  JsonValue* add(Kind kind) {
    if (++count_ > kMostJsonValues) {
      fatal_ = mistake("$", "holds more than " + std::to_string(kMostJsonValues) + " values");
      return nullptr;
    }
    JsonValue* value = &document_.root;
    if (!open_.empty()) value = &open_.back()->items.emplace_back();
    value->kind = kind;
    if (key_) value->key = *std::exchange(key_, std::nullopt);
    return value;
  }

  // Pointers in open_ stay good: a vector grows only while its last item is closed.
  bool start(Kind kind) {
    if (open_.size() == kDeepestJson) {
      fatal_ = mistake(path(), "nested deeper than " + std::to_string(kDeepestJson));
      return false;
    }
    JsonValue* value = add(kind);
    if (value) open_.push_back(value);
    return value;
  }

  // Sorted, not compared pair by pair: an object may have a hundred thousand members.
  void mark_duplicates(JsonValue& object) {
    std::vector<JsonValue*> members;
    members.reserve(object.items.size());
    for (JsonValue& item : object.items) members.push_back(&item);
    std::ranges::stable_sort(members, {},
                             [](const JsonValue* one) -> const std::string& { return one->key; });
    for (std::size_t i = 1; i < members.size(); ++i) {
      if (members[i]->key == members[i - 1]->key) members[i]->duplicate = true;
    }
    for (const JsonValue& item : object.items) {
      if (!item.duplicate || document_.problems.size() >= kMostDuplicates) continue;
      std::string where = path();
      append_path(where, item.key);
      document_.problems.push_back(mistake(std::move(where), "is given more than once"));
    }
  }

  std::string path() const {
    std::string path = "$";
    for (std::size_t i = 1; i < open_.size(); ++i) {
      if (open_[i - 1]->kind == Kind::object) {
        append_path(path, open_[i]->key);
      } else {
        append_path(path, open_[i - 1]->items.size() - 1);
      }
    }
    return path;
  }

  std::string path_of_key() const {
    std::string path;
    append_path(path, *key_);
    return path;
  }

  static constexpr std::size_t kMostDuplicates = 100;

  const std::string_view text_;
  const std::string step_;
  JsonDocument document_;
  std::vector<JsonValue*> open_;
  std::optional<std::string> key_;  // read, its value not yet
  std::optional<Error> fatal_;
  std::size_t count_ = 0;
};

}  // namespace

std::string_view JsonValue::kind_name() const {
  switch (kind) {
    case Kind::null:
      return "null";
    case Kind::boolean:
      return "a boolean";
    case Kind::integer:
      return "a number";
    case Kind::natural:
      return "a number";
    case Kind::real:
      return "a number";
    case Kind::text:
      return "a string";
    case Kind::list:
      return "a list";
    case Kind::object:
      return "an object";
  }
  return "a value";
}

Result<JsonDocument> parse_json(std::string_view text, std::size_t largest, std::string_view step) {
  if (text.size() > largest) {
    Error error;
    error.code = ErrorCode::invalid_argument;
    error.step = step;
    error.where = "$";
    error.what = "the document has " + std::to_string(text.size()) + " bytes, more than the " +
                 std::to_string(largest) + " allowed";
    return fail(std::move(error));
  }
  DocumentBuilder builder(text, step);
  nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  return std::move(builder).finish();
}

void append_path(std::string& path, std::string_view key) {
  if (is_word(key)) {
    path += '.';
    path += key;
    return;
  }
  path += '[' + in_quotes(key) + ']';
}

void append_path(std::string& path, std::size_t index) {
  path += '[' + std::to_string(index) + ']';
}

}  // namespace cove
