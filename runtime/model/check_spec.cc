#include "runtime/model/check_spec.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "runtime/model/capabilities.h"
#include "runtime/model/json_document.h"
#include "runtime/text/text.h"

namespace cove {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 63;  // exclusive, as in parse_bytes
constexpr Duration kLongestTime = std::chrono::hours(24 * 365 * 10);
constexpr std::uint64_t kPage = 4096;
constexpr std::size_t kLongestPath = 4095;        // PATH_MAX with its NUL
constexpr std::size_t kLongestComponent = 255;    // NAME_MAX
constexpr std::uint64_t kHighestId = 0xFFFFFFFE;  // 2^32 - 1 is "no id" to the kernel

// By setrlimit(2), in its order of the alphabet.
constexpr auto kRlimitNames = std::to_array<std::string_view>(
    {"as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile",
     "nproc", "rss", "rtprio", "rttime", "sigpending", "stack"});

// Trees that Cove makes itself, in which a mount of the caller's would hide what holds the sandbox.
constexpr auto kReservedTrees = std::to_array<std::string_view>({"/proc", "/sys", "/dev"});

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::vector<std::string_view> components(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    if (end > 0) parts.push_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return parts;
}

class SpecCheck {
 public:
  SpecCheck(const SandboxSpec& spec, std::vector<Error>& problems)
      : spec_(spec), problems_(problems) {}

  void version_and_profile() {
    if (spec_.spec_version && *spec_.spec_version != kSpecVersion) {
      problem("$.spec_version", "version " + std::to_string(*spec_.spec_version) + " is not known",
              "this Cove knows version " + std::to_string(kSpecVersion));
    }
    optional_name("$.profile", spec_.profile);
    optional_name("$.seccomp", spec_.seccomp);
  }

  void capabilities() {
    if (!spec_.capabilities) return;
    for (std::size_t i = 0; i < spec_.capabilities->size(); ++i) {
      std::string where = "$.capabilities";
      append_path(where, i);
      capability(std::move(where), (*spec_.capabilities)[i]);
    }
  }

  void root(SpecScope scope) {
    if (spec_.image && spec_.rootfs) {
      problem("$.rootfs", "image and rootfs are both given", "give one of the two");
    } else if (!spec_.image && !spec_.rootfs && scope == SpecScope::complete) {
      problem("$.image", "neither image nor rootfs is given",
              "name an image of the store, or a directory as rootfs");
    }
    optional_name("$.image", spec_.image);
    if (spec_.rootfs) absolute_path("$.rootfs", *spec_.rootfs);
  }

  void command() {
    if (spec_.entrypoint) arguments("$.entrypoint", *spec_.entrypoint);
    if (spec_.command) arguments("$.command", *spec_.command);
    if (spec_.entrypoint && !spec_.entrypoint->empty() && spec_.entrypoint->front().empty()) {
      problem("$.entrypoint[0]", "the name of the program is empty");
    }
    if (spec_.workdir && absolute_path("$.workdir", *spec_.workdir)) {
      no_parent_components("$.workdir", *spec_.workdir);
    }
    if (spec_.user) user(*spec_.user);
    if (spec_.hostname) hostname(*spec_.hostname);
  }

  void environment() {
    for (const auto& [name, value] : spec_.env) {
      std::string where = "$.env";
      append_path(where, name);
      variable_name(where, name);
      no_nul(where, value);
    }
    for (std::size_t i = 0; i < spec_.env_allowlist.size(); ++i) {
      std::string where = "$.env_allowlist";
      append_path(where, i);
      variable_name(where, spec_.env_allowlist[i]);
    }
  }

  void mounts() {
    std::set<std::string> targets;
    for (std::size_t i = 0; i < spec_.mounts.size(); ++i) {
      const MountSpec& mount = spec_.mounts[i];
      std::string where = "$.mounts";
      append_path(where, i);
      if (mount.type == MountType::bind) bind_source(where, mount);
      if (mount.type == MountType::tmpfs) tmpfs_source(where, mount);
      mount_target(where + ".container_path", mount.container_path, targets);
    }
  }

