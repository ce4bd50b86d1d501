// Writing: every to_json. Straight into one string, so that megabytes of output are copied once and
// durations come out exact (a JSON library's number would be a double).
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "cove/json.h"
#include "runtime/model/describe.h"
#include "runtime/model/names.h"
#include "runtime/text/text.h"

namespace cove {
namespace {

// What becomes of fields that hold nothing: a spec says only what was asked for, all else says
// everything, null where it is unknown.
enum class EmptyFields { written, left_out };

template <class T>
bool is_empty(const T& value) {
  if constexpr (requires { value.has_value(); }) return !value.has_value();
  if constexpr (requires { value.empty(); }) return value.empty();
  return false;
}

class JsonWriter {
 public:
  JsonWriter(Indent indent, EmptyFields empty_fields)
      : pretty_(indent == Indent::pretty), leave_out_(empty_fields == EmptyFields::left_out) {
    out_.reserve(2048);
  }

  std::string finish() && { return std::move(out_); }

  // --- the visitor's side ---

  template <class T>
  void field(std::string_view name, const T& value) {
    if (leave_out_ && is_empty(value)) return;
    const std::size_t before = out_.size();
    const bool was_first = first_;
    key(name);
    const std::size_t at_value = out_.size();
    write(value);
    if (leave_out_ && std::string_view(out_).substr(at_value) == "{}") {
      out_.resize(before);
      first_ = was_first;
    }
  }

  template <class T>
  void required(std::string_view name, const T& value) {
    key(name);
    write(value);
  }

  template <class T>
  void if_any(std::string_view name, const T& value) {
    if (!is_empty(value)) required(name, value);
  }

  void text(std::string_view name, const std::string& value) {
    key(name);
    is_utf8(value) ? string(value) : string(to_utf8(value));
  }

  void mode(std::string_view name, std::uint32_t value) {
    std::array<char, 16> octal{};
    std::snprintf(octal.data(), octal.size(), "%04o", value);
    key(name);
    string(octal.data());
  }

  void limit(std::string_view name, std::uint64_t value) {
    key(name);
    value == kRlimitInfinity ? string("unlimited") : number(value);
  }

  void stream(std::string_view name, const CapturedStream& value) {
    const std::string prefix(name);
    const bool is_text = is_utf8(value.bytes);
    key(name);
    string(is_text ? value.bytes : to_base64(value.bytes));
    if (!is_text) {
      key(prefix + "_encoding");
      string("base64");
    }
    field(prefix + "_bytes", value.total_bytes);
    field(prefix + "_truncated", value.truncated);
  }

  // --- values ---

  void write(bool value) { out_ += value ? "true" : "false"; }

  template <std::integral T>
  requires(!std::same_as<T, bool>) void write(T value) { number(value); }

  void write(double value) {
    if (!std::isfinite(value)) {
      out_ += "null";
      return;
    }
    number(value);
  }

  // A text that is not UTF-8 (a path, an argument) has a form of its own: {"base64": "..."}.
  void write(const std::string& value) {
    if (is_utf8(value)) {
      string(value);
      return;
    }
    out_ += "{\"base64\":";
    space();
    string(to_base64(value));
    out_ += '}';
  }

  void write(Bytes value) { number(value.count); }
  void write(Duration value) { out_ += decimal_seconds(value); }

  template <NamedEnum E>
  void write(E value) {
    string(name_of(value));
  }

  template <class T>
  void write(const std::optional<T>& value) {
    if (value) {
      write(*value);
    } else {
      out_ += "null";
    }
  }

  // Lists of plain values stay on one line.
  template <class T>
  void write(const std::vector<T>& values) {
    constexpr bool kPlain = std::same_as<T, std::string> || std::integral<T> || std::is_enum_v<T>;
    if constexpr (kPlain) {
      out_ += '[';
      for (const T& value : values) {
        if (&value != values.data()) comma();
        write(value);
      }
      out_ += ']';
    } else {
      open('[');
      for (const T& value : values) {
        next();
        write(value);
      }
      close(']');
    }
  }

  void write(const std::pair<std::string, std::string>& value) {
    out_ += '[';
    write(value.first);
    comma();
    write(value.second);
    out_ += ']';
  }

