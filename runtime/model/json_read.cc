// Reading: every ..._from_json. One pass over the parsed document that goes on after a mistake, so
// that all of them are told at once, each with its path. Nothing unknown is passed over.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>

#include "cove/json.h"
#include "runtime/model/check_spec.h"
#include "runtime/model/describe.h"
#include "runtime/model/fragment.h"
#include "runtime/model/json_document.h"
#include "runtime/model/names.h"
#include "runtime/text/text.h"

namespace cove {
namespace {

using Kind = JsonValue::Kind;

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kLargestDocument = kMiB;
// These are Cove's own output, in which the streams and files of a run lie whole.
constexpr std::size_t kLargestPlan = 64 * kMiB;
constexpr std::size_t kLargestResult = 1024 * kMiB;

constexpr std::size_t kMostProblems = 100;

// What a field that the document does not have means.
enum class MissingFields {
  default_value,
  refused,  // but for optionals: a plan that lost its limits must not be launched without them
};

// A visitor that collects the names of a struct's fields, for hints.
class FieldNames {
 public:
  template <class T>
  void field(std::string_view name, const T&) {
    names.push_back(name);
  }
  template <class T>
  void required(std::string_view name, const T&) {
    names.push_back(name);
  }
  std::vector<std::string_view> names;
};

template <class S>
bool has_field(std::string_view name) {
  FieldNames visitor;
  const S empty;
  describe(visitor, empty);
  return std::ranges::find(visitor.names, name) != visitor.names.end();
}

class JsonReader {
 public:
  JsonReader(std::string_view step, MissingFields missing) : step_(step), missing_(missing) {}

  std::vector<Error> take_problems() && {
    if (dropped_ > 0) {
      Error rest = mistake("$", "and " + std::to_string(dropped_) + " more mistakes");
      problems_.push_back(std::move(rest));
    }
    return std::move(problems_);
  }

  // --- one overload per type; each writes into `value`, or reports and leaves it ---

  void read(const JsonValue& node, bool& value) {
    if (node.kind == Kind::boolean) {
      value = node.boolean;
      return;
    }
    wrong_type(node, "true or false",
               node.text == "true" || node.text == "false" ? "write it without quotes" : "");
  }

  template <std::integral T>
  requires(!std::same_as<T, bool>) void read(const JsonValue& node, T& value) {
    using Limits = std::numeric_limits<T>;
    switch (node.kind) {
      case Kind::natural:
        if (std::in_range<T>(node.natural))
          value = static_cast<T>(node.natural);
        else
          out_of_range<T>();
        return;
      case Kind::integer:
        if (std::in_range<T>(node.integer))
          value = static_cast<T>(node.integer);
        else
          out_of_range<T>();
        return;
      case Kind::real:
        // 512.0 and 1e3 are what some writers make of whole numbers.
        if (node.real != std::floor(node.real)) {
          problem("must be a whole number, not " + shown(node));
        } else if (std::abs(node.real) > kExactDouble ||
                   !std::in_range<T>(static_cast<std::int64_t>(node.real))) {
          out_of_range<T>();
        } else {
          value = static_cast<T>(node.real);
        }
        return;
      default:
        wrong_type(node, "a whole number", number_hint(node));
    }
    static_assert(Limits::is_integer);
  }

  void read(const JsonValue& node, double& value) {
    switch (node.kind) {
      case Kind::natural:
        value = static_cast<double>(node.natural);
        return;
      case Kind::integer:
        value = static_cast<double>(node.integer);
        return;
      case Kind::real:
        value = node.real;
        return;
      default:
        wrong_type(node, "a number", number_hint(node));
    }
  }

  void read(const JsonValue& node, std::string& value) {
    if (node.kind == Kind::text) {
      value = node.text;
      return;
    }
    if (const JsonValue* encoded = only_member(node, "base64")) {
      read_base64(*encoded, "base64", value);
      return;
    }
    wrong_type(node, "a string", node.kind == Kind::natural ? "put it in quotes" : "");
  }