  void resources() {
    const ResourceSpec& r = spec_.resources;
    if (r.cpus && !(*r.cpus >= 0.01 && *r.cpus <= 1024)) {  // so that NaN is refused, too
      problem("$.resources.cpus", "must be from 0.01 to 1024");
    }
    const bool memory_good = size("memory", r.memory, mebibytes(4));
    size("swap", r.swap, Bytes{0});
    // To a tmpfs a size of 0 means no limit at all.
    const bool disk_good = size("disk", r.disk, Bytes{kPage});
    size("output", r.output, Bytes{0});
    if (r.disk && r.memory && memory_good && disk_good && *r.disk >= *r.memory) {
      problem("$.resources.disk",
              to_string(*r.disk) + " is not less than memory, " + to_string(*r.memory) +
                  ", and what is written lies in memory",
              "ask for less disk or for more memory");
    }
    range("pids_limit", r.pids_limit, 1, 4194304);
    range("open_files", r.open_files, 3, 1048576);
    range("cpu_weight", r.cpu_weight, 1, 10000);
    range("io_weight", r.io_weight, 1, 10000);
    for (const auto& [name, limit] : r.rlimits) rlimit(name, limit);
  }

  void times() {
    time("$.timeout", spec_.timeout);
    time("$.cpu_timeout", spec_.cpu_timeout);
    if (!spec_.grace) return;
    if (*spec_.grace < Duration::zero()) problem("$.grace", "must not be negative");
    if (*spec_.grace > kLongestTime) problem("$.grace", "is more than ten years");
  }

  void network() {
    if (spec_.network != NetworkMode::host) return;
    const auto said = spec_.require.find(Protection::network);
    if (said != spec_.require.end() && said->second == Requirement::off) return;
    problem(
        "$.network", "the host's network must be asked for twice, and require.network is not off",
        "add \"require\": {\"network\": \"off\"} if the program may reach all that this host can");
  }

 private:
  void problem(std::string where, std::string what, std::string hint = {}) {
    Error error;
    error.code = ErrorCode::invalid_argument;
    error.step = "spec";
    error.where = std::move(where);
    error.what = std::move(what);
    error.hint = std::move(hint);
    problems_.push_back(std::move(error));
  }

  void capability(std::string where, const std::string& written) {
    if (!granted_capabilities({written}).empty()) return;
    if (const auto name = capability_name(written)) {
      const bool boots = *name == "sys_boot";
      return problem(std::move(where), in_quotes(written) + " is given to no program",
                     boots ? "it could end the sandbox behind Cove's back"
                           : "it could take off the masks of /proc and make read-only mounts "
                             "writable");
    }
    problem(std::move(where), in_quotes(written) + " is not a capability",
            "write a name of capabilities(7), such as \"NET_BIND_SERVICE\", or \"ALL\"");
  }

  bool no_nul(const std::string& where, std::string_view text) {
    if (!has_nul(text)) return true;
    problem(where, "holds a NUL byte");
    return false;
  }

  void optional_name(const std::string& where, const std::optional<std::string>& name) {
    if (!name) return;
    if (name->empty()) return problem(where, "is empty", "leave it out for its default");
    no_nul(where, *name);
  }

  void arguments(const std::string& list, const std::vector<std::string>& arguments) {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      if (!has_nul(arguments[i])) continue;
      std::string where = list;
      append_path(where, i);
      problem(std::move(where), "holds a NUL byte");
    }
  }

