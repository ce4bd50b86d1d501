#include "runtime/seccomp/policy.h"

#include <charconv>
#include <cstring>
#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "runtime/seccomp/syscall_table.h"

namespace cove {
namespace {

using Json = nlohmann::json;

constexpr int kPolicyVersion = 1;
constexpr int kHighestNumber = 65535;  // above every system call, below the x32 bit
constexpr unsigned kArguments = 6;
constexpr int kHighestErrno = 133;
constexpr std::size_t kDeepest = 64;  // as for every JSON document of Cove's (cove/json.h)

constexpr const char* kActionHint =
    "write \"allow\", \"kill_process\" or the name of an errno such as \"EPERM\"";
constexpr const char* kValueHint =
    "write a number, or hexadecimal \"0x1f\" or octal \"0o755\" text";

std::string join(const std::string& path, std::string_view field) {
  return path + "." + std::string(field);
}
std::string join(const std::string& path, std::size_t index) {
  return path + "[" + std::to_string(index) + "]";
}

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

class PolicyReader {
 public:
  void complain(std::string where, std::string what, std::string hint = {}) {
    Error error;
    error.code = ErrorCode::invalid_argument;
    error.step = "seccomp";
    error.where = std::move(where);
    error.what = std::move(what);
    error.hint = std::move(hint);
    mistakes_.push_back(std::move(error));
  }

  std::optional<Error> mistakes() const {
    if (mistakes_.empty()) return std::nullopt;
    Error first = mistakes_.front();
    first.more.assign(mistakes_.begin() + 1, mistakes_.end());
    return first;
  }

  Policy policy(const Json& json) {
    Policy policy;
    const std::string path = "$";
    if (!object(json, path)) return policy;
    if (json.contains("defaultAction")) {
      complain("$.defaultAction", "this is a policy in Docker's format, which Cove does not read",
               "docs/seccomp.md shows Cove's own");
      return policy;
    }
    fields(json, path, {"version", "description", "default", "groups"});
    version(json, path);
    policy.description = text(json, path, "description");
    policy.default_action = action(json, path, "default");
    if (const Json* groups = list(json, path, "groups")) {
      for (std::size_t i = 0; i < groups->size(); ++i) {
        policy.groups.push_back(group((*groups)[i], join(join(path, "groups"), i)));
      }
    }
    return policy;
  }

 private:
  // ---- Shapes: each complains where the document has another one. ----

  bool object(const Json& json, const std::string& path) {
    if (json.is_object()) return true;
    complain(path, "must be an object");
    return false;
  }

