// SandboxSpec: what the caller asks for. A plain value; nothing happens until an Engine gets it.
//
// Every field is optional: an empty one means "what the profile says", and the profile `default`
// says what the comment of each field gives as its default. The difference between a field that was
// given and one that was not is kept, because a *named* limit is a promise: where the host
// cannot hold it, the launch is refused. A *default* limit is held by the best mechanism there is
// and reported as lost (SandboxResult::degraded) where there is none.
//
//   cove::SandboxSpec spec;
//   spec.image = "python-demo";
//   spec.command = {"python3", "-c", "print(1)"};
//   spec.resources.memory = cove::mebibytes(256);
//   spec.timeout = std::chrono::seconds(5);
//
// The same names make the JSON form (docs/spec-reference.md); spec_from_json (cove/json.h) reports
// every mistake of a document at once, each with its JSON path.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cove/units.h"

namespace cove {

// The version of this model. A document that names another one is refused.
inline constexpr int kSpecVersion = 1;

// A protection that Cove gives. The names appear in SandboxSpec::require, SandboxResult::enforced
// and SandboxResult::degraded.
enum class Protection {
  // Isolation.
  user_namespace,   // no id inside is a privileged id outside
  mount_namespace,  // no host path but those asked for
  pid_namespace,    // no host process is visible
  ipc_namespace,
  uts_namespace,
  cgroup_namespace,
  network,               // a network of its own: loopback, and what NetworkMode adds
  uid_separation,        // no other sandbox runs under the same host ids
  supplementary_groups,  // no host group of the caller's is kept
  capabilities,          // none in any set, but those that the spec names
  no_new_privs,
  seccomp,                 // the system call filter
  setuid_files,            // no setuid or setgid file can be left in a writable bind mount
  masked_paths,            // of /proc, as Docker masks them
  nested_user_namespaces,  // user.max_user_namespaces = 0 inside
  private_rootfs,          // no file of the image is shared with anybody; only where the spec asks
  // Limits.
  memory,
  swap,
  cpus,
  cpu_weight,
  io_weight,
  pids,
  disk,
  output,
  open_files,
  timeout,
  cpu_timeout,
};

enum class Requirement {
  required,   // refused at planning, or at the launch, where it cannot be held
  preferred,  // held where it can be; its loss is listed in SandboxResult::degraded
  off,        // not attempted
};

enum class MountType {
  bind,   // a file or directory of the host
  tmpfs,  // an empty one in memory, gone after the run; counts as `memory`, not as `disk`
};

struct MountSpec {
  MountType type = MountType::bind;
  // Host side, absolute; bind only. Resolved once, when the spec is planned, following symbolic
  // links as the caller would; what it then names is what is mounted, whatever becomes of the path.
  std::string host_path;
  // Inside, absolute, without "..". Missing parents are made. It may not be "/" nor lie in /proc,
  // /sys or /dev. Symbolic links of the image are followed inside the image's root, never out of
  // it.
  std::string container_path;
  bool read_only = false;
  // tmpfs only: its size. Default: 64 MiB.
  std::optional<Bytes> size;
};

// What becomes of output beyond ResourceSpec::output. Output is always drained, so that a program
// that writes too much is neither blocked nor killed, except by `kill`.
enum class OutputPolicy {
  head,       // keep the first bytes
  tail,       // keep the last bytes
  head_tail,  // keep the first half and the last half       (JSON: "head+tail")
  kill,       // end the run, cause `output_limit`
};

struct RlimitSpec {
  std::uint64_t soft = 0;  // kRlimitInfinity: no limit
  std::uint64_t hard = 0;  // at least `soft`; it cannot pass the caller's own
};
inline constexpr std::uint64_t kRlimitInfinity = ~std::uint64_t{0};

struct ResourceSpec {
  std::optional<double> cpus;   // processors' worth of time, 0.01 to 1024; default: no limit
  std::optional<Bytes> memory;  // at least 4 MiB; default 512 MiB
  std::optional<Bytes> swap;    // beyond `memory`; default 0
  std::optional<std::int64_t> pids_limit;  // processes and threads, 1 to 4194304; default 256
  std::optional<Bytes> disk;    // all that may be written to the root filesystem, /tmp and
                                // /dev/shm together; it lies in memory, so it must be less
                                // than `memory`. Default: the lesser of 256 MiB and memory / 2
  std::optional<Bytes> output;  // kept per stream; default 16 MiB for captured streams, no
                                // limit for streams that are passed on as they come
  std::optional<OutputPolicy> output_policy;  // default `head`
  std::optional<std::int64_t> open_files;     // RLIMIT_NOFILE, 3 to 1048576; default 1024 soft, and
                                              // the lesser of 65536 and the caller's own hard
  std::optional<std::int64_t> cpu_weight;     // cpu.weight, 1 to 10000; default: the kernel's 100
  std::optional<std::int64_t> io_weight;      // io.weight, 1 to 10000; default: the kernel's 100
  std::map<std::string, RlimitSpec>
      rlimits;  // by name: "core", "fsize", "stack", "memlock" ...; setrlimit(2)
};

enum class NetworkMode {
  // A network namespace of its own with nothing but loopback.
  none,
  // The same, and connections out of it (TCP, UDP, names) through passt's `pasta`. Nothing comes
  // in; the host's loopback, link-local addresses and metadata services are out of reach
  // (docs/network.md).
  open,
  // The host's network. Must be said twice: require["network"] has to be `off` as well.
  host,
};

// Of NetworkMode::open: the addresses that only mean something near the host. 10.0.0.0/8,
// 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, fc00::/7 and the like (docs/network.md lists them).
enum class PrivateNetworks { reachable, blocked };

// What becomes of a system call that SandboxSpec::seccomp refuses.
enum class SeccompMode {
  enforce,  // what the filter says
  // It is let through, and counted (SandboxResult::seccomp_trace): for writing filters. This holds
  // nothing, so it is no sandbox for a program that is not trusted. Must be said twice:
  // require["seccomp"] has to be `off` as well.
  trace,
};

// Where the program's standard input comes from.
struct StdinNone {};     // /dev/null                                    JSON: "none"
struct StdinInherit {};  // copied from Streams::stdin_fd as it comes    JSON: "inherit"
struct StdinData {
  std::string bytes;
};  // JSON: {"data": "..."} or {"data": "...", "encoding": "base64"}
using StdinSpec = std::variant<StdinNone, StdinInherit, StdinData>;

struct SandboxSpec {
  std::optional<int> spec_version;  // 1, the only one so far
  std::optional<std::string>
      description;  // for people; a profile's is what `cove profile ls` shows
  std::optional<std::string>
      profile;  // a named sandbox; its fields yield to those given here. Default "default"

