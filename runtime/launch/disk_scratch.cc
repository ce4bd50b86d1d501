#include "runtime/launch/disk_scratch.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "runtime/kernel/directory.h"

namespace cove {
namespace {

constexpr const char* kMark = "user.cove.scratch";
constexpr std::size_t kIdLength = 26;  // make_sandbox_id()

Error scratch_error(std::string what, const std::string& where) {
  Error error = errno_error(ErrorCode::setup_failed, "scratch", std::move(what));
  error.where = where;
  return error;
}

Result<UniqueFd> open_base(BorrowedFd host_root, const std::string& base) {
  const std::string path = base.substr(std::min(base.find_first_not_of('/'), base.size()));
  if (mkdirat(host_root.number(), path.c_str(), 0700) != 0 && errno != EEXIST) {
    Error error = scratch_error("make the directory", base);
    error.hint = "name another with --scratch, or run with --read-only";
    return fail(std::move(error));
  }
  UniqueFd directory(
      openat(host_root.number(), path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) return fail(scratch_error("open the directory", base));
  if (!is_private(directory)) {
    return fail(Error{ErrorCode::permission_denied,
                      "scratch",
                      errno,
                      "is not the caller's alone",
                      base,
                      "chmod 700 it, or name another with --scratch",
                      {}});
  }
  return directory;
}

UniqueFd open_locked(BorrowedFd base, const std::string& name) {
  UniqueFd directory(
      openat(base.number(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (directory && flock(directory.number(), LOCK_EX | LOCK_NB) != 0) directory.reset();
  return directory;
}

bool is_sandbox_id(const std::string& name) {
  return name.size() == kIdLength &&
         name.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyz") == std::string::npos;
}

// The caller may have named a directory that holds its own files, too: only what is called as we
// would call it and has our mark is removed; without the mark, for want of which a launcher was
// killed very early, only if it is empty. What cannot be removed is tried again by the next.
void sweep(BorrowedFd base) {
  for (const std::string& name : names_in(base).value_or(std::vector<std::string>{})) {
    if (!is_sandbox_id(name)) continue;
    const UniqueFd abandoned = open_locked(base, name);
    if (!abandoned) continue;
    if (fgetxattr(abandoned.number(), kMark, nullptr, 0) >= 0) {
      (void)remove_tree(base, name.c_str());
    } else {
      unlinkat(base.number(), name.c_str(), AT_REMOVEDIR);
    }
  }
}

}  // namespace

Result<DiskScratch> DiskScratch::make(BorrowedFd host_root, const std::string& base,
                                      const std::string& sandbox_id) {
  auto parent = open_base(host_root, base);
  if (!parent) return fail(parent.error());
  // So that nobody sweeps a directory between its making and its locking.
  if (flock(parent->number(), LOCK_EX) != 0) return fail(scratch_error("lock", base));
  sweep(*parent);
  if (mkdirat(parent->number(), sandbox_id.c_str(), 0700) != 0)
    return fail(scratch_error("make a directory in", base));
  UniqueFd directory = open_locked(*parent, sandbox_id);
  if (!directory) return fail(scratch_error("lock a directory in", base));
  DiskScratch scratch(std::move(*parent), sandbox_id, std::move(directory));
  flock(scratch.base_.number(), LOCK_UN);
  if (fsetxattr(scratch.directory_.number(), kMark, "", 0, 0) != 0) {
    Error error = scratch_error("user xattrs, in which an overlay keeps its marks", base);
    error.hint = "name a directory on ext4, xfs or btrfs with --scratch";
    return fail(std::move(error));
  }
  return scratch;
}

DiskScratch& DiskScratch::operator=(DiskScratch&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(name_, other.name_);
  std::swap(directory_, other.directory_);
  return *this;
}

DiskScratch::~DiskScratch() {
  if (directory_) (void)remove_tree(base_, name_.c_str());
}

}  // namespace cove
