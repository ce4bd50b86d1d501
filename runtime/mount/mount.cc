#include "runtime/mount/mount.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/kernel/syscalls.h"

namespace cove {
namespace {

Error mount_error(std::string what, std::string where = {}) {
  Error error = errno_error(ErrorCode::setup_failed, "mount", std::move(what));
  error.where = std::move(where);
  return error;
}

// The kernel writes its reason into the fs context ("e overlay: ..."); worth more than an errno.
std::string context_log(int context) {
  std::string log;
  char line[512];  // NOLINT: filled by read
  for (ssize_t got; (got = read(context, line, sizeof line)) > 0;) {
    if (!log.empty()) log += "; ";
    log.append(line, static_cast<std::size_t>(got));
    while (!log.empty() && log.back() == '\n') log.pop_back();
  }
  return log;
}

// A path inside a root. Where a link has ".." and anything on the machine was renamed or mounted
// meanwhile, the kernel cannot tell that the walk stayed inside, and wants to be asked again: EAGAIN
// (openat2(2)). Other launches mount all the time. Who renames without a pause gets an error, no more.
UniqueFd open_inside(BorrowedFd root, const std::string& path, std::uint64_t flags, Links links) {
  constexpr int kAttempts = 128;
  const std::uint64_t resolve =
      RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (links == Links::refuse ? RESOLVE_NO_SYMLINKS : 0);
  int fd = -1;
  for (int left = kAttempts; left > 0; --left) {
    fd = kernel::openat2(root.number(), path.c_str(), flags | O_PATH | O_CLOEXEC, resolve);
    if (fd >= 0 || errno != EAGAIN) break;
  }
  return UniqueFd(fd);
}

// What was just made in `parent` belongs to whom that belongs, as if its owner had made it. Somebody
// else may have put another directory in its place by now; one that is not ours stays as it is.
void give_to_owner_of(BorrowedFd parent, BorrowedFd made) {
  struct stat above {
  }, here{};
  if (fstat(parent.number(), &above) != 0 || fstat(made.number(), &here) != 0) return;
  if (here.st_uid != geteuid() || here.st_uid == above.st_uid) return;
  // Fails where that owner is nobody here; then it stays ours.
  (void)!fchownat(made.number(), "", above.st_uid, above.st_gid, AT_EMPTY_PATH);
}

// The directory `path` inside `root`, made component by component where missing. A dangling link of
// the image is an error (ENOENT again), not a reason to make its target.
Result<UniqueFd> make_directories(BorrowedFd root, const std::string& path, Missing missing,
                                  Links links) {
  const auto open_directory = [&](const std::string& name) {
    return open_inside(root, name, O_DIRECTORY, links);
  };
  UniqueFd here = open_directory("/");
  for (std::size_t at = 0; here && at < path.size();) {
    const std::size_t start = path.find_first_not_of('/', at);
    if (start == std::string::npos) break;
    const std::size_t end = path.find('/', start);
    const std::string name = path.substr(start, end - start);
    at = end == std::string::npos ? path.size() : end;
    const std::string so_far = path.substr(0, at);
    UniqueFd next = open_directory(so_far);
    if (!next && errno == ENOENT) {
      if (mkdirat(here.number(), name.c_str(), 0755) != 0 && errno != EEXIST) {
        Error error = mount_error("make the missing directory to mount on", so_far);
        // What is not mapped, or not writable, is another mount: one from the host.
        if (error.sys_errno == EOVERFLOW || error.sys_errno == EROFS || error.sys_errno == EACCES)
          error.hint = "it lies in a directory that is mounted from the host: make it there first";
        return fail(std::move(error));
      }
      next = open_directory(so_far);
      if (next && missing == Missing::make_as_parent) give_to_owner_of(here, next);
    }
    if (!next) return fail(mount_error("open the directory inside the root", so_far));
    here = std::move(next);
  }
  if (!here) return fail(mount_error("open the root"));
  return here;
}

}  // namespace

Result<UniqueFd> clone_mount(BorrowedFd directory, const char* path, Recursive recursive) {
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW;
  if (*path == '\0') flags |= AT_EMPTY_PATH;
  if (recursive == Recursive::yes) flags |= AT_RECURSIVE;
  UniqueFd mount(open_tree(directory.number(), path, flags));
  if (!mount) return fail(mount_error("open_tree", path));
  return mount;
}

Result<void> set_mount_attributes(BorrowedFd mount, std::uint64_t set, Recursive recursive,
                                  BorrowedFd user_namespace) {
  mount_attr attributes{};
  attributes.attr_set = set;
  // A copy of a shared mount is its peer: what is mounted on the one would appear on the other.
  attributes.propagation = MS_PRIVATE;
  if (user_namespace) {
    attributes.attr_set |= MOUNT_ATTR_IDMAP;
    attributes.userns_fd = static_cast<std::uint64_t>(user_namespace.number());
  }
  const unsigned flags = AT_EMPTY_PATH | (recursive == Recursive::yes ? AT_RECURSIVE : 0u);
  if (mount_setattr(mount.number(), "", flags, &attributes, sizeof attributes) != 0) {
    return fail(mount_error(user_namespace ? "mount_setattr with an id mapping" : "mount_setattr"));
  }
  return {};
}

Result<UniqueFd> make_filesystem(const char* type,
                                 const std::vector<std::pair<std::string, std::string>>& options,
                                 std::uint64_t attributes) {
  const UniqueFd context(fsopen(type, FSOPEN_CLOEXEC));
  if (!context) return fail(mount_error("fsopen", type));
  for (const auto& [key, value] : options) {
    const bool flag = value.empty();
    if (fsconfig(context.number(), flag ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, key.c_str(),
                 flag ? nullptr : value.c_str(), 0) != 0) {
      Error error = mount_error("option " + key + "=" + value, type);
      error.hint = context_log(context.number());
      return fail(std::move(error));
    }
  }
  UniqueFd mount;
  if (fsconfig(context.number(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0) {
    mount.reset(fsmount(context.number(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes)));
  }
  if (!mount) {
    Error error = mount_error("make the file system", type);
    error.hint = context_log(context.number());
    return fail(std::move(error));
  }
  return mount;
}

Result<void> attach_mount(BorrowedFd mount, BorrowedFd directory, const char* target) {
  const unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | (*target == '\0' ? MOVE_MOUNT_T_EMPTY_PATH : 0u);
  if (move_mount(mount.number(), "", directory.number(), target, flags) != 0) {
    return fail(mount_error("move_mount", target));
  }
  return {};
}

Result<UniqueFd> open_in_root(BorrowedFd root, const std::string& path, TargetKind kind,
                              Missing missing, Links links) {
  const std::uint64_t flags = kind == TargetKind::directory ? O_DIRECTORY : 0;
  UniqueFd target = open_inside(root, path, flags, links);
  if (target) return target;
  if (errno != ENOENT || missing == Missing::fail) {
    return fail(mount_error("open inside the root", path));
  }
  if (kind == TargetKind::directory) return make_directories(root, path, missing, links);

  const std::size_t slash = path.find_last_of('/');
  auto parent = make_directories(root, path.substr(0, slash), missing, links);
  if (!parent) return fail(parent.error());
  const std::string name = path.substr(slash + 1);
  const UniqueFd made(openat(parent->number(), name.c_str(),
                             O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0644));
  if (!made) return fail(mount_error("make an empty file to mount on", path));
  if (missing == Missing::make_as_parent) give_to_owner_of(*parent, made);
  target = open_inside(root, path, flags, links);
  if (!target) return fail(mount_error("open inside the root", path));
  return target;
}

}  // namespace cove
