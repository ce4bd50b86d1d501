// The root file system of one sandbox, prepared outside it: scratch, the overlay, and every mount
// that needs more rights than the sandbox's init has. Everything comes out detached; init attaches
// it in its own namespace.
//
// Scratch is one tmpfs, and its size is the sandbox's disk limit: the overlay's upper directory,
// /tmp, /dev/shm and the workspace all lie on it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cove/plan.h"
#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

// Host ids of the sandbox's root and of its payload's user.
struct HostIds {
  std::uint32_t root_uid = 0, root_gid = 0;
  std::uint32_t payload_uid = 0, payload_gid = 0;
};

// Detached copies of what the plan names on the host.
struct AcquiredMounts {
  std::vector<UniqueFd> layers;       // as Plan::root.layers
  std::vector<UniqueFd> directories;  // as Plan::root.host_directories
  std::vector<UniqueFd> binds;        // by SourceFacts index; empty where no mount uses it
};

// An attachment for init: a detached mount and where it goes.
struct PreparedMount {
  std::string target;
  UniqueFd mount;
};

struct PreparedRoot {
  UniqueFd root;
  std::vector<PreparedMount> host_directories;  // host_tools: attached before the plan's mounts
  std::vector<UniqueFd> mounts;  // as Plan::mounts; empty where init makes the mount itself
  UniqueFd scratch;              // for statfs
};

enum class DeviceNodes {
  make,  // mknod: needs CAP_MKNOD in the initial user namespace
  bind,  // the host's own, bound
};

// Runs in the launcher's ground, on its empty directory /stage. `host_root` is the directory in
// which to find /dev/null and the like for DeviceNodes::bind. `user_namespace` is the sandbox's.
// `disk`, if any, is a directory for the overlay's upper layer, which else is on scratch.
// What was attached to the stage stays there: taking it away costs a grace period of the kernel's,
// which a launch need not wait for.
Result<PreparedRoot> prepare_root(const Plan& plan, AcquiredMounts acquired, const HostIds& ids,
                                  BorrowedFd user_namespace, BorrowedFd host_proc,
                                  BorrowedFd host_root, DeviceNodes device_nodes,
                                  BorrowedFd disk = {});

// Makes the stage empty again, after the mounts have been handed over and before the next root is
// prepared.
void clear_stage();

}  // namespace cove
