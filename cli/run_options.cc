#include "cli/run_options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/mount_options.h"
#include "cli/security_options.h"
#include "cove/json.h"

namespace cove::cli {
namespace {

using Text = const std::string&;

// What the options have said so far. Setters write into it; `finish` puts together what
// depends on more than one option.
struct Builder {
  explicit Builder(const Surroundings& around) : surroundings(around) {}

  const Surroundings& surroundings;
  RunRequest request;
  std::vector<Error> mistakes;
  std::string option;  // the one being set, "--memory", for its mistakes

  bool spec_unreadable = false;
  std::map<std::string, std::string> file_env;    // of --env-file: wins over the spec's
  std::map<std::string, std::string> option_env;  // of -e: wins over both
  std::optional<Bytes> memory_and_swap;
  std::optional<std::string> seccomp;         // of --security-opt
  CapabilityChanges capabilities;             // of --cap-add and --cap-drop
  std::map<Protection, Requirement> require;  // of --require and --danger-...: yields to nothing
  bool best_effort = false;
  bool danger_no_seccomp = false;
  bool danger_host_network = false;

  SandboxSpec& spec() { return request.spec; }
  ResourceSpec& resources() { return request.spec.resources; }

  void mistake(std::string what, std::string hint = {}) {
    mistakes.push_back(usage_error(option, std::move(what), std::move(hint)));
  }
  void mistake(Error error) {
    error.where = error.where.empty() ? option : option + ": " + error.where;
    mistakes.push_back(std::move(error));
  }

  // The value, where there is one; else the mistake is noted.
  template <typename T>
  std::optional<T> value_of(Result<T> result) {
    if (result) return std::move(*result);
    mistake(std::move(result.error()));
    return std::nullopt;
  }

  std::optional<std::int64_t> whole_number(Text text) {
    std::int64_t number = 0;
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    if (parsed.ec == std::errc{} && parsed.ptr == end) return number;
    mistake("\"" + text + "\" is not a whole number");
    return std::nullopt;
  }

  std::optional<double> number(Text text) {
    double number = 0;
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number, std::chars_format::fixed);
    if (parsed.ec == std::errc{} && parsed.ptr == end && std::isfinite(number)) return number;
    mistake("\"" + text + "\" is not a number", "write 2 or 0.5");
    return std::nullopt;
  }

  bool flag(Text text) {
    if (text != "true" && text != "false")
      mistake("is " + text, "it takes no value, or true or false");
    return text == "true";
  }

  // The value that `text` names in a table of {name, value} pairs.
  template <typename T, std::size_t N>
  std::optional<T> named(Text text, const std::array<std::pair<std::string_view, T>, N>& table) {
    std::string names;
    for (const auto& [name, value] : table) {
      if (name == text) return value;
      names += (names.empty() ? "" : ", ") + std::string(name);
    }
    mistake("does not know \"" + text + "\"", "one of: " + names);
    return std::nullopt;
  }
};

// --- Setters of more than a line --------------------------------------------------------------

void set_env(Builder& b, std::map<std::string, std::string>& env, Text text) {
  const std::size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  if (name.empty())
    return b.mistake("\"" + text + "\" names no variable", "write NAME=VALUE or NAME");
  if (equals != std::string::npos) {
    env[name] = text.substr(equals + 1);
  } else if (auto value = b.surroundings.variable(name)) {
    env[name] = std::move(*value);  // as in Docker, a variable that is not set is not passed
  }
}

// Docker's format: a comma between keys, each a character or ctrl- and one of a-z @ [ \ ] ^ _.
void set_detach_keys(Builder& b, Text text) {
  constexpr std::string_view kControl = "ctrl-";
  std::string keys;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',', 1);  // a comma may be a key
    const std::string_view key = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    const bool control = key.size() == kControl.size() + 1 && key.starts_with(kControl);
    const char letter = key.back();
    if (control &&
        ((letter >= 'a' && letter <= 'z') || (letter >= '[' && letter <= '_') || letter == '@')) {
      keys += static_cast<char>(letter & 0x1f);
    } else if (key.size() == 1) {
      keys += letter;
    } else {
      return b.mistake(
          "does not know the key \"" + std::string(key) + "\"",
          "a character, or ctrl- and a letter or one of @ [ \\ ] ^ _, as in ctrl-p,ctrl-q; "
          "empty: none");
    }
  }
  b.request.detach_keys = std::move(keys);
}