  // What to run it in: exactly one of the two.
  std::optional<std::string>
      image;  // a name in the store, "docker-archive:FILE", "oci:DIR[:TAG]" or "oci-archive:FILE"
  std::optional<std::string>
      rootfs;  // an absolute directory. "/" means the host's own tools: /usr, /bin,
               // /sbin, /lib*, /opt and the world-readable part of /etc, and nothing else

  std::optional<std::vector<std::string>> entrypoint;  // put before `command`; default: the image's
  std::optional<std::vector<std::string>>
      command;  // default: the image's, unless `entrypoint` is given

  std::optional<std::string> workdir;  // absolute; made if missing. Default: the image's, else
                                       // /workspace, which is made and given to the user
  std::optional<std::string>
      user;  // "name", "uid", "name:group", "uid:gid"; names as the image's own /etc/passwd
             // and /etc/group have them. Default: the image's; 1000:1000 where that is
             // unset or root. Root inside is asked for by name: "root"
  std::optional<std::string> hostname;  // default "sandbox"

  std::map<std::string, std::string>
      env;  // added to the image's, and winning over it and over env_allowlist
  std::vector<std::string>
      env_allowlist;  // names of the caller's variables to pass on, where they are set

  std::optional<StdinSpec> stdin_source;  // JSON: "stdin"; default StdinNone
  // A terminal of the sandbox's own (pty(7)), which is the program's controlling terminal and takes
  // stdout and stderr, as one stream: the result's `stdout`. Its stdin is that terminal too where
  // the source is `inherit` (but see Streams::input). Default false
  std::optional<bool> tty;

  std::vector<MountSpec> mounts;
  ResourceSpec resources;

  // Both clocks start when the program starts, not when the launch does. None by default.
  std::optional<Duration> timeout;      // wall time; then every process is killed at once
  std::optional<Duration> cpu_timeout;  // user + system time of all processes together
  std::optional<Duration>
      grace;  // before that kill: SIGTERM to the program, and this long to end. Default 0

  std::optional<NetworkMode> network;               // default `none`
  std::optional<PrivateNetworks> private_networks;  // with `open`; default `reachable`
  std::optional<bool> read_only;  // root filesystem read-only, with a writable /tmp, /dev/shm and
                                  // workspace. Default false
  // The sandbox gets copies of the image's layers, removed at its end, in place of the layers that
  // all sandboxes of the image and the store share, page cache included. Default false
  std::optional<bool> private_rootfs;
  std::optional<std::string>
      seccomp;  // a profile's name, or a file's path in Cove's or Docker's format; default "default"
  std::optional<SeccompMode> seccomp_mode;  // default `enforce`
  std::optional<std::vector<std::string>>
      capabilities;  // what the program holds in the sandbox's own user namespace, as cap_chown,
                     // CHOWN or ALL (cove/capability.h). Default none

  std::map<Protection, Requirement>
      require;  // default: isolation and named limits `required`, default limits `preferred`
};

}  // namespace cove
