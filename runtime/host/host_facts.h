// HostFacts from what /proc and a few system calls say. Reading (gather_host_facts)
// and judging (judge_host) are apart, so that any host can be described in a test.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cove/facts.h"
#include "runtime/host/cgroup_facts.h"

namespace cove {

// As read; an absent file is an empty text.
struct HostTexts {
  std::string kernel_release;
  std::string architecture;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t capabilities = 0;         // effective, bit n for capability n
  std::string uid_map, gid_map;           // /proc/self/
  std::string max_user_namespaces;        // /proc/sys/user/
  std::string unprivileged_userns_clone;  // /proc/sys/kernel/, Debian's
  std::string apparmor_restriction;       // /proc/sys/kernel/apparmor_restrict_unprivileged_userns
  std::string apparmor_label;             // /proc/self/attr/apparmor/current, else attr/current
  std::string seccomp_actions;            // /proc/sys/kernel/seccomp/actions_avail
  std::string filesystems;                // /proc/filesystems
  bool overlay_module = false;        // the running kernel has a directory for it in /lib/modules
  std::string meminfo;                // /proc/meminfo
  std::string mountinfo, own_groups;  // /proc/self/
  std::string cgroup_parent;          // as the caller gave it
  int cpu_count = 0;
  std::uint64_t open_files_hard = 0;
};

// All of HostFacts but `environment`.
HostFacts judge_host(const HostTexts& texts, const GroupReader& read_group);

}  // namespace cove