// Docker's format: NAME=VALUE or NAME a line, '#' starts a comment line, nothing is unquoted.
void set_env_file(Builder& b, Text path) {
  const auto text = b.value_of(b.surroundings.read_file(path));
  if (!text) return;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty() && line.front() != '#') set_env(b, b.file_env, std::string(line));
  }
}

void add_mount(Builder& b, Result<MountSpec> mount) {
  if (auto value = b.value_of(std::move(mount))) b.spec().mounts.push_back(std::move(*value));
}

void set_memory_swap(Builder& b, Text text) {
  if (text == "-1") return b.mistake("swap without a limit is not possible", "write a size");
  b.memory_and_swap = b.value_of(parse_bytes(text));
}

void set_ulimit(Builder& b, Text text) {
  constexpr const char* kForm = "write NAME=SOFT or NAME=SOFT:HARD, numbers or unlimited";
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) {
    return b.mistake("\"" + text + "\" is not a limit", kForm);
  }
  const auto limit = [](std::string_view number) -> std::optional<std::uint64_t> {
    if (number == "unlimited" || number == "-1") return kRlimitInfinity;
    std::uint64_t value = 0;
    const auto parsed = std::from_chars(number.data(), number.data() + number.size(), value);
    if (parsed.ec != std::errc{} || parsed.ptr != number.data() + number.size())
      return std::nullopt;
    return value;
  };
  const std::string_view values = std::string_view(text).substr(equals + 1);
  const std::size_t colon = values.find(':');
  const auto soft = limit(values.substr(0, colon));
  const auto hard = colon == std::string_view::npos ? soft : limit(values.substr(colon + 1));
  if (!soft || !hard) return b.mistake("\"" + text + "\" is not a limit", kForm);
  if (*soft > *hard) return b.mistake("\"" + text + "\" has a soft limit above the hard one");
  b.resources().rlimits[text.substr(0, equals)] = {*soft, *hard};
}

void set_network(Builder& b, Text text) {
  static constexpr std::array<std::pair<std::string_view, NetworkMode>, 3> kModes{
      {{"none", NetworkMode::none}, {"open", NetworkMode::open}, {"host", NetworkMode::host}}};
  // Docker's and Podman's names for a way out.
  for (const char* foreign : {"bridge", "default", "nat", "private", "slirp4netns", "pasta"}) {
    if (text == foreign)
      return b.mistake("does not know \"" + text + "\"", "use open: connections out, none in");
  }
  if (const auto mode = b.named(text, kModes)) b.spec().network = *mode;
}

void set_private_networks(Builder& b, Text text) {
  static constexpr std::array<std::pair<std::string_view, PrivateNetworks>, 2> kStates{
      {{"reachable", PrivateNetworks::reachable}, {"blocked", PrivateNetworks::blocked}}};
  if (const auto state = b.named(text, kStates)) b.spec().private_networks = *state;
}

void set_output_policy(Builder& b, Text text) {
  static constexpr std::array<std::pair<std::string_view, OutputPolicy>, 4> kPolicies{
      {{"head", OutputPolicy::head},
       {"tail", OutputPolicy::tail},
       {"head+tail", OutputPolicy::head_tail},
       {"kill", OutputPolicy::kill}}};
  if (const auto policy = b.named(text, kPolicies)) b.resources().output_policy = *policy;
}

void set_security_opt(Builder& b, Text text) {
  auto policy = b.value_of(parse_security_opt(text));
  if (policy && *policy) b.seccomp = std::move(*policy);
}

