// The part of init that turns prepared mounts into the sandbox's file tree and moves into it.
#pragma once

#include <vector>

#include "cove/plan.h"
#include "cove/result.h"
#include "runtime/kernel/fd.h"
#include "runtime/kernel/message.h"
#include "runtime/mount/root.h"

namespace cove {

// The `mounts` order: what init attaches, as one message.
std::string encode_mounts(const PreparedRoot& prepared, std::vector<BorrowedFd>& fds);
Result<PreparedRoot> decode_mounts(const Plan& plan, MessageReader& reader,
                                   std::vector<UniqueFd> fds);

// The file systems that init makes itself, in the sandbox's namespaces. Both need nothing of the
// launcher's mounts, so init makes them while it waits for those.
struct OwnFilesystems {
  UniqueFd proc, pts;
};

// A procfs of this pid namespace, not yet masked.
Result<UniqueFd> make_proc();
Result<UniqueFd> make_pts(const Plan& plan);

// Puts the plan's masks and read-only covers on it.
Result<void> cover_proc(const Plan& plan, BorrowedFd proc);

// Attaches everything in the plan's order below /newroot, makes it the root, and leaves the
// launcher's ground. On return "/" is the sandbox's.
Result<void> build_root(const Plan& plan, PreparedRoot prepared, OwnFilesystems own);

}  // namespace cove
