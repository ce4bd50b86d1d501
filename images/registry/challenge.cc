#include "images/registry/challenge.h"

#include <algorithm>
#include <optional>

namespace cove {
namespace {

constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";

bool is_token_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         kTokenMarks.find(c) != std::string_view::npos;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return result;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  void skip(std::string_view characters) {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(characters), rest_.size()));
  }

  std::string_view token() {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), is_token_character);
    const std::string_view found = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
    rest_.remove_prefix(found.size());
    return found;
  }

  bool take(char wanted) {
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }

  // "NAME=", spaces allowed around '='. Nothing is read where that is not what follows.
  std::optional<std::string> parameter_name() {
    const Reader before = *this;
    const std::string_view name = token();
    skip(" \t");
    if (!name.empty() && take('=')) return lower(name);
    *this = before;
    return {};
  }

  std::optional<std::string> value() {
    skip(" \t");
    if (!take('"')) {
      const std::string_view word = token();
      return word.empty() ? std::optional<std::string>() : std::string(word);
    }
    std::string text;
    while (!rest_.empty()) {
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return text;
      if (c == '\\') {
        if (rest_.empty()) return {};
        c = rest_.front();
        rest_.remove_prefix(1);
      }
      text += c;
    }
    return {};  // no closing quote
  }

 private:
  std::string_view rest_;
};

}  // namespace

std::vector<Challenge> parse_challenges(std::string_view header) {
  std::vector<Challenge> challenges;
  Reader reader(header);
  for (;;) {
    reader.skip(" \t,");
    const std::string scheme = lower(reader.token());
    if (scheme.empty()) return challenges;
    Challenge challenge{scheme, {}};
    for (;;) {
      reader.skip(" \t,");
      const std::optional<std::string> name = reader.parameter_name();
      if (!name) break;
      std::optional<std::string> value = reader.value();
      if (!value) return challenges;
      challenge.parameters[*name] = std::move(*value);
    }
    challenges.push_back(std::move(challenge));
  }
}

}  // namespace cove
