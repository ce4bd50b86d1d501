#include "runtime/seccomp/cove_policy.h"

#include <charconv>
#include <map>
#include <optional>
#include <utility>

#include "runtime/seccomp/syscall_table.h"

namespace cove {
namespace {

constexpr int kPolicyVersion = 1;
constexpr int kHighestNumber = 65535;  // above every system call, below the x32 bit
constexpr unsigned kArguments = 6;

constexpr const char* kActionHint =
    "write \"allow\", \"kill_process\" or the name of an errno such as \"EPERM\"";
constexpr const char* kValueHint =
    "write a number, or hexadecimal \"0x1f\" or octal \"0o755\" text";

class PolicyReader {
 public:
  explicit PolicyReader(DocumentReader& document) : document_(document) {}

  Policy policy(const Json& json) {
    Policy policy;
    const std::string path = "$";
    if (!document_.object(json, path)) return policy;
    document_.fields(json, path, {"version", "description", "default", "groups"});
    version(json, path);
    policy.description = document_.text(json, path, "description");
    policy.default_action = action(json, path, "default");
    if (const Json* groups = document_.list(json, path, "groups")) {
      for (std::size_t i = 0; i < groups->size(); ++i) {
        policy.groups.push_back(group((*groups)[i], join(join(path, "groups"), i)));
      }
    }
    return policy;
  }

 private:
  // ---- The parts of a policy. ----

  void version(const Json& json, const std::string& path) {
    const Json* value = document_.field(json, path, "version");
    if (value == nullptr || (value->is_number_integer() && *value == kPolicyVersion)) return;
    document_.complain(join(path, "version"), "must be " + std::to_string(kPolicyVersion));
  }

  Action action(const Json& json, const std::string& path, const char* name) {
    const Json* value = document_.field(json, path, name);
    if (value == nullptr) return {};
    const std::string words = value->is_string() ? value->get<std::string>() : std::string();
    if (words == "allow") return Action{ActionKind::allow, 0};
    if (words == "kill_process") return Action{ActionKind::kill_process, 0};
    if (const auto number = errno_named(words)) return Action{ActionKind::error, *number};
    document_.complain(join(path, name), "is not an action", kActionHint);
    return {};
  }

  SyscallGroup group(const Json& json, const std::string& path) {
    SyscallGroup group;
    if (!document_.object(json, path)) return group;
    document_.fields(json, path, {"reason", "syscalls", "rules", "action"});
    group.reason = document_.text(json, path, "reason");
    group.otherwise = action(json, path, "action");
    if (const Json* syscalls = document_.list(json, path, "syscalls")) {
      for (std::size_t i = 0; i < syscalls->size(); ++i) {
        add_syscall(group, (*syscalls)[i], join(join(path, "syscalls"), i));
      }
    }
    if (!json.contains("rules")) return group;
    if (const Json* rules = document_.list(json, path, "rules")) {
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
      document_.complain(path, "names a system call that is listed already, at " + first->second,
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
      document_.complain(path, "must be the name of a system call, or its number (0 to 65535)");
      return std::nullopt;
    }
    const std::string name = json.get<std::string>();
    const std::optional<int> number = syscall_number(name);
    if (!number) {
      document_.complain(
          path, "\"" + name + "\" is not a system call that this build knows",
          "check the spelling; one that is newer than this build can be given by its number");
    }
    return number;
  }

  Rule rule(const Json& json, const std::string& path) {
    Rule rule;
    if (!document_.object(json, path)) return rule;
    document_.fields(json, path, {"reason", "when", "action"});
    if (json.contains("reason")) document_.text(json, path, "reason");
    rule.action = action(json, path, "action");
    if (const Json* conditions = document_.list(json, path, "when")) {
      for (std::size_t i = 0; i < conditions->size(); ++i) {
        rule.conditions.push_back(condition((*conditions)[i], join(join(path, "when"), i)));
      }
    }
    return rule;
  }

  Condition condition(const Json& json, const std::string& path) {
    Condition condition;
    if (!document_.object(json, path)) return condition;
    document_.fields(json, path, {"argument", "width", "mask", "is", "any_bit", "only_bits"});
    if (const Json* value = document_.field(json, path, "argument")) {
      if (value->is_number_unsigned() && value->get<std::uint64_t>() < kArguments) {
        condition.argument = value->get<unsigned>();
      } else {
        document_.complain(join(path, "argument"),
                           "must be a number from 0 to 5: the first argument is 0");
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
      document_.complain(join(path, "width"), "must be 32 or 64",
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
        document_.complain(join(path, name), "cannot stand beside " + std::string(chosen),
                           "write two conditions; all of them must hold");
        return;
      }
      chosen = name;
      condition.comparison = comparison;
    }
    if (chosen == nullptr) {
      document_.complain(path, "compares the argument with nothing",
                         "add one of is, any_bit, only_bits");
      return;
    }

    const std::vector<std::uint64_t> named = values(json[chosen], join(path, chosen), all);
    if (condition.comparison != Comparison::is) {
      if (json.contains("mask")) document_.complain(join(path, "mask"), "belongs to is alone");
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
      document_.complain(join(path, chosen),
                         "has a value with bits outside the mask, which can never be met");
    }
  }

  // {"NAME": number, ...}: the names are for the reader.
  std::vector<std::uint64_t> values(const Json& json, const std::string& path, std::uint64_t all) {
    std::vector<std::uint64_t> values;
    if (!json.is_object() || json.empty()) {
      document_.complain(path, "must be an object of named values",
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
      document_.complain(path, "is not a number", kValueHint);
      return std::nullopt;
    }
    if (*number <= all) return number;
    document_.complain(path, "does not fit into 32 bits",
                       "say \"width\": 64 where the argument has 64");
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

  DocumentReader& document_;
  std::map<int, std::string> listed_;
};

}  // namespace

Policy read_cove_policy(DocumentReader& document, const Json& json) {
  return PolicyReader(document).policy(json);
}

}  // namespace cove