  bool absolute_path(const std::string& where, std::string_view path) {
    if (path.empty()) {
      problem(where, "is empty", "give an absolute path");
      return false;
    }
    if (!path.starts_with('/')) {
      problem(where, in_quotes(path) + " is not an absolute path",
              path.starts_with('~') ? "~ is the shell's; write the directory out"
                                    : "it must begin with /");
      return false;
    }
    if (!no_nul(where, path)) return false;
    if (path.size() > kLongestPath) {
      problem(where, "is longer than the " + std::to_string(kLongestPath) + " bytes of a path");
      return false;
    }
    for (const std::string_view part : components(path)) {
      if (part.size() <= kLongestComponent) continue;
      problem(where, in_quotes(part, 24) + " is longer than the " +
                         std::to_string(kLongestComponent) + " bytes of a file name");
      return false;
    }
    return true;
  }

  bool no_parent_components(const std::string& where, std::string_view path) {
    if (std::ranges::count(components(path), "..") == 0) return true;
    problem(where, in_quotes(path) + " has a \"..\" in it", "write the path without it");
    return false;
  }

  // "name", "uid", "name:group", "uid:gid". Whether the names exist only the image can say.
  void user(const std::string& user) {
    const std::size_t colon = user.find(':');
    user_part(user.substr(0, colon), "user");
    if (colon != std::string::npos) user_part(user.substr(colon + 1), "group");
  }

  void user_part(const std::string& part, std::string_view what) {
    const std::string hint = "write name, uid, name:group or uid:gid";
    if (part.empty()) return problem("$.user", "the " + std::string(what) + " is empty", hint);
    const auto printable_part = [](char c) { return c > ' ' && c != 0x7F && c != ':' && c != '/'; };
    const auto high = [](char c) { return static_cast<unsigned char>(c) >= 0x80; };
    if (part.starts_with('-') || part.starts_with('+') ||
        !std::ranges::all_of(part, [&](char c) { return printable_part(c) || high(c); })) {
      return problem("$.user", in_quotes(part) + " is no " + std::string(what) + " name and no id",
                     hint);
    }
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    if (!std::ranges::all_of(part, digit)) return;
    std::uint64_t id = 0;
    const auto parsed = std::from_chars(part.data(), part.data() + part.size(), id);
    if (parsed.ec == std::errc{} && id <= kHighestId) return;
    problem("$.user", in_quotes(part) + " is more than an id can be",
            "ids go up to " + std::to_string(kHighestId));
  }

  void hostname(const std::string& name) {
    const std::string hint = "1 to 63 letters, digits, dots and hyphens";
    if (name.empty() || name.size() > 63) {
      return problem("$.hostname", "must have 1 to 63 characters", hint);
    }
    if (!std::ranges::all_of(
            name, [](char c) { return is_letter_or_digit(c) || c == '.' || c == '-'; })) {
      return problem("$.hostname",
                     in_quotes(name) + " has a character that a host name cannot have", hint);
    }
    if (!is_letter_or_digit(name.front()) || !is_letter_or_digit(name.back())) {
      problem("$.hostname", in_quotes(name) + " does not begin and end with a letter or digit",
              hint);
    }
  }

  void variable_name(const std::string& where, std::string_view name) {
    if (name.empty()) return problem(where, "the name of a variable is empty");
    if (name.find('=') != std::string_view::npos) {
      return problem(where, "the name of a variable has a \"=\" in it",
                     "write the value behind the name: {\"NAME\": \"value\"}");
    }
    if (has_nul(name)) return problem(where, "the name of a variable holds a NUL byte");
    if (!is_utf8(name)) problem(where, "the name of a variable is not UTF-8");
  }

  void bind_source(const std::string& where, const MountSpec& mount) {
    if (mount.host_path.empty()) {
      problem(where + ".host_path", "a bind mount needs a host_path",
              "for an empty directory in memory, give \"type\": \"tmpfs\"");
    } else {
      absolute_path(where + ".host_path", mount.host_path);
    }
    if (mount.size) {
      problem(where + ".size", "only a tmpfs has a size",
              "the files of a bind mount are the host's own");
    }
  }