  void read(const JsonValue& node, Bytes& value) {
    constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
    switch (node.kind) {
      case Kind::natural:
        if (node.natural > kMost) return problem("is more than a size can be", size_hint());
        value.count = node.natural;
        return;
      case Kind::integer:
        return problem("must not be negative");
      case Kind::real:
        if (node.real < 0) return problem("must not be negative");
        if (node.real != std::floor(node.real)) {
          return problem("must be a whole number of bytes, not " + shown(node),
                         "with a unit it is a string: \"1.5g\"");
        }
        if (node.real > kExactDouble) return problem("is more than a size can be", size_hint());
        value.count = static_cast<std::uint64_t>(node.real);
        return;
      case Kind::text:
        return take(parse_bytes(node.text), value);
      default:
        wrong_type(node, "a size", "a number of bytes, or a string such as \"512m\"");
    }
  }

  void read(const JsonValue& node, Duration& value) {
    switch (node.kind) {
      case Kind::natural:
        return seconds(static_cast<long double>(node.natural), value);
      case Kind::integer:
        return problem("must not be negative");
      case Kind::real: {
        // From the text, since a double does not hold every nanosecond of ten years.
        long double exact = static_cast<long double>(node.real);
        std::from_chars(node.text.data(), node.text.data() + node.text.size(), exact);
        return seconds(exact, value);
      }
      case Kind::text:
        return take(parse_duration(node.text), value);
      default:
        wrong_type(node, "a time", "a number of seconds, or a string such as \"1.5s\"");
    }
  }

  template <NamedEnum E>
  void read(const JsonValue& node, E& value) {
    if (node.kind != Kind::text) return wrong_type(node, "a string", known_names<E>());
    take(parse_name<E>(node.text), value);
  }

  // After a mistake the field counts as given, so that "neither image nor rootfs" is not said of a
  // misspelt one. null is "not given".
  template <class T>
  void read(const JsonValue& node, std::optional<T>& value) {
    value.reset();
    if (node.kind != Kind::null) read(node, value.emplace());
  }

  template <class T>
  void read(const JsonValue& node, std::vector<T>& values) {
    values.clear();
    if (node.kind != Kind::list) return wrong_type(node, "a list", list_hint<T>());
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      const Step step(*this, i);
      read(node.items[i], values.emplace_back());
    }
  }

  void read(const JsonValue& node, std::pair<std::string, std::string>& value) {
    if (node.kind != Kind::list || node.items.size() != 2) {
      return wrong_type(node, "a list of two strings");
    }
    for (std::size_t i = 0; i < 2; ++i) {
      const Step step(*this, i);
      read(node.items[i], i == 0 ? value.first : value.second);
    }
  }

  void read(const JsonValue& node, std::vector<std::pair<std::string, double>>& values) {
    values.clear();
    members(node, "", [&](const JsonValue& member) {
      values.emplace_back(member.key, 0);
      read(member, values.back().second);
    });
  }

  template <class T>
  void read(const JsonValue& node, std::map<std::string, T>& values) {
    values.clear();
    members(node, "write an object: {\"NAME\": ...}",
            [&](const JsonValue& member) { read(member, values[member.key]); });
  }

  template <NamedEnum E, class T>
  void read(const JsonValue& node, std::map<E, T>& values) {
    values.clear();
    members(node, "write an object: {\"NAME\": ...}", [&](const JsonValue& member) {
      const Result<E> key = parse_name<E>(member.key);
      T value{};
      const std::size_t before = mistakes();
      if (!key) problem(key.error().what, key.error().hint);
      read(member, value);
      if (mistakes() == before) values[*key] = std::move(value);
    });
  }

  void read(const JsonValue& node, RlimitSpec& value) {
    if (node.kind == Kind::object) return read_struct(node, value);
    std::uint64_t both = 0;
    if (read_limit(node, both, "a number, \"unlimited\", or {\"soft\": ..., \"hard\": ...}")) {
      value = {both, both};
    }
  }

