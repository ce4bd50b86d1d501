#include "runtime/init/build_root.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "runtime/init/protocol.h"
#include "runtime/kernel/fd_path.h"
#include "runtime/kernel/syscalls.h"
#include "runtime/mount/mount.h"

namespace cove {
namespace {

constexpr const char* kNewRoot = "/newroot";
constexpr const char* kOwnProc = "/own-proc";
constexpr std::uint64_t kKernelAttributes =
    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
constexpr std::uint32_t kNone = ~std::uint32_t{0};

Error build_error(std::string what) {
  return errno_error(ErrorCode::setup_failed, "root", std::move(what));
}

Result<TargetKind> kind_of(BorrowedFd mount) {
  struct stat status {};
  if (fstatat(mount.number(), "", &status, AT_EMPTY_PATH) != 0)
    return fail(build_error("stat a mount"));
  return S_ISDIR(status.st_mode) ? TargetKind::directory : TargetKind::file;
}

// A name for errors.
std::string step_of(const Plan& plan, const MountPlan& mount) {
  return "mount " + std::to_string(&mount - plan.mounts.data()) + " on " + mount.target;
}

constexpr std::string_view kProcPath = "/proc";

bool covers_proc(const MountPlan& mount) {
  return (mount.kind == MountKind::mask || mount.kind == MountKind::read_only) &&
         mount.target.starts_with(std::string(kProcPath) + "/");
}

// Puts an empty file or directory, or a read-only copy of the place itself, on a place that exists
// already.
Result<void> cover(BorrowedFd root, const std::string& target, const MountPlan& mount) {
  const auto opened = open_in_root(root, target, TargetKind::file, Missing::fail, Links::refuse);
  if (!opened) {
    if (opened.error().sys_errno == ENOENT && mount.optional) return {};
    return fail(opened.error());
  }
  const BorrowedFd place = *opened;
  Result<UniqueFd> copy;
  if (mount.kind == MountKind::mask) {
    const auto kind = kind_of(place);
    if (!kind) return fail(kind.error());
    // The launcher's ground is read-only, and so is every copy of its mount.
    copy = clone_mount(BorrowedFd(AT_FDCWD),
                       *kind == TargetKind::directory ? "/mask/directory" : "/mask/file",
                       Recursive::no);
    if (!copy) return fail(copy.error());
  } else {
    copy = clone_mount(place, "", Recursive::no);
    if (!copy) return fail(copy.error());
    if (auto done = set_mount_attributes(*copy, MOUNT_ATTR_RDONLY, Recursive::no); !done)
      return done;
  }
  return attach_mount(*copy, place, "");
}

// Attaches a plan's mounts to a root, in order.
class RootAssembly {
 public:
  RootAssembly(const Plan& plan, BorrowedFd root) : plan_(plan), root_(root) {}

  Result<void> attach_all(const PreparedRoot& prepared, const OwnFilesystems& own) {
    for (const PreparedMount& directory : prepared.host_directories) {
      if (auto done = attach(directory.mount, directory.target, Links::refuse); !done) return done;
    }
    for (std::size_t i = 0; i < plan_.mounts.size(); ++i) {
      if (covers_proc(plan_.mounts[i])) continue;
      auto done = attach_planned(plan_.mounts[i], prepared.mounts[i], own);
      if (!done) {
        done.error().step = step_of(plan_, plan_.mounts[i]);
        return done;
      }
    }
    return {};
  }

 private:
  Result<void> attach_planned(const MountPlan& mount, BorrowedFd prepared,
                              const OwnFilesystems& own) {
    switch (mount.kind) {
      case MountKind::proc:
        return attach_own(own.proc, mount.target);
      case MountKind::pts:
        return attach_own(own.pts, mount.target);
      case MountKind::mask:
      case MountKind::read_only:
        return cover(root_, mount.target, mount);
      case MountKind::cgroup: {
        // Mounted by the program's process once it is in its group; here only the place is made.
        const auto place =
            open_in_root(root_, mount.target, TargetKind::directory, Missing::make, Links::refuse);
        return place ? Result<void>{} : fail(place.error());
      }
      case MountKind::devices:
      case MountKind::shared_memory:
        return attach_own(prepared, mount.target);
      case MountKind::scratch:
        return attach(prepared, mount.target, Links::follow_in_root);
      case MountKind::bind:
      case MountKind::tmpfs:
        return attach_asked_for(prepared, mount.target);
    }
    return {};
  }

  Result<UniqueFd> place_for(BorrowedFd mount, const std::string& target, Missing missing,
                             Links links) {
    const auto kind = kind_of(mount);
    if (!kind) return fail(kind.error());
    return open_in_root(root_, target, *kind, missing, links);
  }

  Result<void> attach(BorrowedFd mount, const std::string& target, Links links) {
    const auto place = place_for(mount, target, Missing::make, links);
    return place ? attach_mount(mount, *place, "") : fail(place.error());
  }

  // What the kernel and we rely on: an image may not have it somewhere else.
  Result<void> attach_own(BorrowedFd mount, const std::string& target) {
    return attach(mount, target, Links::refuse);
  }