void set_seccomp_mode(Builder& b, Text text) {
  static constexpr std::array<std::pair<std::string_view, SeccompMode>, 2> kModes{
      {{"enforce", SeccompMode::enforce}, {"trace", SeccompMode::trace}}};
  if (const auto mode = b.named(text, kModes)) b.spec().seccomp_mode = *mode;
}

void add_capability(Builder& b, std::vector<std::string>& names, Text text) {
  if (auto name = b.value_of(parse_capability(text))) names.push_back(std::move(*name));
}

std::optional<Protection> protection_named(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Protection::cpu_timeout); ++i) {
    if (to_string(static_cast<Protection>(i)) == name) return static_cast<Protection>(i);
  }
  return std::nullopt;
}

void set_require(Builder& b, Text text) {
  static constexpr std::array<std::pair<std::string_view, Requirement>, 3> kRequirements{
      {{"required", Requirement::required},
       {"preferred", Requirement::preferred},
       {"off", Requirement::off}}};
  const std::size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : text.substr(equals + 1);
  const auto protection = protection_named(name);
  if (!protection) {
    std::vector<std::string_view> names;
    for (int i = 0; i <= static_cast<int>(Protection::cpu_timeout); ++i) {
      names.push_back(to_string(static_cast<Protection>(i)));
    }
    const auto meant = nearest(name, names);
    return b.mistake("no protection is called \"" + name + "\"",
                     meant ? "did you mean " + std::string(*meant) + "?" : "");
  }
  if (const auto requirement = b.named(value, kRequirements)) b.require[*protection] = *requirement;
}

void set_rootfs(Builder& b, Text text) {
  if (auto path = b.value_of(absolute_path(b.surroundings, text)))
    b.spec().rootfs = std::move(*path);
}

void set_scratch(Builder& b, Text text) {
  if (auto path = b.value_of(absolute_path(b.surroundings, text)))
    b.request.engine.scratch_directory = std::move(*path);
}

// --- The table ---------------------------------------------------------------------------------

struct RunOption {
  OptionText text;
  void (*set)(Builder& b, Text value);
};

constexpr const char* kWhat = "What to run";
constexpr const char* kFiles = "Files";
constexpr const char* kLimits = "Limits";
constexpr const char* kOutput = "Time and output";
constexpr const char* kIsolation = "Isolation";
constexpr const char* kCove = "Cove itself";
constexpr const char* kDanger = "Dangerous";

// --spec and --help are looked for before anything is set.
void already_seen(Builder&, Text) {}

