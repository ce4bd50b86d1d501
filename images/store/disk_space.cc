#include "images/store/disk_space.h"

#include <fcntl.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <set>

#include "images/store/source.h"
#include "runtime/kernel/directory.h"

namespace cove {
namespace {

constexpr std::uint64_t kBlock = 512;  // of st_blocks, whatever the file system's are

class TreeMeter {
 public:
  Result<std::uint64_t> measure(BorrowedFd parent, const std::string& name) {
    const Result<void> added = add(parent, name);
    return added ? Result<std::uint64_t>(bytes_) : fail(added.error());
  }

 private:
  Result<void> add(BorrowedFd parent, const std::string& name) {
    struct stat status {};
    if (fstatat(parent.number(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      return fail(io_error("look at", name));
    const bool directory = S_ISDIR(status.st_mode);
    if (!directory && status.st_nlink > 1 && !linked_.insert(status.st_ino).second) return {};
    bytes_ += allocated_bytes(status);
    return directory ? add_below(parent, name) : Result<void>();
  }

  Result<void> add_below(BorrowedFd parent, const std::string& name) {
    const UniqueFd directory(
        openat(parent.number(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    const auto names = directory ? names_in(directory) : std::nullopt;
    if (!names) return fail(io_error("list", name));
    for (const std::string& child : *names) {
      if (Result<void> added = add(directory, child); !added) return added;
    }
    return {};
  }

  std::uint64_t bytes_ = 0;
  std::set<ino_t> linked_;  // files with several names that were counted
};

}  // namespace

std::uint64_t allocated_bytes(const struct stat& status) {
  return static_cast<std::uint64_t>(status.st_blocks) * kBlock;
}

Result<std::uint64_t> bytes_on_disk(BorrowedFd parent, const std::string& name) {
  return TreeMeter().measure(parent, name);
}

Error say_room(Error error, const Store& store, const Staging& staging,
               std::optional<std::uint64_t> packed) {
  if (error.sys_errno == EDQUOT) error.hint = "the quota of " + store.directory() + " is used up";
  struct statvfs room {};
  if (error.sys_errno != ENOSPC || fstatvfs(store.top().number(), &room) != 0) return error;
  // What this load has written goes with it.
  const std::uint64_t ours = bytes_on_disk(store.top(), staging.path()).value_or(0);
  const std::uint64_t free = std::uint64_t{room.f_bavail} * room.f_frsize + ours;
  error.hint = room.f_files != 0 && room.f_favail == 0
                   ? "the file system of " + store.directory() + " has no inodes left"
                   : "the file system of " + store.directory() + " has " + std::to_string(free) +
                         " bytes free without this load";
  if (packed)
    error.hint +=
        ", which needs " + std::to_string(*packed) + " packed and as many or more unpacked";
  error.hint += "; make room (cove image prune), or name another --store";
  return error;
}

}  // namespace cove