  // CVE-2019-16884 and its like: a link of the image may lead a mount of the caller's over /proc or
  // /dev, where programs trust what they read. Planning has refused such paths; this is about
  // links.
  Result<void> attach_asked_for(BorrowedFd mount, const std::string& target) {
    // It may lie in a directory of the caller's that was mounted before.
    const auto place = place_for(mount, target, Missing::make_as_parent, Links::follow_in_root);
    if (!place) return fail(place.error());
    const std::string path = kernel::path_of(*place);  // by the ground's procfs
    if (path.empty()) return fail(build_error("look up where a mount goes"));
    for (const char* name : {"/proc", "/dev"}) {
      const std::string own = kNewRoot + std::string(name);
      if (path != own && !path.starts_with(own + "/")) continue;
      return fail(Error{ErrorCode::image_invalid,
                        "",
                        EXDEV,
                        "a link of the image leads it into /proc or /dev",
                        target,
                        "mount it somewhere else",
                        {}});
    }
    return attach_mount(mount, *place, "");
  }

  const Plan& plan_;
  const BorrowedFd root_;
};

Result<void> enter(BorrowedFd root) {
  if (fchdir(root.number()) != 0 || kernel::pivot_root(".", ".") != 0)
    return fail(build_error("pivot_root"));
  // The old root now lies over the new one; "." is the old.
  if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
    return fail(build_error("leave the launcher's root"));
  return {};
}

}  // namespace

std::string encode_mounts(const PreparedRoot& prepared, std::vector<BorrowedFd>& fds) {
  MessageWriter writer;
  const auto add = [&](const UniqueFd& fd) {
    if (!fd) return writer.u32(kNone), void();
    writer.u32(static_cast<std::uint32_t>(fds.size()));
    fds.push_back(fd);
  };
  writer.u32(static_cast<std::uint32_t>(Order::mounts));
  add(prepared.root);
  writer.u32(static_cast<std::uint32_t>(prepared.host_directories.size()));
  for (const PreparedMount& directory : prepared.host_directories) {
    writer.text(directory.target);
    add(directory.mount);
  }
  for (const UniqueFd& mount : prepared.mounts) add(mount);
  return writer.body();
}

Result<PreparedRoot> decode_mounts(const Plan& plan, MessageReader& reader,
                                   std::vector<UniqueFd> fds) {
  PreparedRoot prepared;
  bool good = true;
  const auto take = [&]() -> UniqueFd {
    const std::uint32_t index = reader.u32();
    if (index == kNone) return {};
    if (index >= fds.size()) {
      good = false;
      return {};
    }
    return std::move(fds[index]);
  };
  prepared.root = take();
  for (std::uint32_t left = reader.u32(); left > 0 && reader.good(); --left) {
    std::string target = reader.text();
    prepared.host_directories.push_back({std::move(target), take()});
  }
  for (std::size_t i = 0; i < plan.mounts.size(); ++i) prepared.mounts.push_back(take());
  if (!good || !reader.good())
    return fail(Error{
        ErrorCode::internal, "protocol", EBADMSG, "the mounts message is cut short", "", "", {}});
  return prepared;
}

Result<UniqueFd> make_proc() {
  auto proc = make_filesystem("proc", {}, kKernelAttributes);
  if (!proc && proc.error().sys_errno == EPERM) {
    proc.error().code = ErrorCode::isolation_unavailable;
    proc.error().hint =
        "the kernel grants a new procfs only where the one outside is not masked; in a container, "
        "unmask it (docker run --security-opt systempaths=unconfined)";
  }
  return proc;
}

Result<UniqueFd> make_pts(const Plan& plan) {
  std::vector<std::pair<std::string, std::string>> options{
      {"newinstance", ""}, {"ptmxmode", "0666"}, {"mode", "0620"}};
  // Group 5 is tty in every distribution; with a single mapped id there is no such group.
  if (plan.identity.mapping != IdMapping::single) options.emplace_back("gid", "5");
  return make_filesystem("devpts", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
}

Result<void> cover_proc(const Plan& plan, BorrowedFd proc) {
  // Only what is attached can be mounted on (before 6.15); build_root moves it, covers and all.
  if (auto done = attach_mount(proc, BorrowedFd(AT_FDCWD), kOwnProc); !done) return done;
  for (const MountPlan& mount : plan.mounts) {
    if (!covers_proc(mount)) continue;
    auto done = cover(proc, mount.target.substr(kProcPath.size()), mount);
    if (!done) {
      done.error().step = step_of(plan, mount);
      return done;
    }
  }
  return {};
}

Result<void> build_root(const Plan& plan, PreparedRoot prepared, OwnFilesystems own) {
  if (auto done = attach_mount(prepared.root, BorrowedFd(AT_FDCWD), kNewRoot); !done) return done;
  const UniqueFd root(open(kNewRoot, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return fail(build_error("open the new root"));
  if (auto done = RootAssembly(plan, root).attach_all(prepared, own); !done) return done;
  if (plan.process.make_workdir) {
    auto made = open_in_root(root, plan.process.workdir, TargetKind::directory, Missing::make);
    if (!made) {
      made.error().step = "workdir";
      return fail(made.error());
    }
  }
  if (plan.root.read_only) {
    if (auto done = set_mount_attributes(root, MOUNT_ATTR_RDONLY, Recursive::no); !done)
      return done;
  }
  return enter(root);
}

}  // namespace cove
