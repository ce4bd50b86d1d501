// User namespaces and their id maps.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

// user_namespaces(7): `count` ids from `inside` on are `outside` and on in the parent namespace.
// For an idmapped mount, `inside` is what the file system stores and `outside` what the mount shows
// (mount_setattr(2)).
struct IdRange {
  std::uint32_t inside = 0;
  std::uint32_t outside = 0;
  std::uint32_t count = 1;
};

// A writer without privilege must give up setgroups(2) in the namespace before it may map a group.
enum class SetGroups { keep, deny };

// A map: at most 340 ranges (Linux 4.15), none of which may lie across two of the parent's.
using IdMap = std::vector<IdRange>;

// Writes the maps of the process `pid`, which has just been cloned into a new user namespace.
// `proc` is a procfs in which `pid` is known.
Result<void> write_id_maps(BorrowedFd proc, pid_t pid, const IdMap& uids, const IdMap& gids,
                           SetGroups set_groups);

// /proc/<pid>/ns/user.
Result<UniqueFd> open_user_namespace(BorrowedFd proc, pid_t pid);

// A user namespace that nobody is in, for an idmapped mount.
Result<UniqueFd> make_user_namespace(BorrowedFd proc, const IdRange& uids, const IdRange& gids);

}  // namespace cove
