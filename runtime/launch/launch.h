// From a plan to a living init.
//
// launch_sandbox runs in a process that stands on a Ground, the launcher. It clones init with all
// namespaces at once, inside its cgroup; maps its ids; makes the root while init makes its procfs;
// hands the mounts over; and returns init's control socket. From there the supervisor takes over
// (runtime/supervise).
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cove/facts.h"
#include "cove/plan.h"
#include "cove/result.h"
#include "runtime/init/init.h"
#include "runtime/init/protocol.h"
#include "runtime/kernel/fd.h"
#include "runtime/launch/ground.h"
#include "runtime/mount/root.h"
#include "runtime/state/belongings.h"

namespace cove {

// Detached copies of everything the plan takes from the host. `root`: the host's root directory in
// this process's mount namespace. Binds come from `opened` where those lie in the same namespace,
// else they are found again by path and recognised by device and inode.
// `copies`, if any: LayerCopies::directory, which has the layers.
enum class FindBinds { by_descriptor, by_path };
Result<AcquiredMounts> acquire_mounts(const Plan& plan, const std::vector<SourceFacts>& sources,
                                      const std::vector<UniqueFd>& opened, BorrowedFd root,
                                      FindBinds find, BorrowedFd copies = {});

struct LaunchInputs {
  const Plan& plan;
  AcquiredMounts mounts;
  const Belongings& belongings;
  BorrowedFd init_group;  // v2; none: stays in the launcher's
  // To take the belongings away: the host's root directory and the directory of records.
  BorrowedFd root, records;
  const std::vector<std::vector<sock_filter>>& filters;
  DeviceNodes device_nodes = DeviceNodes::bind;
  Network network = Network::make;
  BorrowedFd disk = {};  // for the overlay's upper layer; none: scratch
  // LayerCopies; none: the layers are shared.
  BorrowedFd copies = {}, keeper = {};
};

struct Launched {
  UniqueFd pidfd;    // of init
  UniqueFd control;  // the supervisor's end; whoever holds it keeps the sandbox alive
  UniqueFd scratch;  // for statfs
  std::vector<Milestone> milestones;
  UniqueFd link;  // to init, where the plan has an uplink; stays with the launcher
};

// The caller calls clear_stage() (runtime/mount/root.h) before the next launch from the same
// ground.
Result<Launched> launch_sandbox(const Ground& ground, LaunchInputs inputs);

}  // namespace cove
