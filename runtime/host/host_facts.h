// HostFacts from what /proc and a few system calls say. Reading (gather_host_facts)
// and judging (judge_host) are apart, so that any host can be described in a test.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cove/facts.h"
#include "runtime/host/cgroup_facts.h"

namespace cove {

// As read; an absent file is an empty text.
struct HostTexts {
  std::string kernel_release;
  std::string architecture;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t capabilities = 0;  // effective, bit n for capability n
  std::string uid_map, gid_map;    // /proc/self/
  // Only where the caller is not privileged:
  std::string subuid, subgid;       // /etc/subuid, /etc/subgid
  std::string login_name;           // as /etc/passwd has it
  bool id_helpers = false;          // newuidmap and newgidmap are there, and raise their privilege
  bool no_new_privs = false;        // of this process: then they cannot
  std::string max_user_namespaces;  // /proc/sys/user/
  std::string unprivileged_userns_clone;  // /proc/sys/kernel/, Debian's
  std::string apparmor_restriction;       // /proc/sys/kernel/apparmor_restrict_unprivileged_userns
  std::string apparmor_label;             // /proc/self/attr/apparmor/current, else attr/current
  std::string seccomp_actions;            // /proc/sys/kernel/seccomp/actions_avail
  std::string filesystems;                // /proc/filesystems
  bool overlay_module = false;            // there is one for the running kernel; looked for where
                                          // `filesystems` has no overlay
  std::string mountinfo, own_groups;      // /proc/self/
  std::string cgroup_parent;              // as the caller gave it
  UserManager manager;                    // of a caller that is not root by name
  std::uint64_t memory_total = 0, swap_total = 0;  // bytes
  int cpu_count = 0;
  std::uint64_t open_files_hard = 0;
};

// Root in name and in fact: able to write id maps of any range, to chown into it, and to mount. Of
// the texts only uid, capabilities and the id maps count.
bool is_privileged(const HostTexts& texts);
// How this process's sandboxes can get their ids: of HostFacts, `privileged` and `subordinate_ids`.
// Nothing else is read.
struct CallerRights {
  bool privileged = false;
  std::optional<SubordinateIds> subordinate_ids;
};
CallerRights caller_rights();
// judge_host's part of it; in `reason` why a plain user has none.
std::optional<SubordinateIds> judge_subordinate_ids(const HostTexts& texts, std::string& reason);

// gather_host_facts, but for the network, for somebody who asks often: as long as the caller is who
// and where it was (ids, capabilities, cgroups, processors, limit of open files), what was read of
// the kernel and its mounts the first time stands. Not where something was missing: it may have
// been put right since. Thread-safe.
class HostFactsCache {
 public:
  explicit HostFactsCache(std::string cgroup_parent) : cgroup_parent_(std::move(cgroup_parent)) {}
  Result<HostFacts> gather(const std::vector<std::string>& env_allowlist);
  // What is there when the user's service manager gives no scope, because of `refusal`. Not kept.
  Result<HostFacts> gather_without_scope(const std::vector<std::string>& env_allowlist,
                                         const std::string& refusal);
  // Something that the facts promised did not hold.
  void forget();

 private:
  const std::string cgroup_parent_;
  std::mutex mutex_;
  HostTexts caller_;  // of these only what read_caller reads
  std::optional<HostFacts> facts_;
};

// All of HostFacts but `environment` and the network.
HostFacts judge_host(const HostTexts& texts, const GroupReader& read_group);

}  // namespace cove