constexpr auto kRunOptions = std::to_array<RunOption>({
    {{"interactive", 'i', "", kWhat, "pass standard input on to the program"},
     [](Builder& b, Text v) {
       if (b.flag(v)) b.spec().stdin_source = StdinInherit{};
     }},
    {{"tty", 't', "", kWhat, "give the program a terminal; -it: yours"},
     [](Builder& b, Text v) { b.spec().tty = b.flag(v); }},
    {{"detach-keys", 0, "KEYS", kWhat,
      "with -it: leave the sandbox to itself; default: ctrl-p,ctrl-q"},
     set_detach_keys},
    {{"env", 'e', "NAME[=VALUE]", kWhat, "set a variable, or pass one of yours on"},
     [](Builder& b, Text v) { set_env(b, b.option_env, v); }},
    {{"env-file", 0, "FILE", kWhat, "variables, one NAME=VALUE a line; -e wins over them"},
     set_env_file},
    {{"workdir", 'w', "DIR", kWhat, "where the program starts"},
     [](Builder& b, Text v) { b.spec().workdir = v; }},
    {{"user", 'u', "USER[:GROUP]", kWhat, "names or numbers, as the image knows them"},
     [](Builder& b, Text v) { b.spec().user = v; }},
    {{"hostname", 0, "NAME", kWhat, "default: sandbox"},
     [](Builder& b, Text v) { b.spec().hostname = v; }},
    {{"entrypoint", 0, "PROGRAM", kWhat, "in place of the image's; empty: none"},
     [](Builder& b, Text v) {
       b.spec().entrypoint = v.empty() ? std::vector<std::string>{} : std::vector<std::string>{v};
     }},
    {{"rootfs", 0, "DIR", kWhat, "a directory in place of IMAGE; /: the host's own tools"},
     set_rootfs},
    {{"spec", 0, "FILE", kWhat, "a sandbox as JSON (-: standard input); options win over it"},
     already_seen},
    {{"profile", 0, "NAME", kWhat, "the named sandbox to start from: cove profile ls"},
     [](Builder& b, Text v) { b.spec().profile = v; }},

    {{"volume", 'v', "SRC:DST[:ro]", kFiles, "show a file or directory of the host inside"},
     [](Builder& b, Text v) { add_mount(b, parse_volume(v, b.surroundings)); }},
    {{"mount", 0, "KEY=VALUE,...", kFiles,
      "type=bind,src=,dst=[,readonly] or type=tmpfs,dst=[,size=]"},
     [](Builder& b, Text v) { add_mount(b, parse_mount(v, b.surroundings)); }},
    {{"tmpfs", 0, "DST[:size=SIZE]", kFiles, "an empty directory in memory, 64m by default"},
     [](Builder& b, Text v) { add_mount(b, parse_tmpfs(v)); }},
    {{"read-only", 0, "", kFiles, "the root filesystem read-only; /tmp stays writable"},
     [](Builder& b, Text v) { b.spec().read_only = b.flag(v); }},
    {{"private-rootfs", 0, "", kFiles, "a copy of the image's files, shared with no other sandbox"},
     [](Builder& b, Text v) { b.spec().private_rootfs = b.flag(v); }},
    {{"disk", 0, "SIZE", kFiles, "room for all files written; default: 256m or memory / 2"},
     [](Builder& b, Text v) { b.resources().disk = b.value_of(parse_bytes(v)); }},
    {{"rm", 0, "", kFiles, "as always: nothing is kept of a run"},
     [](Builder& b, Text v) {
       if (!b.flag(v)) b.mistake("a run cannot be kept", "mount a directory with -v for its files");
     }},

    {{"memory", 'm', "SIZE", kLimits, "default: 512m"},
     [](Builder& b, Text v) { b.resources().memory = b.value_of(parse_bytes(v)); }},
    {{"memory-swap", 0, "SIZE", kLimits,
      "memory and swap together, as in Docker; default: no swap"},
     set_memory_swap},
    {{"cpus", 0, "NUMBER", kLimits, "processors' worth of time, fractions allowed"},
     [](Builder& b, Text v) { b.resources().cpus = b.number(v); }},
    {{"cpu-weight", 0, "NUMBER", kLimits, "share under contention, 1 to 10000; usual: 100"},
     [](Builder& b, Text v) { b.resources().cpu_weight = b.whole_number(v); }},
    {{"io-weight", 0, "NUMBER", kLimits, "the same for disks"},
     [](Builder& b, Text v) { b.resources().io_weight = b.whole_number(v); }},
    {{"pids-limit", 0, "NUMBER", kLimits, "processes and threads; default: 256"},
     [](Builder& b, Text v) { b.resources().pids_limit = b.whole_number(v); }},
    {{"open-files", 0, "NUMBER", kLimits, "open descriptors of a process; default: 1024"},
     [](Builder& b, Text v) { b.resources().open_files = b.whole_number(v); }},
    {{"ulimit", 0, "NAME=SOFT[:HARD]", kLimits, "a limit of setrlimit(2): core, fsize, stack ..."},
     set_ulimit},

    {{"timeout", 0, "TIME", kOutput, "end the program after this: 10, 1.5s, 2m"},
     [](Builder& b, Text v) { b.spec().timeout = b.value_of(parse_duration(v)); }},
    {{"cpu-timeout", 0, "TIME", kOutput, "the same, of processor time"},
     [](Builder& b, Text v) { b.spec().cpu_timeout = b.value_of(parse_duration(v)); }},
    {{"grace", 0, "TIME", kOutput, "between SIGTERM and the end; default: 0, no SIGTERM"},
     [](Builder& b, Text v) { b.spec().grace = b.value_of(parse_duration(v)); }},
    {{"output-limit", 0, "SIZE", kOutput,
      "kept of each stream; default: 16m with --json, else all"},
     [](Builder& b, Text v) { b.resources().output = b.value_of(parse_bytes(v)); }},
    {{"output-policy", 0, "POLICY", kOutput,
      "beyond it: head, tail, head+tail (what to keep), kill"},
     set_output_policy},
    {{"json", 0, "", kOutput, "print the result as one JSON object"},
     [](Builder& b, Text v) { b.request.json = b.flag(v); }},

    {{"network", 0, "MODE", kIsolation,
      "none (default), open (connections out), host (a danger, below)"},
     set_network},
    {{"private-networks", 0, "STATE", kIsolation,
      "10.0.0.0/8 and the like, if open: reachable (default), blocked"},
     set_private_networks},
    {{"security-opt", 0, "seccomp=POLICY", kIsolation, "a policy's name or file, or unconfined"},
     set_security_opt},
    {{"seccomp-mode", 0, "MODE", kIsolation,
      "enforce (default), trace (a danger: count what it refuses)"},
     set_seccomp_mode},
    {{"cap-add", 0, "NAME", kIsolation, "a capability inside: NET_BIND_SERVICE ..., ALL"},
     [](Builder& b, Text v) { add_capability(b, b.capabilities.added, v); }},
    {{"cap-drop", 0, "NAME", kIsolation, "not this one; ALL: none, which is the default"},
     [](Builder& b, Text v) { add_capability(b, b.capabilities.dropped, v); }},
    {{"require", 0, "WHAT=HOW", kIsolation,
      "a protection (see cove plan): required, preferred, off"},
     set_require},
    {{"best-effort", 0, "", kIsolation, "run also where the host cannot hold every limit"},
     [](Builder& b, Text v) { b.best_effort = b.flag(v); }},

    {{"danger-host-network", 0, "", kDanger, "let --network host be"},
     [](Builder& b, Text v) { b.danger_host_network = b.flag(v); }},
    {{"danger-no-seccomp", 0, "", kDanger, "no system call filter, or one that only counts"},
     [](Builder& b, Text v) { b.danger_no_seccomp = b.flag(v); }},

    {{"store", 0, "DIR", kCove, "the image store; default: $COVE_ROOT"},
     [](Builder& b, Text v) { b.request.engine.store = v; }},
    {{"scratch", 0, "DIR", kCove,
      "a plain user's: keep what is changed in the root there, on disk"},
     set_scratch},
    {{"cgroup-parent", 0, "PATH", kCove, "make our groups below this one"},
     [](Builder& b, Text v) { b.request.engine.cgroup_parent = v; }},
    {{"help", 'h', "", kCove, "print this"}, already_seen},
});