  void read(const JsonValue& node, StdinSpec& value) {
    constexpr const char* kForms = "write \"none\", \"inherit\" or {\"data\": \"...\"}";
    if (node.kind == Kind::object) return read_stdin_data(node, value);
    if (node.kind != Kind::text) return wrong_type(node, "a string or an object", kForms);
    if (node.text == "none") {
      value = StdinNone{};
    } else if (node.text == "inherit") {
      value = StdinInherit{};
    } else {
      problem(in_quotes(node.text) + " is not a source of input", kForms);
    }
  }

  template <class S>
  requires std::is_class_v<S>
  void read(const JsonValue& node, S& value) { read_struct(node, value); }

 private:
  static constexpr double kExactDouble = 9007199254740992.0;  // 2^53

  // --- where we are ---

  using PathStep = std::variant<std::string_view, std::size_t>;

  // One step down the path, for as long as it lives.
  class Step {
   public:
    Step(JsonReader& reader, PathStep step) : reader_(reader) { reader_.path_.push_back(step); }
    ~Step() { reader_.path_.pop_back(); }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;

   private:
    JsonReader& reader_;
  };

  std::string where() const {
    std::string path = "$";
    for (const PathStep& step : path_) {
      std::visit([&](const auto& one) { append_path(path, one); }, step);
    }
    return path;
  }

  bool at_field(std::string_view name) const {
    const auto* key = path_.empty() ? nullptr : std::get_if<std::string_view>(&path_.back());
    return key && *key == name;
  }

  Error mistake(std::string where, std::string what, std::string hint = {}) const {
    Error error;
    error.code = ErrorCode::invalid_argument;
    error.step = step_;
    error.where = std::move(where);
    error.what = std::move(what);
    error.hint = std::move(hint);
    return error;
  }

  void problem(std::string what, std::string hint = {}) {
    if (problems_.size() == kMostProblems) {
      ++dropped_;
      return;
    }
    problems_.push_back(mistake(where(), std::move(what), std::move(hint)));
  }

  std::size_t mistakes() const { return problems_.size() + dropped_; }

  void wrong_type(const JsonValue& node, std::string_view wanted, std::string hint = {}) {
    problem("must be " + std::string(wanted) + ", not " + std::string(node.kind_name()),
            std::move(hint));
  }

  template <class T>
  void take(Result<T> parsed, T& value) {
    if (!parsed) return problem(parsed.error().what, parsed.error().hint);
    value = *std::move(parsed);
  }

  template <class T>
  void out_of_range() {
    problem("must be from " + std::to_string(std::numeric_limits<T>::min()) + " to " +
            std::to_string(std::numeric_limits<T>::max()));
  }

  static std::string shown(const JsonValue& node) { return node.text.substr(0, 40); }

  static std::string size_hint() {
    return "the largest is " + std::to_string(std::numeric_limits<std::int64_t>::max()) + " bytes";
  }

  static std::string number_hint(const JsonValue& node) {
    const bool digits = !node.text.empty() && node.text.size() <= 20 &&
                        node.text.find_first_not_of("0123456789.") == std::string::npos;
    return digits ? "write " + node.text + " without quotes" : "";
  }

  template <class E>
  static std::string known_names() {
    std::string hint = "known: ";
    for (const std::string_view& name : EnumNames<E>::kTable) {
      if (&name != EnumNames<E>::kTable.data()) hint += ", ";
      hint += name;
    }
    return hint;
  }

  template <class T>
  std::string list_hint() const {
    if (at_field("command") || at_field("entrypoint")) {
      return "write a list; for a shell's line: [\"sh\", \"-c\", \"...\"]";
    }
    return std::same_as<T, std::string> ? "write a list: [\"...\"]" : "write a list: [...]";
  }

  // --- pieces ---