  // Times of steps: an object in their order. A step that was done twice is one name with both
  // times.
  void write(const std::vector<std::pair<std::string, double>>& steps) {
    std::vector<std::pair<std::string, double>> merged;
    for (const auto& step : steps) {
      const auto known = std::find_if(merged.begin(), merged.end(),
                                      [&](const auto& one) { return one.first == step.first; });
      if (known == merged.end()) {
        merged.push_back(step);
      } else {
        known->second += step.second;
      }
    }
    open('{');
    for (const auto& [name, time] : merged) field(to_utf8(name), time);
    close('}');
  }

  template <class Key, class T>
  void write(const std::map<Key, T>& values) {
    open('{');
    for (const auto& [name, value] : values) {
      if constexpr (std::same_as<Key, std::string>) {
        required(is_utf8(name) ? name : to_utf8(name), value);
      } else {
        required(name_of(name), value);
      }
    }
    close('}');
  }

  void write(const StdinSpec& value) {
    if (std::holds_alternative<StdinNone>(value)) return string("none");
    if (std::holds_alternative<StdinInherit>(value)) return string("inherit");
    const std::string& bytes = std::get<StdinData>(value).bytes;
    const bool is_text = is_utf8(bytes);
    open('{');
    key("data");
    string(is_text ? bytes : to_base64(bytes));
    if (!is_text) {
      key("encoding");
      string("base64");
    }
    close('}');
  }

  template <class S>
  requires std::is_class_v<S>
  void write(const S& value) requires requires(JsonWriter& w) { describe(w, value); }
  {
    open('{');
    describe(*this, value);
    close('}');
  }

 private:
  template <class T>
  void number(T value) {
    std::array<char, 32> digits;
    const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    out_.append(digits.data(), written.ptr);
  }

  void string(std::string_view text) {
    out_ += '"';
    std::size_t begin = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\') continue;
      out_.append(text, begin, i - begin);
      begin = i + 1;
      escape(c);
    }
    out_.append(text, begin);
    out_ += '"';
  }

  void escape(char c) {
    static constexpr std::string_view kPlain = "\"\\\b\f\n\r\t";
    static constexpr std::string_view kLetter = "\"\\bfnrt";
    const std::size_t known = kPlain.find(c);
    if (known != std::string_view::npos) {
      out_ += '\\';
      out_ += kLetter[known];
      return;
    }
    static constexpr std::string_view kHex = "0123456789abcdef";
    out_ += "\\u00";
    out_ += kHex[static_cast<unsigned char>(c) >> 4];
    out_ += kHex[static_cast<unsigned char>(c) & 15];
  }

  void open(char bracket) {
    out_ += bracket;
    ++depth_;
    first_ = true;
  }

  void close(char bracket) {
    --depth_;
    if (!first_) line();
    out_ += bracket;
    first_ = false;
  }

  void next() {
    if (!first_) out_ += ',';
    first_ = false;
    line();
  }

  void key(std::string_view name) {
    next();
    string(name);
    out_ += ':';
    space();
  }

  void comma() {
    out_ += ',';
    space();
  }

  void space() {
    if (pretty_) out_ += ' ';
  }

  void line() {
    if (!pretty_) return;
    out_ += '\n';
    out_.append(depth_ * 2, ' ');
  }

  const bool pretty_;
  const bool leave_out_;
  std::string out_;
  std::size_t depth_ = 0;
  bool first_ = true;
};

template <class T>
std::string written(const T& value, Indent indent, EmptyFields empty = EmptyFields::written) {
  JsonWriter writer(indent, empty);
  writer.write(value);
  return std::move(writer).finish();
}

}  // namespace

std::string to_json(const SandboxSpec& spec, Indent indent) {
  return written(spec, indent, EmptyFields::left_out);
}
std::string to_json(const SandboxResult& result, Indent indent) { return written(result, indent); }
std::string to_json(const HostFacts& facts, Indent indent) { return written(facts, indent); }
std::string to_json(const ImageFacts& facts, Indent indent) { return written(facts, indent); }
std::string to_json(const SourceFacts& facts, Indent indent) { return written(facts, indent); }
std::string to_json(const Plan& plan, Indent indent) { return written(plan, indent); }
std::string to_json(const Error& error, Indent indent) { return written(error, indent); }
std::string to_json(const std::vector<Finding>& findings, Indent indent) {
  return written(findings, indent);
}

}  // namespace cove