  void tmpfs_source(const std::string& where, const MountSpec& mount) {
    if (!mount.host_path.empty()) {
      problem(where + ".host_path", "a tmpfs has no host_path",
              "leave it out, or give \"type\": \"bind\"");
    }
    if (mount.size) in_range(where + ".size", *mount.size, Bytes{kPage});
  }

  void mount_target(const std::string& where, const std::string& path,
                    std::set<std::string>& targets) {
    if (path.empty()) {
      return problem(where, "is missing", "say where it shall appear inside, as an absolute path");
    }
    if (!absolute_path(where, path) || !no_parent_components(where, path)) return;
    const std::string target = normal_path(path);
    if (target == "/") {
      return problem(where, "the root itself cannot be mounted over",
                     "use rootfs to run in a directory, or mount below the root");
    }
    for (const std::string_view tree : kReservedTrees) {
      if (target != tree && !target.starts_with(std::string(tree) + "/")) continue;
      return problem(
          where, in_quotes(path) + " lies in " + std::string(tree) + ", which Cove makes itself",
          "choose a path outside /proc, /sys and /dev");
    }
    if (!targets.insert(target).second) {
      problem(where, in_quotes(path) + " is the target of an earlier mount, too");
    }
  }

  bool in_range(std::string where, Bytes value, Bytes least) {
    if (value < least) {
      problem(std::move(where), "must be at least " + to_string(least));
      return false;
    }
    if (value.count >= kMaxBytes) {
      problem(std::move(where), "is more than a size can be",
              "the largest is " + std::to_string(kMaxBytes - 1) + " bytes");
      return false;
    }
    return true;
  }

  bool size(std::string_view name, const std::optional<Bytes>& value, Bytes least) {
    return !value || in_range("$.resources." + std::string(name), *value, least);
  }

  void range(std::string_view name, const std::optional<std::int64_t>& value, std::int64_t least,
             std::int64_t most) {
    if (!value || (*value >= least && *value <= most)) return;
    problem("$.resources." + std::string(name),
            "must be from " + std::to_string(least) + " to " + std::to_string(most));
  }

  void rlimit(const std::string& name, const RlimitSpec& limit) {
    std::string where = "$.resources.rlimits";
    append_path(where, name);
    if (std::ranges::find(kRlimitNames, name) == kRlimitNames.end()) {
      return problem(where, in_quotes(name) + " is not a resource of setrlimit(2)",
                     rlimit_hint(name));
    }
    if (limit.soft > limit.hard) problem(where, "the soft limit is above the hard limit");
  }

  static std::string rlimit_hint(std::string_view name) {
    for (const std::string_view prefix : {"RLIMIT_", "rlimit_"}) {
      if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
    }
    const std::string_view near = nearest(name, kRlimitNames);
    if (!near.empty()) return "did you mean " + in_quotes(near) + "?";
    std::string hint = "known:";
    for (const std::string_view known : kRlimitNames) hint.append(" ").append(known);
    return hint;
  }

  void time(const std::string& where, const std::optional<Duration>& limit) {
    if (!limit) return;
    if (*limit <= Duration::zero()) {
      problem(where, "must be more than 0", "leave it out for no limit");
    } else if (*limit > kLongestTime) {
      problem(where, "is more than ten years", "leave it out for no limit");
    }
  }

  const SandboxSpec& spec_;
  std::vector<Error>& problems_;
};

}  // namespace

void check_spec(const SandboxSpec& spec, std::vector<Error>& problems, SpecScope scope) {
  SpecCheck check(spec, problems);
  check.version_and_profile();
  check.root(scope);
  check.command();
  check.environment();
  check.mounts();
  check.resources();
  check.times();
  check.network();
  check.capabilities();
}

std::string normal_path(std::string_view path) {
  std::string normal;
  for (const std::string_view part : components(path)) {
    if (part != ".") normal.append("/").append(part);
  }
  return normal.empty() ? "/" : normal;
}

}  // namespace cove
