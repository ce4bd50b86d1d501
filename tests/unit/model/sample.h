// Samples of every struct of the model with no field at its default, and random specs.
#pragma once

#include <array>
#include <random>

#include "cove/facts.h"
#include "cove/plan.h"
#include "cove/sandbox_result.h"
#include "cove/spec.h"

namespace cove {

inline SandboxSpec full_spec() {
  SandboxSpec spec;
  spec.spec_version = 1;
  spec.description = "a spec with everything in it";
  spec.profile = "strict";
  spec.image = "python-demo:latest";
  spec.entrypoint = {"/bin/env", "-i"};
  spec.command = {"python3", "-c", "print(\"\u00e9\\n\")", std::string("\xff\xfe", 2), ""};
  spec.workdir = "/workspace/a";
  spec.user = "sandbox:1000";
  spec.hostname = "box-1.local";
  spec.env = {{"A", "1"}, {"EMPTY", ""}, {"with space", "x=y"}, {"BYTES", "\x80"}};
  spec.env_allowlist = {"LANG", "HOME"};
  spec.stdin_source = StdinData{std::string("line\0two\n", 9)};
  spec.mounts = {
      MountSpec{MountType::bind, "/srv/data", "/data", true, std::nullopt},
      MountSpec{MountType::tmpfs, "", "/scratch", false, mebibytes(16)},
  };
  spec.resources.cpus = 1.5;
  spec.resources.memory = mebibytes(256);
  spec.resources.swap = Bytes{0};
  spec.resources.pids_limit = 64;
  spec.resources.disk = mebibytes(100);
  spec.resources.output = kibibytes(64);
  spec.resources.output_policy = OutputPolicy::head_tail;
  spec.resources.open_files = 512;
  spec.resources.cpu_weight = 50;
  spec.resources.io_weight = 200;
  spec.resources.rlimits = {{"core", {0, 0}}, {"stack", {8U << 20, kRlimitInfinity}}};
  spec.tty = true;
  spec.timeout = std::chrono::milliseconds(1500);
  spec.cpu_timeout = std::chrono::nanoseconds(315'359'999'999'999'999);  // no double holds that
  spec.grace = std::chrono::nanoseconds(1);
  spec.network = NetworkMode::host;
  spec.private_networks = PrivateNetworks::reachable;
  spec.read_only = true;
  spec.private_rootfs = true;
  spec.seccomp = "default";
  spec.seccomp_mode = SeccompMode::trace;
  spec.capabilities = {"CAP_NET_RAW", "chown"};
  spec.require = {{Protection::network, Requirement::off},
                  {Protection::memory, Requirement::preferred},
                  {Protection::pids, Requirement::required}};
  return spec;
}

inline Error full_error() {
  Error error;
  error.code = ErrorCode::setup_failed;
  error.step = "mount 3";
  error.sys_errno = 13;
  error.what = "tmpfs on /tmp";
  error.where = "/tmp";
  error.hint = "look at dmesg";
  Error other;
  other.code = ErrorCode::limit_not_enforceable;
  other.what = "memory";
  error.more = {other};
  return error;
}

inline SandboxResult full_result() {
  SandboxResult result;
  result.sandbox_id = "01HZXW5T9GQ4W3J9V1N0K8M2AB";
  result.image_digest = "sha256:0123";
  result.process_status = ProcessStatus::timeout;
  result.cause = Cause::cpu_timeout;
  result.exit_code = 3;
  result.signal = "SIGKILL";
  result.stdout_stream = {"gr\u00fc\u00dfe\t\"x\"\\\r\n\x01\x7f", 123456789012345, true};
  result.stderr_stream = {std::string("\x00\xff\x80z", 4), 4, false};
  result.duration_ms = 12.25;
  result.startup_ms = 0.1;
  result.steps = {{"groups", 0.061}, {"clone", 0.9}, {"a step", 1e-7}};
  result.usage = {5.5, 4.25, 1.25, 1048576, 4096, 7, 512, 1024};
  result.events = {1, 2, true, 3};
  result.enforced = {{Protection::memory, "cgroup-v1"}, {Protection::network, "namespace"}};
  result.degraded = {{Protection::uid_separation, "one mapping per user"}};
  result.seccomp_trace = SeccompTrace{
      "./mine\x80.json",
      {{"socket", "x86_64", "EAFNOSUPPORT", ~std::uint64_t{0}}, {"470", "i386", "trap", 1}},
      12};
  result.error = full_error();
  return result;
}

inline HostFacts full_host_facts() {
  HostFacts facts;
  facts.kernel_release = "6.1.0";
  facts.architecture = "x86_64";
  facts.uid = 4294967295U;
  facts.gid = 7;
  facts.uid_outside = 8;
  facts.privileged = facts.can_mknod = facts.user_namespaces = true;
  facts.user_namespaces_reason = "none";
  facts.seccomp = facts.overlay = facts.tmpfs_user_xattr = true;
  facts.scratch_directory = "/var/tmp/cove-7";
  facts.copies_directory = "/var/lib/cove/copies";
  facts.cpu_count = 2;
  facts.memory_total = gibibytes(7);
  facts.swap_total = Bytes{1};
  facts.open_files_hard = kRlimitInfinity;
  facts.cgroup.v2_mounted = facts.cgroup.v2_usable = facts.cgroup.v2_kill = true;
  facts.cgroup.v2_mount_point = "/sys/fs/cgroup/unified";
  facts.cgroup.v2_group = "/a.slice";
  facts.cgroup.v2_reason = "r";
  facts.cgroup.scope_bus = "unix:path=/run/user/1000/bus";
  facts.cgroup.scope_reason = "r";
  facts.cgroup.hybrid = true;
  facts.cgroup.controllers = {{"memory", {1, "/sys/fs/cgroup/memory", "/", true, ""}},
                              {"io", {2, "/sys/fs/cgroup", "/x", false, "not delegated"}}};
  facts.pasta = "/usr/bin/pasta";
  facts.pasta_reason = "r";
  facts.resolv_conf = "nameserver 127.0.0.53\n\xff";
  facts.environment = {{"LANG", "C.UTF-8"}, {"B", "\xfe"}};
  return facts;
}

inline ImageFacts full_image_facts() {
  ImageFacts facts;
  facts.name = "python-demo";
  facts.digest = "sha256:ab";
  facts.layers = {"/l/1", "/l/2\xff"};
  facts.host_tools = true;
  facts.layer_ids = LayerIds::subordinate;
  facts.subordinate_ids = {100000, 200000};
  facts.host_directories = {"/usr"};
  facts.host_links = {{"/bin", "usr/bin"}, {"/lib", "usr/lib"}};
  facts.hidden_paths = {"/etc/shadow"};
  facts.config.entrypoint = {"/entry"};
  facts.config.command = {"a", ""};
  facts.config.env = {"PATH=/usr/bin", "X=\x80"};
  facts.config.workdir = "/w";
  facts.config.user = "1000";
  facts.passwd = "root:x:0:0::/root:/bin/sh\n";
  facts.group = "root:x:0:\n";
  return facts;
}

inline SourceFacts full_source_facts() {
  SourceFacts facts;
  facts.host_path = "/srv/link";
  facts.resolved_path = "/srv/data\xc3";
  facts.kind = SourceKind::refused;
  facts.reason = "a socket";
  facts.owner_uid = 1000;
  facts.owner_gid = 100;
  facts.writable = true;
  facts.device = ~std::uint64_t{0};
  facts.inode = std::uint64_t{1} << 63;
  return facts;
}

inline Plan full_plan() {
  Plan plan;
  plan.image = "python-demo";
  plan.image_digest = "sha256:ab";
  plan.hostname = "sandbox";
  plan.identity = {IdMapping::single, 0, 5, {1, 2, 4294967294U}, "/home/s"};
  plan.namespaces = {Protection::user_namespace, Protection::network};
  plan.uplink = UplinkPlan{{"/usr/bin/pasta", "-f"}, {"192.0.0.1"}, {"127.0.0.0/8", "::/64"}};
  plan.root = {RootKind::host_tools,  {"/a", "/b"},   true,         true, true,
               mebibytes(9),          1000,           "/var/tmp/s", "/c", {"/usr"},
               {{"/bin", "usr/bin"}}, {"/etc/shadow"}};
  plan.files = {{"/etc/hosts", "127.0.0.1 localhost\n\x80", 0600}};
  plan.mounts = {
      {MountKind::tmpfs, "/t", 3, true, true, 8, 9, Bytes{4096}, 01777, true},
      {MountKind::mask, "/proc/keys", std::nullopt, false, false, 0, 0, Bytes{0}, 0755, true}};
  plan.cgroup = {{{"", "/sys/fs/cgroup/x"}, {"memory", "/sys/fs/cgroup/memory/x"}},
                 "unix:path=/run/user/1000/bus",
                 true,
                 {"memory"}};
  plan.limits = {{Protection::memory, "cgroup-v2", "memory.max", "536870912"}};
  plan.rlimits = {{"nofile", 1024, kRlimitInfinity}};
  plan.seccomp = {"default", "no-setuid"};
  plan.seccomp_trace = "strict";
  plan.capabilities = {"chown", "net_raw"};
  plan.process = {{"python3", "-"}, {{"PATH", "/usr/bin"}, {"PATH", "again"}}, "/workspace", true};
  plan.stdin_source = StdinData{"x"};
  plan.stdout_stream = {mebibytes(16), OutputPolicy::tail};
  plan.stderr_stream = {std::nullopt, OutputPolicy::kill};
  plan.timeout = std::chrono::seconds(5);
  plan.cpu_timeout = std::chrono::nanoseconds(123'456'789'012'345'678);
  plan.grace = std::chrono::milliseconds(250);
  plan.enforced = {{Protection::seccomp, "filter"}};
  plan.degraded = {{Protection::io_weight, "no io controller"}};
  return plan;
}

// A spec that check_spec accepts, each field given or not by chance.
class RandomSpec {
 public:
  explicit RandomSpec(unsigned seed) : engine_(seed) {}

  SandboxSpec make() {
    SandboxSpec spec;
    if (coin()) spec.spec_version = 1;
    if (coin()) spec.profile = word();
    coin() ? spec.image.emplace(word()) : spec.rootfs.emplace(path());
    if (coin()) spec.entrypoint = words();
    if (spec.entrypoint && !spec.entrypoint->empty()) spec.entrypoint->front() = word();
    if (coin()) spec.command = words();
    if (coin()) spec.workdir = path();
    if (coin()) spec.user = std::to_string(below(70000)) + ":" + std::to_string(below(9));
    if (coin()) spec.hostname = "h" + std::to_string(below(1000));
    for (auto n = below(4); n > 0; --n) spec.env[word()] = bytes();
    for (auto n = below(3); n > 0; --n) spec.env_allowlist.push_back(word());
    const std::array<StdinSpec, 3> sources{StdinNone{}, StdinInherit{}, StdinData{bytes()}};
    if (coin()) spec.stdin_source = sources[below(3)];
    if (coin()) spec.tty = coin();
    for (auto n = below(4); n > 0; --n) spec.mounts.push_back(mount(n));
    spec.resources = resources();
    if (coin()) spec.timeout = time();
    if (coin()) spec.cpu_timeout = time();
    if (coin()) spec.grace = time();
    if (coin()) spec.private_networks = static_cast<PrivateNetworks>(below(2));
    if (coin()) spec.read_only = coin();
    if (coin()) spec.private_rootfs = coin();
    if (coin()) spec.seccomp = word();
    if (coin()) spec.seccomp_mode = static_cast<SeccompMode>(below(2));
    if (coin()) spec.capabilities = {"CHOWN", "all", "cap_net_admin"};
    for (auto n = below(4); n > 0; --n) {
      spec.require[static_cast<Protection>(below(26))] = static_cast<Requirement>(below(3));
    }
    if (coin()) {
      spec.network = NetworkMode::host;
      spec.require[Protection::network] = Requirement::off;
    }
    return spec;
  }

 private:
  std::uint64_t below(std::uint64_t end) {
    return std::uniform_int_distribution<std::uint64_t>(0, end - 1)(engine_);
  }
  bool coin() { return below(2) == 1; }
  std::string word() {
    static const std::array<std::string, 6> kParts{"a", "Z9", "_", "\u00e4", "\U0001F600", "\"\\"};
    std::string word = "w";
    for (auto n = below(5); n > 0; --n) word += kParts[below(kParts.size())];
    return word;
  }
  std::string bytes() {
    std::string text;
    for (auto n = below(12); n > 0; --n) text += static_cast<char>(1 + below(255));
    return text;
  }
  std::string path() { return "/" + word() + "/" + word(); }
  std::vector<std::string> words() {
    std::vector<std::string> list;
    for (auto n = below(4); n > 0; --n) list.push_back(bytes());
    return list;
  }
  Duration time() {
    return Duration{1 + static_cast<std::int64_t>(below(315'360'000'000'000'000))};
  }
  MountSpec mount(std::uint64_t number) {
    MountSpec mount;
    mount.container_path = path() + std::to_string(number);
    mount.read_only = coin();
    if (coin()) {
      mount.type = MountType::tmpfs;
      if (coin()) mount.size = Bytes{4096 + below(std::uint64_t{1} << 40)};
    } else {
      mount.host_path = path() + "\xff";
    }
    return mount;
  }
  ResourceSpec resources() {
    ResourceSpec r;
    if (coin()) r.cpus = 0.01 + static_cast<double>(below(100000)) / 97.7;
    if (coin()) r.memory = Bytes{mebibytes(4).count + (below(std::uint64_t{1} << 62))};
    if (coin()) r.swap = Bytes{below(std::uint64_t{1} << 63)};
    if (coin()) r.pids_limit = 1 + static_cast<std::int64_t>(below(4194304));
    if (coin()) r.disk = Bytes{4096 + below(1U << 20)};
    if (coin()) r.output = Bytes{below(std::uint64_t{1} << 63)};
    if (coin()) r.output_policy = static_cast<OutputPolicy>(below(4));
    if (coin()) r.open_files = 3 + static_cast<std::int64_t>(below(1048574));
    if (coin()) r.cpu_weight = 1 + static_cast<std::int64_t>(below(10000));
    if (coin()) r.io_weight = 1 + static_cast<std::int64_t>(below(10000));
    if (coin()) r.rlimits["core"] = {below(100), 100 + below(100)};
    if (coin()) r.rlimits["as"] = {below(100), kRlimitInfinity};
    return r;
  }

  std::mt19937_64 engine_;
};

}  // namespace cove
