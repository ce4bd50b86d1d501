// The ground that sandboxes are cloned from: a mount namespace of the launcher's own.
//
//   /          a tmpfs
//   /proc      the host's procfs: the kernel grants a new one (in a sandbox) only beside a whole one
//   /own-proc  where a sandbox's init gets its own procfs ready
//   /newroot   where a sandbox attaches its root, in its own copy of all this
//   /stage     where the launcher puts scratch and layers while it makes an overlay of them
//   /mask      an empty file and an empty directory, to put over parts of /proc
//   /host      the host's tree. Only without privilege: what a plain user mounts must be found in
//              its own namespace
//
// With privilege, mount sources come in as descriptors, and there is no host path in here at all:
// not for the launcher, and not for the few microseconds that a sandbox's init needs to leave it.
// Without, entering the ground also enters a user namespace: one with the caller's subordinate ids,
// where it has them, else one in which the caller's ids are 0 and nobody else exists.
//
// enter() moves the whole calling process, for good. It must be single-threaded.
#pragma once

#include <cstdint>
#include <optional>

#include "cove/facts.h"
#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

enum class Privilege { root, user };

// With what the caller can provide a ground.
struct Standing {
  Privilege privilege = Privilege::root;
  std::optional<SubordinateIds> subordinate_ids;  // Privilege::user only
};

class Ground {
 public:
  static Result<Ground> enter(const Standing& standing);

  Privilege privilege() const { return privilege_; }
  // The host's /proc, in the caller's pid namespace: for id maps and namespace files.
  BorrowedFd host_proc() const { return host_proc_; }
  // The host's root directory as this namespace sees it; none with privilege.
  BorrowedFd host_root() const { return host_root_; }
  // Of the caller's ids, here.
  std::uint32_t own_uid() const { return own_uid_; }
  std::uint32_t own_gid() const { return own_gid_; }
  // Nothing where subordinate ids are mapped as subordinate_ids.h says; else why not.
  const std::optional<Error>& no_subordinate_ids() const { return no_subordinate_ids_; }

 private:
  Result<void> enter_user_namespace(const std::optional<SubordinateIds>& ids);

  Privilege privilege_ = Privilege::root;
  std::uint32_t own_uid_ = 0, own_gid_ = 0;
  std::optional<Error> no_subordinate_ids_;
  UniqueFd host_proc_;
  UniqueFd host_root_;
};

}  // namespace cove