  void fields(const Json& json, const std::string& path,
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

  const Json* field(const Json& json, const std::string& path, const char* name) {
    const auto found = json.find(name);
    if (found != json.end()) return &*found;
    complain(join(path, name), "is missing");
    return nullptr;
  }

  // A list with something in it.
  const Json* list(const Json& json, const std::string& path, const char* name) {
    const Json* value = field(json, path, name);
    if (value == nullptr) return nullptr;
    if (value->is_array() && !value->empty()) return value;
    complain(join(path, name), "must be a list that is not empty");
    return nullptr;
  }

  std::string text(const Json& json, const std::string& path, const char* name) {
    const Json* value = field(json, path, name);
    if (value == nullptr) return {};
    if (value->is_string()) {
      const std::string& words = value->get_ref<const std::string&>();
      if (!words.empty() && words.find('\n') == std::string::npos) return words;
    }
    complain(join(path, name), "must be one line of text");
    return {};
  }

  // ---- The parts of a policy. ----

  void version(const Json& json, const std::string& path) {
    const Json* value = field(json, path, "version");
    if (value == nullptr || (value->is_number_integer() && *value == kPolicyVersion)) return;
    complain(join(path, "version"), "must be " + std::to_string(kPolicyVersion));
  }

  Action action(const Json& json, const std::string& path, const char* name) {
    const Json* value = field(json, path, name);
    if (value == nullptr) return {};
    const std::string words = value->is_string() ? value->get<std::string>() : std::string();
    if (words == "allow") return Action{ActionKind::allow, 0};
    if (words == "kill_process") return Action{ActionKind::kill_process, 0};
    for (int number = 1; number <= kHighestErrno; ++number) {
      const char* known = strerrorname_np(number);
      if (known != nullptr && words == known) return Action{ActionKind::error, number};
    }
    complain(join(path, name), "is not an action", kActionHint);
    return {};
  }

  SyscallGroup group(const Json& json, const std::string& path) {
    SyscallGroup group;
    if (!object(json, path)) return group;
    fields(json, path, {"reason", "syscalls", "rules", "action"});
    group.reason = text(json, path, "reason");
    group.otherwise = action(json, path, "action");
    if (const Json* syscalls = list(json, path, "syscalls")) {
      for (std::size_t i = 0; i < syscalls->size(); ++i) {
        add_syscall(group, (*syscalls)[i], join(join(path, "syscalls"), i));
      }
    }
    if (!json.contains("rules")) return group;
    if (const Json* rules = list(json, path, "rules")) {
      for (std::size_t i = 0; i < rules->size(); ++i) {
        group.rules.push_back(rule((*rules)[i], join(join(path, "rules"), i)));
      }
    }
    return group;
  }

  void add_syscall(SyscallGroup& group, const Json& json, const std::string& path) {
    const std::optional<int> number = syscall(json, path);
    if (!number || *number == kNotOnThisArchitecture) return;
    const auto [first, is_new] = listed_.emplace(*number, path);
    if (!is_new) {
      complain(path, "names a system call that is listed already, at " + first->second,
               "a call belongs to one group; its rules are tried in order there");
      return;
    }
    group.numbers.push_back(*number);
  }

  std::optional<int> syscall(const Json& json, const std::string& path) {
    if (json.is_number_unsigned() && json.get<std::uint64_t>() <= kHighestNumber) {
      return json.get<int>();
    }
    if (!json.is_string()) {
      complain(path, "must be the name of a system call, or its number (0 to 65535)");
      return std::nullopt;
    }
    const std::string name = json.get<std::string>();
    const std::optional<int> number = syscall_number(name);
    if (!number) {
      complain(path, "\"" + name + "\" is not a system call that this build knows",
               "check the spelling; one that is newer than this build can be given by its number");
    }
    return number;
  }

  Rule rule(const Json& json, const std::string& path) {
    Rule rule;
    if (!object(json, path)) return rule;
    fields(json, path, {"reason", "when", "action"});
    if (json.contains("reason")) text(json, path, "reason");
    rule.action = action(json, path, "action");
    if (const Json* conditions = list(json, path, "when")) {
      for (std::size_t i = 0; i < conditions->size(); ++i) {
        rule.conditions.push_back(condition((*conditions)[i], join(join(path, "when"), i)));
      }
    }
    return rule;
  }

  Condition condition(const Json& json, const std::string& path) {
    Condition condition;
    if (!object(json, path)) return condition;
    fields(json, path, {"argument", "width", "mask", "is", "any_bit", "only_bits"});
    if (const Json* value = field(json, path, "argument")) {
      if (value->is_number_unsigned() && value->get<std::uint64_t>() < kArguments) {
        condition.argument = value->get<unsigned>();
      } else {
        complain(join(path, "argument"), "must be a number from 0 to 5: the first argument is 0");
      }
    }
    condition.width = width(json, path);
    const std::uint64_t all =
        condition.width == ArgumentWidth::bits32 ? 0xffffffffu : ~std::uint64_t{0};
    compare(condition, json, path, all);
    return condition;
  }

  ArgumentWidth width(const Json& json, const std::string& path) {
    const auto found = json.find("width");
    if (found == json.end() || (found->is_number_integer() && *found == 32)) {
      return ArgumentWidth::bits32;
    }
    if (!found->is_number_integer() || *found != 64) {
      complain(join(path, "width"), "must be 32 or 64",
               "32 is right for every argument that is an int in C");
    }
    return ArgumentWidth::bits64;
  }

  void compare(Condition& condition, const Json& json, const std::string& path, std::uint64_t all) {
    static constexpr std::pair<const char*, Comparison> kComparisons[] = {
        {"is", Comparison::is},
        {"any_bit", Comparison::any_bit},
        {"only_bits", Comparison::only_bits}};
    const char* chosen = nullptr;
    for (const auto& [name, comparison] : kComparisons) {
      if (!json.contains(name)) continue;
      if (chosen != nullptr) {
        complain(join(path, name), "cannot stand beside " + std::string(chosen),
                 "write two conditions; all of them must hold");
        return;
      }
      chosen = name;
      condition.comparison = comparison;
    }
    if (chosen == nullptr) {
      complain(path, "compares the argument with nothing", "add one of is, any_bit, only_bits");
      return;
    }

    const std::vector<std::uint64_t> named = values(json[chosen], join(path, chosen), all);
    if (condition.comparison != Comparison::is) {
      if (json.contains("mask")) complain(join(path, "mask"), "belongs to is alone");
      for (std::uint64_t bits : named) condition.mask |= bits;
      return;
    }
    condition.mask = all;
    if (json.contains("mask")) {
      if (const auto mask = value(json["mask"], join(path, "mask"), all)) condition.mask = *mask;
    }
    condition.values = named;
    for (std::uint64_t one : named) {
      if ((one & ~condition.mask) == 0) continue;
      complain(join(path, chosen),
               "has a value with bits outside the mask, which can never be met");
    }
  }

  // {"NAME": number, ...}: the names are for the reader.
  std::vector<std::uint64_t> values(const Json& json, const std::string& path, std::uint64_t all) {
    std::vector<std::uint64_t> values;
    if (!json.is_object() || json.empty()) {
      complain(path, "must be an object of named values",
               "such as {\"AF_UNIX\": 1, \"AF_INET\": 2}");
      return values;
    }
    for (const auto& [name, number] : json.items()) {
      if (const auto one = value(number, join(path, name), all)) values.push_back(*one);
    }
    return values;
  }

  std::optional<std::uint64_t> value(const Json& json, const std::string& path, std::uint64_t all) {
    std::optional<std::uint64_t> number;
    if (json.is_number_unsigned()) number = json.get<std::uint64_t>();
    if (json.is_string()) number = number_of(json.get_ref<const std::string&>());
    if (!number) {
      complain(path, "is not a number", kValueHint);
      return std::nullopt;
    }
    if (*number <= all) return number;
    complain(path, "does not fit into 32 bits", "say \"width\": 64 where the argument has 64");
    return std::nullopt;
  }

  static std::optional<std::uint64_t> number_of(const std::string& text) {
    const int base = text.starts_with("0x") ? 16 : text.starts_with("0o") ? 8 : 0;
    if (base == 0) return std::nullopt;
    std::uint64_t number = 0;
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + 2, end, number, base);
    if (parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
    return number;
  }

  std::vector<Error> mistakes_;
  std::map<int, std::string> listed_;
};

// nlohmann's message without its own error numbers: "parse error at line 3, column 7: ...".
std::string without_label(const std::string& message) {
  const std::size_t end = message.find("] ");
  return end == std::string::npos ? message : message.substr(end + 2);
}

}  // namespace

Result<Policy> parse_policy(std::string_view json) {
  PolicyReader reader;
  DuplicateFinder duplicates;
  Json document;
  try {
    document = Json::parse(json, std::ref(duplicates));
  } catch (const Json::exception& error) {
    reader.complain("$", "is not JSON: " + without_label(error.what()));
    return fail(*reader.mistakes());
  } catch (const TooDeep&) {
    reader.complain("$", "is nested deeper than 64");
    return fail(*reader.mistakes());
  }
  for (const std::string& path : duplicates.found()) reader.complain(path, "is given twice");
  Policy policy = reader.policy(document);
  if (const auto mistakes = reader.mistakes()) return fail(*mistakes);
  return policy;
}

}  // namespace cove
