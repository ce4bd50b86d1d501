#include "runtime/seccomp/docker_policy.h"

#include <seccomp.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include "runtime/text/text.h"

namespace cove {
namespace {

constexpr unsigned kArguments = 6;
constexpr int kHighestErrno = 4095;      // MAX_ERRNO: the kernel makes this of anything above
constexpr int kHighestMessage = 0xffff;  // SECCOMP_RET_DATA
constexpr int kUsualErrno = EPERM;       // of an action that names none

template <typename T>
using Names = std::span<const std::pair<std::string_view, T>>;

constexpr std::array<std::pair<std::string_view, ActionKind>, 9> kActions{{
    {"SCMP_ACT_ALLOW", ActionKind::allow},
    {"SCMP_ACT_ERRNO", ActionKind::error},
    {"SCMP_ACT_KILL", ActionKind::kill_thread},
    {"SCMP_ACT_KILL_THREAD", ActionKind::kill_thread},
    {"SCMP_ACT_KILL_PROCESS", ActionKind::kill_process},
    {"SCMP_ACT_TRAP", ActionKind::trap},
    {"SCMP_ACT_LOG", ActionKind::log},
    {"SCMP_ACT_TRACE", ActionKind::trace},
    {"SCMP_ACT_NOTIFY", ActionKind::notify},
}};

constexpr std::array<std::pair<std::string_view, DockerOperator>, 7> kOperators{{
    {"SCMP_CMP_NE", DockerOperator::not_equal},
    {"SCMP_CMP_LT", DockerOperator::less},
    {"SCMP_CMP_LE", DockerOperator::less_or_equal},
    {"SCMP_CMP_EQ", DockerOperator::equal},
    {"SCMP_CMP_GE", DockerOperator::greater_or_equal},
    {"SCMP_CMP_GT", DockerOperator::greater},
    {"SCMP_CMP_MASKED_EQ", DockerOperator::masked_equal},
}};

// Filters are loaded without them. It opens nothing: one thread loads, nobody listens, and the
// mitigations that SPEC_ALLOW takes off stay. Refused calls are not logged.
constexpr std::array<std::string_view, 4> kFlags{
    "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"};

// As `arches` calls the machine that this was built for.
std::string_view native_architecture() {
  switch (seccomp_arch_native()) {
    case SCMP_ARCH_X86_64:
      return "amd64";
    case SCMP_ARCH_AARCH64:
      return "arm64";
    case SCMP_ARCH_RISCV64:
      return "riscv64";
    case SCMP_ARCH_PPC64LE:
      return "ppc64le";
    default:
      return "";
  }
}

std::string in_capitals(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return text;
}

class DockerReader {
 public:
  DockerReader(DocumentReader& document, const Circumstances& circumstances)
      : document_(document), circumstances_(circumstances) {}

  DockerProfile profile(const Json& json) {
    const std::string path = "$";
    spelling(json, path,
             {"defaultAction", "defaultErrnoRet", "defaultErrno", "archMap", "architectures",
              "syscalls", "flags", "listenerPath"});
    architectures(json, path);
    flags(json, path);
    listener(json, path);

    DockerProfile profile;
    profile.default_action =
        action(json, path, {"defaultAction", "defaultErrnoRet", "defaultErrno"});
    for_each(json, path, "syscalls", [&](const Json& one, const std::string& where) {
      if (!document_.object(one, where)) return;
      rules(one, where, profile.rules);
    });
    return profile;
  }

 private:
  // ---- Shapes. As in Go, null is the same as leaving a field out. ----

  static const Json* find(const Json& json, const char* name) {
    const auto found = json.find(name);
    return found == json.end() || found->is_null() ? nullptr : &*found;
  }

  template <typename Each>
  void for_each(const Json& json, const std::string& path, const char* name, Each each) {
    const Json* list = find(json, name);
    if (list == nullptr) return;
    const std::string where = join(path, name);
    if (!list->is_array()) return document_.complain(where, "must be a list");
    for (std::size_t i = 0; i < list->size(); ++i) each((*list)[i], join(where, i));
  }

  std::vector<std::string> strings(const Json& json, const std::string& path, const char* name) {
    std::vector<std::string> strings;
    for_each(json, path, name, [&](const Json& one, const std::string& where) {
      if (one.is_string()) return strings.push_back(one.get<std::string>());
      document_.complain(where, "must be a string");
    });
    return strings;
  }