constexpr auto kRunTexts = [] {
  std::array<OptionText, kRunOptions.size()> texts{};
  for (std::size_t i = 0; i < texts.size(); ++i) texts[i] = kRunOptions[i].text;
  return texts;
}();

// Docker's options that would be missed.
constexpr ForeignOption kForeign[] = {
    {"--cpu-shares", "use --cpu-weight"},
    {"-c", "use --cpu-weight"},
    {"--blkio-weight", "use --io-weight"},
    {"--memory-reservation", "use --memory"},
    {"--shm-size", "use --disk, which holds /dev/shm too"},
    {"--storage-opt", "use --disk"},
    {"--stop-timeout", "use --grace"},
    {"--net", "use --network"},
    {"-d", "put `&` behind the command"},
    {"--detach", "put `&` behind the command"},
    {"--name", "sandboxes have no names yet"},
    {"--label", "sandboxes have no labels yet"},
    {"-l", "sandboxes have no labels yet"},
    {"-p", "ports cannot be published yet"},
    {"--publish", "ports cannot be published yet"},
    {"--dns", "with --network open the host's name server is asked"},
    {"--privileged", "no sandbox is privileged"},
    {"--init", "every sandbox has an init"},
    {"--gpus", "devices cannot be given to a sandbox yet"},
    {"--device", "devices cannot be given to a sandbox yet"},
};

