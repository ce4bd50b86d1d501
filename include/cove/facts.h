// Facts: what planning may know of the world. They are gathered first, by the functions in
// cove/engine.h, and are values (and JSON) from then on, so that planning makes no system call and
// every plan can be made again on another machine from recorded facts.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cove/error.h"
#include "cove/units.h"

namespace cove {

// A cgroup controller as this process may use it.
struct ControllerFacts {
  int version = 0;          // 1 or 2: the hierarchy it sits in
  std::string mount_point;  // of that hierarchy, "/sys/fs/cgroup"
  std::string
      group;  // the parent for our groups, relative to mount_point: "/", "/user.slice/x.scope"
  bool usable = false;  // we may make groups there and set this controller's limits in them
  std::string reason;  // where not usable: why, as a clause ("/sys/fs/cgroup is mounted read-only")
};

struct CgroupFacts {
  // The v2 hierarchy: kill, freeze and CPU time come from it even where it has no controller.
  bool v2_mounted = false;
  std::string v2_mount_point;
  std::string v2_group;    // the parent for our groups
  bool v2_usable = false;  // we may make groups there
  bool v2_kill = false;    // cgroup.kill exists (5.14)
  std::string v2_reason;   // where not usable: why
  bool hybrid = false;     // some controllers sit in v1 hierarchies
  // Where a plain user's own group cannot be divided: the address of its bus, on which its service
  // manager (systemd's) is asked for a scope, when a launch needs one. v2_group is that manager's
  // then, and groups are made in the scope.
  std::string scope_bus;
  std::string scope_reason;  // where that is so, and no scope can be had: why
  std::map<std::string, ControllerFacts> controllers;  // "memory", "cpu", "pids", "io"
};

// Ids that a plain user may map besides its own: 65,535 of each, from here on.
struct SubordinateIds {
  std::uint32_t first_uid = 0;
  std::uint32_t first_gid = 0;

  bool operator==(const SubordinateIds&) const = default;
};

struct HostFacts {
  std::string kernel_release;  // uname -r
  std::string architecture;    // uname -m
  std::uint32_t uid = 0;       // effective ids of the caller
  std::uint32_t gid = 0;
  std::uint32_t uid_outside = 0;  // what the parent of the caller's user namespace calls uid
  bool privileged = false;  // root with CAP_SYS_ADMIN, CAP_SETUID and CAP_SETGID, in a namespace
                            // that maps many ids
  bool can_mknod = false;   // CAP_MKNOD in the initial user namespace
  // Of a caller without privilege, where newuidmap(1) and newgidmap(1) can map them.
  std::optional<SubordinateIds> subordinate_ids;
  std::string subordinate_ids_reason;  // where a plain user has none: why
  bool user_namespaces =
      false;  // user.max_user_namespaces > 0, and no policy forbids them as far as can be read
  std::string user_namespaces_reason;  // where not: why
  bool seccomp = false;                // the kernel has seccomp filters
  bool overlay = false;                // the kernel has, or can load, overlayfs
  bool tmpfs_user_xattr = false;       // 6.6: overlay on tmpfs from within a user namespace
  // Where on disk a sandbox may keep what it changes in its root: EngineOptions::scratch_directory,
  // or what stands in for it where a plain user's overlay cannot have it in memory. Else empty.
  std::string scratch_directory;
  // Where copies of an image's layers may lie, for SandboxSpec::private_rootfs:
  // EngineOptions::scratch_directory, else a directory of the store, whose files can be reflinked.
  std::string copies_directory;
  int cpu_count = 0;  // that this process may run on
  Bytes memory_total;
  Bytes swap_total;
  std::uint64_t open_files_hard = 0;  // RLIMIT_NOFILE of the caller, hard
  CgroupFacts cgroup;
  // Looked for only where a spec asks for a network, and by gather_host_facts.
  std::string pasta;         // the path of passt's `pasta`; empty where it cannot be used
  std::string pasta_reason;  // where not: why
  std::string resolv_conf;   // /etc/resolv.conf, if it has at most 64 KiB
  std::map<std::string, std::string>
      environment;  // the caller's variables named in SandboxSpec::env_allowlist; no others
};

// The part of an image's configuration that a run uses (OCI image-spec, config.md).
struct ImageConfig {
  std::vector<std::string> entrypoint;
  std::vector<std::string> command;
  std::vector<std::string> env;  // "NAME=value"
  std::string workdir;
  std::string user;
};

// Which ids the files of an image's layers have on the host.
enum class LayerIds {
  host,         // not the store's: a directory as it is
  image,        // root's store: the image's, 0 to 65535, to be idmapped into a sandbox's range
  subordinate,  // a plain user's store: as that user's sandboxes map them
  caller,       // a plain user's store without subordinate ids: all are the user's own
};

// A root filesystem that is ready to be mounted, and what it says of itself.
struct ImageFacts {
  std::string name;    // as it was asked for
  std::string digest;  // "sha256:..." of the manifest; empty for a directory
  // Directories to be stacked, the lowest first. One entry for a plain directory.
  std::vector<std::string> layers;
  LayerIds layer_ids = LayerIds::host;
  std::optional<SubordinateIds> subordinate_ids;  // LayerIds::subordinate: which
  bool host_tools =
      false;  // rootfs "/": the allow list of the host's own directories, never idmapped
  // Of host_tools: directories of the allow list that exist, and symbolic links to make, "path" ->
  // "target".
  std::vector<std::string> host_directories;
  std::vector<std::pair<std::string, std::string>> host_links;
  // Of host_tools: what the world may not read below /etc; not there at all inside.
  std::vector<std::string> hidden_paths;
  ImageConfig config;
  // The image's own /etc/passwd and /etc/group, read in-root, at most 256 KiB each; empty where it
  // has none.
  std::string passwd;
  std::string group;
};

enum class SourceKind { directory, file, missing, refused };

// A mount source, opened (O_PATH) and looked at. `index` fields of a plan refer to their order.
struct SourceFacts {
  std::string host_path;      // as the spec has it
  std::string resolved_path;  // what it was found to be, without symbolic links
  SourceKind kind = SourceKind::missing;
  std::string reason;  // where missing or refused: why
  std::uint32_t owner_uid = 0;
  std::uint32_t owner_gid = 0;
  bool writable = false;     // by the caller
  std::uint64_t device = 0;  // st_dev and st_ino, by which the launch recognises it again
  std::uint64_t inode = 0;
};

}  // namespace cove