  void seconds(long double count, Duration& value) {
    constexpr long double kLongest = 10.0L * 365 * 24 * 3600;
    if (count < 0) return problem("must not be negative");
    if (count > kLongest) return problem("is more than ten years", "leave it out for no limit");
    value = Duration{static_cast<std::int64_t>(std::llround(count * 1e9L))};
  }

  bool read_limit(const JsonValue& node, std::uint64_t& value, std::string_view wanted) {
    const std::size_t before = mistakes();
    if (node.kind == Kind::text && node.text == "unlimited") {
      value = kRlimitInfinity;
    } else if (node.kind == Kind::text) {
      problem(in_quotes(node.text) + " is not a limit", "write " + std::string(wanted));
    } else if (node.kind == Kind::natural || node.kind == Kind::integer ||
               node.kind == Kind::real) {
      read(node, value);
    } else {
      wrong_type(node, wanted);
    }
    return mistakes() == before;
  }

  static const JsonValue* only_member(const JsonValue& node, std::string_view key) {
    const bool one = node.kind == Kind::object && node.items.size() == 1;
    return one && node.items[0].key == key ? &node.items[0] : nullptr;
  }

  void read_base64(const JsonValue& node, std::string_view key, std::string& value) {
    const Step step(*this, key);
    if (node.kind != Kind::text) return wrong_type(node, "a string");
    if (auto bytes = from_base64(node.text)) {
      value = *std::move(bytes);
    } else {
      problem("is not base64", "the alphabet with + and /, padded with =, no line breaks");
    }
  }

  template <class Each>
  void members(const JsonValue& node, std::string hint, Each each) {
    if (node.kind != Kind::object) return wrong_type(node, "an object", std::move(hint));
    for (const JsonValue& member : node.items) {
      if (member.duplicate) continue;  // already reported
      const Step step(*this, std::string_view(member.key));
      each(member);
    }
  }

  // The visitor that a struct's fields are read with.
  class Fields {
   public:
    Fields(JsonReader& reader, const JsonValue& object)
        : reader_(reader), object_(object), used_(object.items.size()) {}

    template <class T>
    void field(std::string_view name, T& value) {
      read_field(name, value, reader_.missing_ == MissingFields::refused && !kOptional<T>);
    }
    template <class T>
    void required(std::string_view name, T& value) {
      read_field(name, value, true);
    }
    template <class T>
    void if_any(std::string_view name, T& value) {
      read_field(name, value, false);
    }
    void text(std::string_view name, std::string& value) { field(name, value); }

    void mode(std::string_view name, std::uint32_t& value) {
      with(name, must_have(), [&](const JsonValue& node) {
        const auto parsed =
            std::from_chars(node.text.data(), node.text.data() + node.text.size(), value, 8);
        const bool all =
            parsed.ec == std::errc{} && parsed.ptr == node.text.data() + node.text.size();
        if (node.kind != Kind::text || !all || value > 07777) {
          reader_.problem("must be a mode in octal digits, such as \"0755\"");
        }
      });
    }

    void limit(std::string_view name, std::uint64_t& value) {
      with(name, must_have(), [&](const JsonValue& node) {
        reader_.read_limit(node, value, "a number or \"unlimited\"");
      });
    }

    void stream(std::string_view name, CapturedStream& value) {
      const std::string prefix(name);
      field(name, value.bytes);
      std::string encoding;
      if_any(prefix + "_encoding", encoding);
      if (!encoding.empty()) decode(prefix, encoding, value.bytes);
      field(prefix + "_bytes", value.total_bytes);
      field(prefix + "_truncated", value.truncated);
    }

    const JsonValue* find(std::string_view name) {
      known_.emplace_back(name);
      for (std::size_t i = 0; i < object_.items.size(); ++i) {
        if (object_.items[i].duplicate || object_.items[i].key != name) continue;
        used_[i] = true;
        return &object_.items[i];
      }
      return nullptr;
    }