// --- Putting it together -------------------------------------------------------------------------

const GivenOption* last_given(const CommandLine& line, std::string_view name) {
  const auto found =
      std::find_if(line.options.rbegin(), line.options.rend(),
                   [&](const GivenOption& given) { return kRunTexts[given.index].name == name; });
  return found == line.options.rend() ? nullptr : &*found;
}

void read_spec(Builder& b, const std::string& path) {
  b.option = "--spec " + path;
  const auto text = b.value_of(b.surroundings.read_file(path));
  b.spec_unreadable = !text;
  if (!text) return;
  Result<SandboxSpec> spec = spec_fragment_from_json(*text);
  b.spec_unreadable = !spec;
  if (spec) {
    b.spec() = std::move(*spec);
    return;
  }
  Error first = std::move(spec.error());
  std::vector<Error> others = std::exchange(first.more, {});
  others.insert(others.begin(), std::move(first));
  for (Error& error : others) {
    error.step.clear();  // --spec FILE says it
    b.mistake(std::move(error));
  }
}

// IMAGE is the first operand, unless --rootfs stands in its place, or a spec that names a root and
// a "--" before the operands.
void set_root_and_command(Builder& b, const CommandLine& line) {
  SandboxSpec& spec = b.spec();
  auto word = line.operands.begin();
  const bool rootfs_given = last_given(line, "rootfs") != nullptr;
  if (rootfs_given) {
    spec.image.reset();
  } else if (!(line.separated && (spec.image || spec.rootfs)) && word != line.operands.end()) {
    spec.image = *word++;
    spec.rootfs.reset();
    if (word != line.operands.end() && *word == "--") ++word;
  }
  if (!spec.image && !spec.rootfs && !rootfs_given && !b.spec_unreadable) {
    b.option = "IMAGE";
    b.mistake("is missing",
              "cove run [options] IMAGE [COMMAND...], or --rootfs DIR; see cove run --help");
  }
  if (word != line.operands.end()) spec.command.emplace(word, line.operands.end());
}

void join_env(Builder& b) {
  b.file_env.merge(b.spec().env);  // merge keeps what is there
  b.option_env.merge(b.file_env);
  b.spec().env = std::move(b.option_env);
}

void set_swap(Builder& b) {
  if (!b.memory_and_swap) return;
  b.option = "--memory-swap";
  const std::optional<Bytes> memory = b.resources().memory;
  if (!memory) return b.mistake("needs --memory", "it is memory and swap together");
  if (*b.memory_and_swap < *memory) {
    return b.mistake("is less than --memory",
                     "it is memory and swap together; the same size means no swap");
  }
  b.resources().swap = Bytes{b.memory_and_swap->count - memory->count};
}

