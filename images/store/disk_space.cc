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
constexpr std::uint64_t kFew = 64;     // less than one in so many

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

// Of ENOSPC: whether there were no inodes, or no blocks. By now some may be free again: the kernel keeps an
// inode for Landlock's sake until a moment after the confined process has ended. File systems that make inodes of blocks
// (XFS) have few of both when they are full.
bool ran_out_of_inodes(const struct statvfs& room) {
  const auto favail = static_cast<double>(room.f_favail), files = static_cast<double>(room.f_files);
  const auto bavail = static_cast<double>(room.f_bavail),
             blocks = static_cast<double>(room.f_blocks);
  return favail * kFew < files && favail * blocks < bavail * files;
}

std::string inodes_left(const struct statvfs& room) {
  return room.f_favail == 0 ? "no inodes left"
                            : "only " + std::to_string(room.f_favail) + " of " +
                                  std::to_string(room.f_files) + " inodes left";
}

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
  error.hint = "the file system of " + store.directory() + " has " +
               (ran_out_of_inodes(room) ? inodes_left(room)
                                        : std::to_string(free) + " bytes free without this load");
  if (packed)
    error.hint +=
        ", which needs " + std::to_string(*packed) + " packed and as many or more unpacked";
  error.hint += "; make room (cove image prune), or name another --store";
  return error;
}

}  // namespace cove