  std::string string(const Json& json, const std::string& path, const char* name) {
    const Json* value = find(json, name);
    if (value == nullptr) return {};
    if (value->is_string()) return value->get<std::string>();
    document_.complain(join(path, name), "must be a string");
    return {};
  }

  std::optional<std::uint64_t> number(const Json& json, const std::string& path, const char* name,
                                      std::uint64_t most) {
    const Json* value = find(json, name);
    if (value == nullptr) return std::nullopt;
    if (value->is_number_unsigned() && value->get<std::uint64_t>() <= most) {
      return value->get<std::uint64_t>();
    }
    document_.complain(join(path, name), "must be a number from 0 to " + std::to_string(most));
    return std::nullopt;
  }

  // Docker passes over fields that it does not know, and takes known ones in any case. We take them
  // in theirs alone: a condition that was passed over would open what it closes.
  void spelling(const Json& json, const std::string& path,
                std::initializer_list<const char*> known) {
    for (const auto& [name, value] : json.items()) {
      for (const char* one : known) {
        if (name == one || strcasecmp(name.c_str(), one) != 0) continue;
        document_.complain(join(path, name), "is written " + std::string(one));
      }
    }
  }

  template <typename T>
  std::optional<T> named(const Json& json, const std::string& path, const char* name,
                         Names<T> table, const char* what) {
    const std::string text = string(json, path, name);
    for (const auto& [known, value] : table) {
      if (known == text) return value;
    }
    std::string hint = "one of";
    for (const auto& [known, value] : table) hint.append(" ").append(known);
    document_.complain(join(path, name), in_quotes(text) + " is not " + what, std::move(hint));
    return std::nullopt;
  }

  // ---- What holds for the whole profile. ----

  // 32-bit programs do not run, so of these only their shape is looked at.
  void architectures(const Json& json, const std::string& path) {
    const bool listed = !strings(json, path, "architectures").empty();
    bool mapped = false;
    for_each(json, path, "archMap", [&](const Json& one, const std::string& where) {
      mapped = true;
      if (!document_.object(one, where)) return;
      string(one, where, "architecture");
      strings(one, where, "subArchitectures");
    });
    if (listed && mapped)
      document_.complain(join(path, "archMap"), "cannot stand beside architectures");
  }

  void flags(const Json& json, const std::string& path) {
    for (const std::string& flag : strings(json, path, "flags")) {
      if (std::ranges::find(kFlags, flag) != kFlags.end()) continue;
      document_.complain(join(path, "flags"), in_quotes(flag) + " is not a flag that is known");
    }
  }

  void listener(const Json& json, const std::string& path) {
    if (string(json, path, "listenerPath").empty()) return;
    document_.complain(join(path, "listenerPath"), "a listener cannot be given",
                       "leave it out: SCMP_ACT_NOTIFY then answers ENOSYS");
  }

  struct ActionFields {
    const char* action;
    const char* number;
    const char* name;
  };

  Action action(const Json& json, const std::string& path, const ActionFields& fields) {
    const auto kind = named<ActionKind>(json, path, fields.action, kActions, "an action");
    const bool takes_data = kind == ActionKind::error || kind == ActionKind::trace;
    const int most = kind == ActionKind::error ? kHighestErrno : kHighestMessage;
    const auto by_number = number(json, path, fields.number, static_cast<std::uint64_t>(most));
    const auto by_name = errno_field(json, path, fields.name);
    if (!kind || !takes_data) return {kind.value_or(ActionKind::allow), 0};
    if (by_name) return {*kind, *by_name};
    return {*kind, static_cast<int>(by_number.value_or(kUsualErrno))};
  }

  // Podman's: "EPERM", or "1".
  std::optional<int> errno_field(const Json& json, const std::string& path, const char* name) {
    const std::string text = string(json, path, name);
    if (text.empty()) return std::nullopt;
    int number = 0;
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    if (parsed.ec == std::errc{} && parsed.ptr == end && number >= 0 && number <= kHighestErrno)
      return number;
    const auto named = errno_named(text);
    if (!named) document_.complain(join(path, name), in_quotes(text) + " is not an errno");
    return named;
  }

  // ---- One entry of `syscalls`: a rule for each of its names. ----