    template <class Then>
    void with(std::string_view name, bool must, Then then) {
      const JsonValue* node = find(name);
      const Step step(reader_, name);
      if (node) return then(*node);
      if (must) reader_.problem("is missing");
    }

    bool must_have() const { return reader_.missing_ == MissingFields::refused; }

    // What nobody asked for.
    void refuse_others(const std::function<std::string(std::string_view)>& hint_elsewhere) {
      const std::vector<std::string_view> known(known_.begin(), known_.end());
      for (std::size_t i = 0; i < object_.items.size(); ++i) {
        const JsonValue& item = object_.items[i];
        if (used_[i] || item.duplicate) continue;
        if (reader_.problems_.size() == kMostProblems) {  // no search for hints nobody sees
          ++reader_.dropped_;
          continue;
        }
        std::string hint = hint_elsewhere(item.key);
        if (hint.empty()) {
          const std::string_view near = nearest(item.key, known);
          if (!near.empty()) hint = "did you mean " + in_quotes(near) + "?";
        }
        const Step step(reader_, std::string_view(item.key));
        reader_.problem("unknown field", std::move(hint));
      }
    }

   private:
    template <class T>
    static constexpr bool kOptional = requires(T t) {
      t.has_value();
    };

    template <class T>
    void read_field(std::string_view name, T& value, bool must) {
      with(name, must, [&](const JsonValue& node) { reader_.read(node, value); });
    }

    void decode(const std::string& prefix, const std::string& encoding, std::string& bytes) {
      const Step step(reader_, std::string_view(prefix));
      if (encoding != "base64") {
        reader_.problem("the encoding " + in_quotes(encoding) + " is not known",
                        "write \"base64\"");
      } else if (auto decoded = from_base64(bytes)) {
        bytes = *std::move(decoded);
      } else {
        reader_.problem("is not base64");
      }
    }

    JsonReader& reader_;
    const JsonValue& object_;
    std::vector<bool> used_;
    std::vector<std::string> known_;
  };

  template <class S>
  void read_struct(const JsonValue& node, S& value) {
    if (node.kind != Kind::object) return wrong_type(node, "an object", struct_hint<S>());
    Fields fields(*this, node);
    describe(fields, value);
    fields.refuse_others([](std::string_view name) { return elsewhere<S>(name); });
  }

  template <class S>
  static std::string struct_hint() {
    if constexpr (std::same_as<S, MountSpec>) {
      return "write {\"host_path\": \"...\", \"container_path\": \"...\", \"read_only\": true}";
    }
    return {};
  }

  // A name that is right, in the wrong object.
  template <class S>
  static std::string elsewhere(std::string_view name) {
    if constexpr (std::same_as<S, SandboxSpec>) {
      if (has_field<ResourceSpec>(name)) return "it belongs into \"resources\"";
    }
    if constexpr (std::same_as<S, ResourceSpec>) {
      if (has_field<SandboxSpec>(name)) return "it belongs to the top level, beside \"resources\"";
    }
    return {};
  }

  void read_stdin_data(const JsonValue& node, StdinSpec& value) {
    StdinData data;
    std::string encoding;
    Fields fields(*this, node);
    fields.required("data", data.bytes);
    const JsonValue* given = fields.find("encoding");
    fields.refuse_others([](std::string_view) { return std::string(); });
    value = std::move(data);
    if (!given) return;

    const Step step(*this, std::string_view("encoding"));
    if (given->kind != Kind::text || given->text != "base64") {
      return problem("the only encoding is \"base64\"", "leave it out for plain text");
    }
    std::string& bytes = std::get<StdinData>(value).bytes;
    if (auto decoded = from_base64(bytes)) {
      bytes = *std::move(decoded);
    } else {
      problem("the data is not base64", "the alphabet with + and /, padded with =, no line breaks");
    }
  }

