// Plan: everything that a launch will do, as data, before anything is done.
//
// make_plan is a pure function: no system call, no clock, no randomness. The same spec and facts
// give the same plan, on any machine. What can be refused is refused here, all mistakes in one
// Error. `cove plan` prints a plan; tests compare it; errors of a launch are worded from it.
//
// What a plan does not hold is what only exists at the launch: the sandbox's id, its uid range, its
// descriptors.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cove/facts.h"
#include "cove/result.h"
#include "cove/sandbox_result.h"
#include "cove/spec.h"

namespace cove {

// How ids inside map to host ids.
enum class IdMapping {
  range,  // 0..65535 inside -> a range of its own on the host, from a slot taken at the launch
  subordinate,  // 0..65535 inside -> 1000 the caller, the others its subordinate ids
  single,       // one id inside (the payload's) -> the caller's own id
};

struct IdentityPlan {
  IdMapping mapping = IdMapping::range;
  std::uint32_t uid = 1000;  // of the payload, inside
  std::uint32_t gid = 1000;
  std::vector<std::uint32_t> groups;  // supplementary, inside; empty with `single`
  std::string home;                   // HOME, unless the environment sets it
};

enum class RootKind {
  overlay,     // layers below, scratch above
  host_tools,  // the allow list of the host's directories, bound read-only into an empty root
};

struct RootPlan {
  RootKind kind = RootKind::overlay;
  std::vector<std::string> layers;  // lowest first
  bool idmapped = false;            // layers through the sandbox's own mapping
  bool user_xattr = false;          // overlay marks in user.* (made within a user namespace)
  bool read_only = false;
  Bytes scratch_size;
  std::uint64_t scratch_inodes = 0;
  std::string scratch_directory;  // on the host, for what is changed in the root; empty: in memory
  std::string copies_directory;   // on the host, for copies of the layers; empty: they are shared
  std::vector<std::string> host_directories;  // host_tools only
  std::vector<std::pair<std::string, std::string>> host_links;
  std::vector<std::string> hidden_paths;
};

enum class MountKind {
  proc,           // a procfs of the sandbox's own pid namespace
  devices,        // /dev: null zero full random urandom tty and the links to /proc/self/fd
  pts,            // a devpts of its own
  shared_memory,  // /dev/shm, on scratch
  scratch,        // a directory of scratch (with a read-only root)
  cgroup,         // a read-only cgroup2 of its own
  bind,           // a source of the caller's
  tmpfs,
  read_only,  // of something already mounted
  mask,       // an empty file or directory put over it
};

struct MountPlan {
  MountKind kind = MountKind::bind;
  std::string target;                 // absolute, inside
  std::optional<std::size_t> source;  // bind: index of SourceFacts
  bool read_only = false;
  bool idmapped = false;  // bind: the owner of the source <-> the payload's ids
  std::uint32_t owner_uid = 0, owner_gid = 0;  // bind: that owner, on the host
  Bytes size;                                  // tmpfs
  std::uint32_t mode = 0755;                   // tmpfs and scratch: of its root directory
  bool optional = false;  // mask and read_only: no error where the target does not exist
};

// A file made on scratch, before the root is mounted.
struct FilePlan {
  std::string path;
  std::string content;
  std::uint32_t mode = 0644;
};

// A limit, and the mechanism that will hold it.
struct LimitPlan {
  Protection protection = Protection::memory;
  std::string mechanism;  // "cgroup-v2", "cgroup-v1", "rlimit", "tmpfs-size", "supervisor" ...
  std::string file;       // cgroup mechanisms: the file to write
  std::string value;      // as it is written there, or for the reader
};

struct RlimitPlan {
  std::string name;  // "nofile", "core" ...
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
};

struct CgroupPlan {
  // The hierarchies in which the sandbox gets groups of its own: "" for v2, else the v1 controller.
  std::map<std::string, std::string> parents;  // hierarchy -> absolute path of the parent directory
  // CgroupFacts::scope_bus, where a scope is needed: then the parent in v2 is the service manager's
  // group, and the launch puts in its place the scope that it is given below.
  std::string scope_bus;
  bool v2_controllers =
      false;  // limits are written in v2, and delegated down to the payload's leaf
  std::vector<std::string> v2_delegate;  // controllers to enable from the parent down
};

// How packets leave the sandbox (NetworkMode::open).
struct UplinkPlan {
  std::vector<std::string> pasta;  // its command line, but for the namespace that it serves
  // Addresses inside of which only port 53 answers: pasta asks the host's first name server of the
  // same IP version.
  std::vector<std::string> resolvers;
  std::vector<std::string> blocked;  // prefixes that nothing is sent to: "169.254.0.0/16"
};

struct ProcessPlan {
  std::vector<std::string> argv;
  std::vector<std::pair<std::string, std::string>> env;
  std::string workdir;
  bool make_workdir = false;  // make it where it is missing; it then belongs to root inside
  bool own_workdir = false;  // the default workspace: made on scratch, and the payload's user's own
};

struct StreamPlan {
  std::optional<Bytes> limit;  // none: passed on without end
  OutputPolicy policy = OutputPolicy::head;
};

struct Plan {
  int plan_version = 1;
  std::string image;  // name, or directory
  std::string image_digest;
  std::string hostname;
  IdentityPlan identity;
  std::vector<Protection> namespaces;  // those that get one of their own
  std::optional<UplinkPlan> uplink;    // none: no packet leaves, or the network is the host's
  RootPlan root;
  std::vector<FilePlan> files;
  std::vector<MountPlan> mounts;  // in the order they are made
  CgroupPlan cgroup;
  std::vector<LimitPlan> limits;
  std::vector<RlimitPlan> rlimits;
  std::vector<std::string> seccomp;          // filters, loaded in this order; empty: none
  std::optional<std::string> seccomp_trace;  // one that refuses nothing: what it would is counted
  std::vector<std::string> capabilities;     // that the program holds, "net_admin"; usually none
  ProcessPlan process;
  StdinSpec stdin_source;
  bool tty = false;  // then all output is one stream, stdout
  StreamPlan stdout_stream, stderr_stream;
  std::optional<Duration> timeout, cpu_timeout;
  Duration grace{0};
  std::map<Protection, std::string> enforced;  // as the result will say it
  std::vector<Degradation> degraded;
};

// What happens to the streams decides the default of ResourceSpec::output.
enum class OutputDelivery { captured, passed_on };

// Errors: invalid_argument (with one entry per mistake), limit_not_enforceable,
// isolation_unavailable, image_invalid (USER that the image does not know, no command).
Result<Plan> make_plan(const SandboxSpec& spec, const HostFacts& host, const ImageFacts& image,
                       const std::vector<SourceFacts>& sources,
                       OutputDelivery delivery = OutputDelivery::captured);

}  // namespace cove
