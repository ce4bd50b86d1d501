// Where this process may make cgroups, and which controllers work there.
//
// The texts of /proc/self/mountinfo and /proc/self/cgroup say where the hierarchies are and which
// group is ours; what a directory holds is asked of a GroupReader, so that tests describe hosts
// they are not on. A "group" is a path relative to a mount point; both texts count from the root of
// our cgroup namespace, and a mount may show only a part of it (a bind mount, a container's own).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cove/facts.h"
#include "runtime/host/kernel_version.h"

namespace cove {

struct CgroupMount {
  int version = 0;
  std::string mount_point;
  std::string root;  // what of the hierarchy is mounted
  bool read_only = false;
  std::vector<std::string> controllers;  // v1 only: "memory", "cpu", "name=systemd"
};

struct OwnGroup {
  int version = 0;
  std::vector<std::string> controllers;  // v1 only
  std::string path;
};

// Of a group's directory, as the caller may use it. Of v1 only the first two are asked for, and of
// a hierarchy's root not whether it has processes: each read of cgroup.procs costs 30 us.
struct GroupDirectory {
  bool exists = false;
  bool writable = false;          // groups can be made in it
  bool procs_writable = false;    // cgroup.procs: processes can be moved from and to it
  bool control_writable = false;  // cgroup.subtree_control
  bool hierarchy_root =
      false;  // of the whole hierarchy, where "no internal processes" does not hold
  bool has_processes = false;
  std::string controllers;      // cgroup.controllers, v2
  std::string subtree_control;  // cgroup.subtree_control, v2
};

using GroupReader = std::function<GroupDirectory(int version, const std::string& directory)>;

std::vector<CgroupMount> parse_cgroup_mounts(std::string_view mountinfo);
std::vector<OwnGroup> parse_own_groups(std::string_view text);

// A plain user's service manager, systemd's user@UID.service, as far as can be told before it is
// asked for a scope.
struct UserManager {
  std::uint32_t uid = 0;  // 0: not a plain user's, and not to be asked
  std::string bus;        // address; empty: neither $DBUS_SESSION_BUS_ADDRESS nor $XDG_RUNTIME_DIR
                          // leads to one
  std::string refusal;    // what came of it when it was asked
};

struct CgroupTexts {
  std::string_view mountinfo;
  std::string_view own_groups;
  UserManager manager = {};
};

// `cgroup_parent` takes the place of our own group in every hierarchy; it must have no "..".
CgroupFacts describe_cgroups(const CgroupTexts& texts, const std::string& cgroup_parent,
                             KernelVersion kernel, const GroupReader& read_group);

// What the caller can do about a reason that describe_cgroups gave.
std::string cure_for_cgroup(std::string_view reason, std::uint32_t uid);

}  // namespace cove