  const std::string step_;
  const MissingFields missing_;
  std::vector<PathStep> path_;
  std::vector<Error> problems_;
  std::size_t dropped_ = 0;
};

template <class T>
struct Read {
  T value;
  std::vector<Error> problems;
};

template <class T>
Result<Read<T>> read_document(std::string_view text, std::size_t largest, std::string_view step,
                              MissingFields missing) {
  Result<JsonDocument> document = parse_json(text, largest, step);
  if (!document) return fail(std::move(document.error()));
  Read<T> read{{}, std::move(document->problems)};
  JsonReader reader(step, missing);
  reader.read(document->root, read.value);
  std::ranges::move(std::move(reader).take_problems(), std::back_inserter(read.problems));
  return read;
}

template <class T>
Result<T> from_json(std::string_view text, std::size_t largest, std::string_view step,
                    MissingFields missing = MissingFields::default_value) {
  Result<Read<T>> read = read_document<T>(text, largest, step, missing);
  if (!read) return fail(std::move(read.error()));
  if (!read->problems.empty()) return fail(one_error(std::move(read->problems)));
  return std::move(read->value);
}

// True if one of the two paths is the other or leads to it.
bool same_place(std::string_view a, std::string_view b) {
  if (a.size() > b.size()) std::swap(a, b);
  return b.starts_with(a) && (a.size() == b.size() || b[a.size()] == '.' || b[a.size()] == '[');
}

// A value that could not be read would be found wrong a second time, for another reason; and of a
// mount whose type is not known it cannot be said what it lacks.
bool follows_from(const Error& unreadable, const Error& value) {
  std::string_view place = unreadable.where;
  if (place.starts_with("$.mounts[") && place.ends_with("].type")) place.remove_suffix(5);
  return same_place(place, value.where);
}

Result<SandboxSpec> read_spec(std::string_view text, SpecScope scope) {
  Result<Read<SandboxSpec>> read =
      read_document<SandboxSpec>(text, kLargestDocument, "spec", MissingFields::default_value);
  if (!read) return fail(std::move(read.error()));
  std::vector<Error> problems = std::move(read->problems);
  const bool is_spec =
      std::ranges::none_of(problems, [](const Error& e) { return e.where == "$"; });
  if (is_spec) {
    std::vector<Error> values;
    check_spec(read->value, values, scope);
    std::erase_if(values, [&](const Error& value) {
      return std::ranges::any_of(
          problems, [&](const Error& unreadable) { return follows_from(unreadable, value); });
    });
    std::ranges::move(values, std::back_inserter(problems));
  }
  if (!problems.empty()) return fail(one_error(std::move(problems)));
  return std::move(read->value);
}

}  // namespace

Result<SandboxSpec> spec_from_json(std::string_view text) {
  return read_spec(text, SpecScope::complete);
}

Result<SandboxSpec> spec_fragment_from_json(std::string_view text) {
  return read_spec(text, SpecScope::fragment);
}

Result<SandboxResult> result_from_json(std::string_view text) {
  return from_json<SandboxResult>(text, kLargestResult, "result");
}

Result<HostFacts> host_facts_from_json(std::string_view text) {
  return from_json<HostFacts>(text, kLargestDocument, "host facts");
}

Result<ImageFacts> image_facts_from_json(std::string_view text) {
  return from_json<ImageFacts>(text, kLargestPlan, "image facts");
}

Result<SourceFacts> source_facts_from_json(std::string_view text) {
  return from_json<SourceFacts>(text, kLargestDocument, "source facts");
}

Result<Error> error_from_json(std::string_view text) {
  return from_json<Error>(text, kLargestDocument, "error");
}

Result<Plan> plan_from_json(std::string_view text) {
  Result<Plan> plan = from_json<Plan>(text, kLargestPlan, "plan", MissingFields::refused);
  if (!plan || plan->plan_version == Plan{}.plan_version) return plan;
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "plan";
  error.where = "$.plan_version";
  error.what = "version " + std::to_string(plan->plan_version) + " is not known";
  error.hint = "this Cove makes and launches version " + std::to_string(Plan{}.plan_version);
  return fail(std::move(error));
}

}  // namespace cove
