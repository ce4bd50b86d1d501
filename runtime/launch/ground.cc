#include "runtime/launch/ground.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string>

#include "runtime/identity/subordinate_ids.h"
#include "runtime/kernel/syscalls.h"
#include "runtime/mount/mount.h"

namespace cove {
namespace {

Error ground_error(std::string what, std::string hint = {}) {
  Error error = errno_error(ErrorCode::isolation_unavailable, "ground", std::move(what));
  error.hint = std::move(hint);
  return error;
}

Result<void> write_file(BorrowedFd directory, const char* path, const std::string& text) {
  const UniqueFd file(openat(directory.number(), path, O_WRONLY | O_CLOEXEC));
  if (!file || write(file.number(), text.data(), text.size()) < 0) {
    return fail(ground_error(std::string("write ") + path));
  }
  return {};
}

Error no_user_namespace() {
  return ground_error("make a user namespace",
                      errno == ENOSPC
                          ? "user.max_user_namespaces is 0 or reached; raise it with sysctl"
                          : "unprivileged user namespaces are forbidden here; run `cove doctor`");
}

// Of the user namespace that this process has just entered: the caller is 0, nobody else exists.
Result<void> map_caller_alone(BorrowedFd proc, uid_t uid, gid_t gid) {
  // setgroups must be given up before a plain user may map a group (user_namespaces(7)).
  if (auto done = write_file(proc, "self/setgroups", "deny"); !done) return done;
  if (auto done = write_file(proc, "self/uid_map", "0 " + std::to_string(uid) + " 1"); !done)
    return done;
  return write_file(proc, "self/gid_map", "0 " + std::to_string(gid) + " 1");
}

// Any directory that exists: the tmpfs that becomes our root covers it for a moment, in our
// namespace only.
Result<UniqueFd> attach_somewhere(BorrowedFd mount) {
  static constexpr std::array<const char*, 4> kPlaces{"/tmp", "/run", "/proc", "/dev"};
  for (const char* place : kPlaces) {
    if (attach_mount(mount, BorrowedFd(AT_FDCWD), place))
      return UniqueFd(open(place, O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  return fail(ground_error("attach a root for the launcher on /tmp, /run, /proc or /dev"));
}

// What the ground consists of; see the header. Read-only afterwards, so that masks, copies of this
// mount, are too.
Result<void> furnish(BorrowedFd root) {
  for (const char* name :
       {"proc", "own-proc", "newroot", "stage", "host", "mask", "mask/directory"}) {
    if (mkdirat(root.number(), name, 0555) != 0)
      return fail(ground_error(std::string("mkdir ") + name));
  }
  if (mknodat(root.number(), "mask/file", S_IFREG | 0444, 0) != 0)
    return fail(ground_error("make an empty file"));
  return set_mount_attributes(root, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC, Recursive::no);
}

}  // namespace

// Subordinate ids that cannot be mapped in spite of the facts are no reason not to stand on the
// caller's own: sandboxes that need no more can still be launched.
Result<void> Ground::enter_user_namespace(const std::optional<SubordinateIds>& ids) {
  const uid_t uid = geteuid();
  const gid_t gid = getegid();
  const UniqueFd before(openat(host_proc_.number(), "self/ns/user", O_RDONLY | O_CLOEXEC));
  if (ids) {
    auto entered = enter_subordinate_ids(*ids, CLONE_NEWNS);
    if (entered) {
      own_uid_ = own_gid_ = kOwnId;
      return {};
    }
    no_subordinate_ids_ = entered.error();
  } else {
    no_subordinate_ids_ = Error{ErrorCode::isolation_unavailable,
                                "id map",
                                0,
                                "the caller has no subordinate ids",
                                "",
                                "",
                                {}};
  }
  struct stat old {
  }, now{};
  const bool inside = fstat(before.number(), &old) == 0 &&
                      fstatat(host_proc_.number(), "self/ns/user", &now, 0) == 0 &&
                      old.st_ino != now.st_ino;
  if (!inside && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return fail(no_user_namespace());
  return map_caller_alone(host_proc_, uid, gid);
}

Result<Ground> Ground::enter(const Standing& standing) {
  const Privilege privilege = standing.privilege;
  Ground ground;
  umask(0);  // every mode is meant as it is written, here and in a sandbox's root
  ground.privilege_ = privilege;
  ground.host_proc_ = UniqueFd(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!ground.host_proc_) return fail(ground_error("open /proc"));

  if (privilege == Privilege::user) {
    if (auto done = ground.enter_user_namespace(standing.subordinate_ids); !done)
      return fail(done.error());
  } else if (unshare(CLONE_NEWNS) != 0) {
    return fail(ground_error("make a mount namespace"));
  }
  // Nothing that is mounted from here on may reach the host.
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return fail(ground_error("make mounts private"));

  auto proc = clone_mount(BorrowedFd(AT_FDCWD), "/proc",
                          privilege == Privilege::user ? Recursive::yes : Recursive::no);
  if (!proc) return fail(proc.error());
  auto root = make_filesystem("tmpfs", {{"mode", "0755"}, {"size", "1m"}}, kSafeAttributes);
  if (!root) return fail(root.error());
  auto here = attach_somewhere(*root);
  if (!here) return fail(here.error());
  if (auto done = furnish(*here); !done) return fail(done.error());
  if (auto done = attach_mount(*proc, *here, "proc"); !done) return fail(done.error());
  if (fchdir(here->number()) != 0) return fail(ground_error("enter the launcher's root"));
  const bool keep_host = privilege == Privilege::user;
  if (kernel::pivot_root(".", keep_host ? "host" : ".") != 0)
    return fail(ground_error("pivot_root"));
  if (keep_host) {
    ground.host_root_ = UniqueFd(open("/host", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!ground.host_root_) return fail(ground_error("open the host's root"));
  } else if (umount2(".", MNT_DETACH) != 0) {
    return fail(ground_error("leave the host's root"));
  }
  if (chdir("/") != 0) return fail(ground_error("chdir /"));
  return ground;
}

}  // namespace cove