  void rules(const Json& json, const std::string& path, std::vector<DockerRule>& rules) {
    spelling(json, path,
             {"name", "names", "action", "errnoRet", "errno", "args", "includes", "excludes"});
    DockerRule rule;
    rule.action = action(json, path, {"action", "errnoRet", "errno"});
    for_each(json, path, "args", [&](const Json& one, const std::string& where) {
      if (document_.object(one, where)) rule.conditions.push_back(condition(one, where));
    });
    const bool included = holds(json, path, "includes", Asked::all);
    const bool excluded = holds(json, path, "excludes", Asked::any);
    for (std::string& name : names(json, path)) {
      if (!included || excluded) continue;
      rule.syscall = std::move(name);
      rules.push_back(rule);
    }
  }

  std::vector<std::string> names(const Json& json, const std::string& path) {
    std::vector<std::string> names = strings(json, path, "names");
    const std::string name = string(json, path, "name");
    if (!name.empty() && !names.empty())
      document_.complain(join(path, "name"), "cannot stand beside names");
    if (!name.empty()) names = {name};
    if (find(json, "name") == nullptr && find(json, "names") == nullptr)
      document_.complain(join(path, "names"), "is missing");
    for (const std::string& one : names) {
      if (one.empty()) document_.complain(path, "names a system call by an empty string");
    }
    return names;
  }

  DockerCondition condition(const Json& json, const std::string& path) {
    constexpr std::uint64_t kAny = std::numeric_limits<std::uint64_t>::max();
    document_.fields(json, path, {"index", "value", "valueTwo", "op"});
    DockerCondition condition;
    condition.index =
        static_cast<unsigned>(number(json, path, "index", kArguments - 1).value_or(0));
    condition.value = number(json, path, "value", kAny).value_or(0);
    condition.value_two = number(json, path, "valueTwo", kAny).value_or(0);
    const auto op = named<DockerOperator>(json, path, "op", kOperators, "a comparison");
    condition.op = op.value_or(DockerOperator::equal);
    return condition;
  }

  enum class Asked { all, any };

  // `includes` holds where all that it names is so, `excludes` where anything is.
  bool holds(const Json& json, const std::string& path, const char* name, Asked asked) {
    const Json* filter = find(json, name);
    const std::string where = join(path, name);
    if (filter == nullptr || !document_.object(*filter, where)) return asked == Asked::all;
    document_.fields(*filter, where, {"caps", "arches", "minKernel"});

    bool all = true, any = false;
    const auto ask = [&](bool is_so) {
      all = all && is_so;
      any = any || is_so;
    };
    for (const std::string& capability : strings(*filter, where, "caps")) ask(is_held(capability));
    const std::vector<std::string> arches = strings(*filter, where, "arches");
    if (!arches.empty()) ask(std::ranges::find(arches, native_architecture()) != arches.end());
    if (const auto reached = min_kernel(*filter, where)) ask(*reached);
    return asked == Asked::all ? all : any;
  }

  bool is_held(const std::string& capability) const {
    return std::ranges::any_of(circumstances_.capabilities, [&](const std::string& held) {
      return capability == "CAP_" + in_capitals(held);
    });
  }

  // "4.8": whether the kernel is that new.
  std::optional<bool> min_kernel(const Json& json, const std::string& path) {
    const std::string text = string(json, path, "minKernel");
    if (text.empty()) return std::nullopt;
    int version = 0, patchlevel = 0;
    const char* end = text.data() + text.size();
    const auto first = std::from_chars(text.data(), end, version);
    if (first.ec == std::errc{} && first.ptr != end && *first.ptr == '.') {
      const auto second = std::from_chars(first.ptr + 1, end, patchlevel);
      const bool whole = second.ec == std::errc{} && second.ptr == end;
      if (whole && version >= 0 && patchlevel >= 0) {
        return std::pair(circumstances_.kernel_version, circumstances_.kernel_patchlevel) >=
               std::pair(version, patchlevel);
      }
    }
    document_.complain(join(path, "minKernel"), in_quotes(text) + " is not a kernel version",
                       "write two numbers, such as \"4.8\"");
    return std::nullopt;
  }

  DocumentReader& document_;
  const Circumstances& circumstances_;
};

}  // namespace

DockerProfile read_docker_profile(DocumentReader& document, const Json& json,
                                  const Circumstances& circumstances) {
  return DockerReader(document, circumstances).profile(json);
}

}  // namespace cove
