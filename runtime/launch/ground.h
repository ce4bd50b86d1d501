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
// Without, entering the ground also enters a user namespace in which the caller's ids are 0.
//
// enter() moves the whole calling process, for good. It must be single-threaded.
#pragma once

#include <cstdint>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

enum class Privilege { root, user };

class Ground {
 public:
  static Result<Ground> enter(Privilege privilege);

  Privilege privilege() const { return privilege_; }
  // The host's /proc, in the caller's pid namespace: for id maps and namespace files.
  BorrowedFd host_proc() const { return host_proc_; }
  // The host's root directory as this namespace sees it; none with privilege.
  BorrowedFd host_root() const { return host_root_; }

 private:
  Privilege privilege_ = Privilege::root;
  UniqueFd host_proc_;
  UniqueFd host_root_;
};

}  // namespace cove