// A protection that is given up is named twice: by what gives it up, and by its danger.
void set_dangers(Builder& b) {
  const auto is_off = [&b](Protection protection) {
    for (const auto* map : {&b.require, &b.spec().require}) {
      if (const auto found = map->find(protection); found != map->end()) {
        return found->second == Requirement::off;
      }
    }
    return false;
  };
  const bool host_network = b.spec().network == NetworkMode::host;
  if (b.danger_host_network) {
    b.option = "--danger-host-network";
    if (!host_network) b.mistake("is for --network host, which is not given");
    b.require[Protection::network] = Requirement::off;
  } else if (host_network && !is_off(Protection::network)) {
    b.option = "--network";
    b.mistake("host gives the program every port and service of this machine's network",
              "add --danger-host-network if that is meant");
  }

  const bool unconfined = b.seccomp == "unconfined";
  const bool traced = b.spec().seccomp_mode == SeccompMode::trace;
  if (b.seccomp) b.spec().seccomp = b.seccomp;
  if (traced && unconfined) {
    b.option = "--seccomp-mode";
    b.mistake("trace needs a filter to ask", "leave --security-opt seccomp=unconfined out");
  }
  if (b.danger_no_seccomp) {
    b.option = "--danger-no-seccomp";
    if (b.seccomp && !unconfined && !traced)
      b.mistake("contradicts --security-opt seccomp=" + *b.seccomp);
    b.require[Protection::seccomp] = Requirement::off;
  } else if (traced && !is_off(Protection::seccomp)) {
    b.option = "--seccomp-mode";
    b.mistake("trace gives the program every system call of the kernel, and only counts",
              "add --danger-no-seccomp if that is meant");
  } else if (unconfined && !is_off(Protection::seccomp)) {
    b.option = "--security-opt";
    b.mistake("seccomp=unconfined gives the program every system call of the kernel",
              "add --danger-no-seccomp if that is meant");
  }
  if ((b.danger_no_seccomp && !traced) || unconfined) b.spec().seccomp.reset();
}

// --best-effort: limits that a host may be unable to hold, and what a user without privilege or
// delegated groups may lack. The rest of the isolation, and what our own supervisor holds (time,
// output), stays required. Only what was said more exactly wins over it: --require, and an `off`.
void set_requirements(Builder& b) {
  constexpr Protection kBestEffort[] = {
      Protection::memory,
      Protection::swap,
      Protection::cpus,
      Protection::cpu_weight,
      Protection::io_weight,
      Protection::pids,
      Protection::disk,
      Protection::open_files,
      Protection::uid_separation,
      Protection::supplementary_groups,
      Protection::cgroup_namespace,
      Protection::nested_user_namespaces,
  };
  auto& require = b.spec().require;
  if (b.best_effort) {
    for (const Protection protection : kBestEffort) {
      const auto [entry, added] = require.emplace(protection, Requirement::preferred);
      if (!added && entry->second == Requirement::required) entry->second = Requirement::preferred;
    }
  }
  for (const auto& [protection, requirement] : b.require) require[protection] = requirement;
}

void check_stdin(Builder& b, const GivenOption* spec) {
  const auto& source = b.spec().stdin_source;
  if (spec == nullptr || spec->value != "-") return;
  if (!source || !std::holds_alternative<StdinInherit>(*source)) return;
  b.option = "--interactive";
  b.mistake("standard input has been read by --spec -", "put the spec into a file");
}

}  // namespace

Result<RunRequest> parse_run_options(std::span<const std::string> words,
                                     const Surroundings& surroundings) {
  CommandLine line = parse_command_line(kRunTexts, words, kForeign);
  Builder b(surroundings);
  b.mistakes = std::move(line.mistakes);
  if (last_given(line, "help") != nullptr) {
    b.request.help = true;
    return std::move(b.request);
  }

  const GivenOption* spec = last_given(line, "spec");
  if (spec != nullptr) read_spec(b, spec->value);
  for (const GivenOption& given : line.options) {
    const RunOption& option = kRunOptions[given.index];
    b.option = "--" + std::string(option.text.name);
    option.set(b, given.value);
  }
  set_root_and_command(b, line);
  join_env(b);
  set_swap(b);
  set_dangers(b);
  set_requirements(b);
  change_capabilities(b.spec(), b.capabilities);
  check_stdin(b, spec);

  if (!b.mistakes.empty()) return fail(join(std::move(b.mistakes)));
  return std::move(b.request);
}

bool wants_json(std::span<const std::string> words) {
  const CommandLine line = parse_command_line(kRunTexts, words, kForeign);
  const GivenOption* json = last_given(line, "json");
  return json != nullptr && json->value == "true";
}

std::span<const OptionText> run_option_texts() { return kRunTexts; }

}  // namespace cove::cli
