// The cgroups of one sandbox: made before it starts, read while it runs, removed behind it.
//
//   v2:  <parent>/cove-<id>/           nothing in it
//                          init/       our init, and nothing else
//                          payload/    all limits, memory.oom.group, kill and freeze
//                                  main/   the program and its children
//   v1:  <parent>/cove-<id>/           the program and its children, one group per controller used
//
// init is outside of what is limited and frozen, so that limits are exact and init survives to
// report. On a pure v2 host the limits stand in `main` as well, because programs that size
// themselves (the JVM, Go, Node.js) look only there. Where v2 has no controller to hand down (a
// hybrid host), two directories do: init is in cove-<id> itself, and the program in `payload`.
//
// A GroupTree makes directories and reads their files. It removes nothing: paths() says what there
// is to remove, and remove_groups() does it, in whatever process is the last to know of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cove/plan.h"
#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

// What the kernel counted for a sandbox. Empty where there is no such file here.
struct GroupStatistics {
  std::optional<std::uint64_t> cpu_usec, user_usec, system_usec;
  std::optional<std::uint64_t> memory_peak;
  std::optional<std::uint64_t> pids_peak;
  std::uint64_t oom_kills = 0;  // processes killed in the group, whoever ran out of memory
  bool own_limit_met = false;   // the group's own memory limit led to an OOM
  std::uint64_t pids_limit_hits = 0;
  std::uint64_t memory_limit_hits = 0;
};

class GroupTree {
 public:
  GroupTree() = default;

  // Makes the group that init is born into. `root` is the host's root directory, from which all
  // paths are looked up; it must stay open until complete().
  static Result<GroupTree> begin(BorrowedFd root, const CgroupPlan& plan,
                                 const std::string& sandbox_id);
  // Makes the program's groups and writes the plan's limits. `owner` is the host id of the
  // sandbox's root: it may move processes between these groups (CLONE_INTO_CGROUP by init), and
  // nothing else. nullopt: nobody but us.
  Result<void> complete(const CgroupPlan& plan, const std::vector<LimitPlan>& limits,
                        std::optional<std::uint32_t> owner);

  // For CLONE_INTO_CGROUP; none where v2 cannot be used.
  BorrowedFd init_group() const { return init_ ? init_ : top_; }
  BorrowedFd main_group() const { return main_ ? main_ : payload_; }
  // v1 `tasks` files of the program's groups: a process that writes "0" to each moves itself.
  std::vector<BorrowedFd> v1_tasks() const;
  // Readable when a v1 memory limit was met for good; none on v2, where memory.oom.group does the
  // killing.
  BorrowedFd v1_oom_event() const { return v1_oom_event_; }

  // Kills every process of the program at once. False where there is no cgroup.kill.
  bool kill_payload() const;
  GroupStatistics statistics() const;

  // The directories that may be made, deepest first: what goes on record before any of them exists.
  static std::vector<std::string> paths(const CgroupPlan& plan, const std::string& sandbox_id);

 private:
  Result<void> complete_v2(const CgroupPlan& plan, const std::vector<LimitPlan>& limits,
                           std::optional<std::uint32_t> owner);
  Result<void> complete_v1(const CgroupPlan& plan, const std::vector<LimitPlan>& limits);
  Result<void> watch_v1_oom();

  BorrowedFd root_;
  std::string name_;  // "cove-<id>"
  UniqueFd top_, init_, payload_, main_;
  std::map<std::string, UniqueFd> v1_;  // controller -> group
  std::vector<UniqueFd> v1_tasks_;
  UniqueFd v1_oom_event_, v1_oom_control_;
};

// Removes groups, deepest first, and kills what is in them; those that do not exist are skipped. A
// killed process leaves its group a moment later: meanwhile it is tried again, until `patience`
// is over. Errors: EBUSY, and whatever else the kernel says.
Result<void> remove_groups(BorrowedFd root, const std::vector<std::string>& directories,
                           std::chrono::milliseconds patience = std::chrono::seconds(1));

}  // namespace cove
