#include "runtime/mount/duplicate_tree.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <map>
#include <utility>
#include <vector>

#include "runtime/kernel/directory.h"

namespace cove {
namespace {

constexpr std::size_t kLargestAttribute = 65536;  // XATTR_LIST_MAX and XATTR_SIZE_MAX
constexpr off_t kBetweenQuestions = 16 << 20;     // bytes copied before `abandoned` is asked again

// What is not in this list is not the image's, but a security module's of the host.
bool is_the_images(const std::string& attribute) {
  return attribute.starts_with("user.") || attribute.starts_with("trusted.") ||
         attribute.starts_with("system.posix_acl_") || attribute == "security.capability";
}

// The same file by a name that every call takes, and that leads to a symbolic link itself.
std::string by_descriptor(BorrowedFd file) {
  return "/proc/self/fd/" + std::to_string(file.number());
}

class TreeDuplicator {
 public:
  explicit TreeDuplicator(const TreeDuplication& duplication) : duplication_(duplication) {}

  // Directory by directory, each opened by its path: a tree may be deeper than a process has
  // descriptors. What a directory is itself comes last, since files that are made in it would change
  // its times, and its default ACL them.
  Result<DuplicatedFiles> run() {
    for (std::size_t next = 0; next < directories_.size(); ++next) {
      const std::string path = directories_[next];
      if (auto done = fill_directory(path); !done) return fail(done.error());
    }
    for (const std::string& path : directories_) {
      if (auto done = finish_directory(path); !done) return fail(done.error());
    }
    return files_;
  }

 private:
  struct Place {
    BorrowedFd source, target;  // directories
    std::string name;           // in both
    std::string path;           // from the top
  };

  Result<void> fill_directory(const std::string& path) {
    const UniqueFd source = open_directory(duplication_.source, path);
    const UniqueFd target = open_directory(duplication_.target, path);
    if (!source || !target) return failed("open the directory", path);
    const auto names = names_in(source);
    if (!names) return failed("list", path);
    for (const std::string& name : *names) {
      if (auto done = go_on(path); !done) return done;
      const Place place{source, target, name, path == "." ? name : path + "/" + name};
      if (auto done = make_entry(place); !done) return done;
    }
    return {};
  }

  static UniqueFd open_directory(BorrowedFd top, const std::string& path) {
    return UniqueFd(
        openat(top.number(), path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }

  Result<void> make_entry(const Place& place) {
    struct stat status {};
    if (fstatat(place.source.number(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      return failed("look at", place.path);
    if (S_ISDIR(status.st_mode)) {
      if (mkdirat(place.target.number(), place.name.c_str(), 0700) != 0)
        return failed("make the directory", place.path);
      directories_.push_back(place.path);
      return {};
    }
    if (status.st_nlink > 1) {
      const auto [first, is_new] =
          linked_.emplace(std::pair{status.st_dev, status.st_ino}, place.path);
      if (!is_new) return make_hard_link(first->second, place);
    }
    if (S_ISREG(status.st_mode)) return make_file(place, status);
    auto made = S_ISLNK(status.st_mode) ? make_link(place) : make_node(place, status);
    return made ? copy_attributes(place, status) : made;
  }

  Result<void> make_hard_link(const std::string& first, const Place& place) {
    if (linkat(duplication_.target.number(), first.c_str(), place.target.number(),
               place.name.c_str(), 0) != 0)
      return failed("make a hard link", place.path);
    return {};
  }

  Result<void> make_link(const Place& place) {
    std::array<char, PATH_MAX> text{};
    if (readlinkat(place.source.number(), place.name.c_str(), text.data(), text.size() - 1) < 0)
      return failed("read the link", place.path);
    if (symlinkat(text.data(), place.target.number(), place.name.c_str()) != 0)
      return failed("make the link", place.path);
    return {};
  }

  // Whiteouts (character devices 0:0) may be made by everybody.
  Result<void> make_node(const Place& place, const struct stat& status) {
    if (mknodat(place.target.number(), place.name.c_str(), (status.st_mode & S_IFMT) | 0600,
                status.st_rdev) != 0)
      return failed("make the special file", place.path);
    return {};
  }

  Result<void> make_file(const Place& place, const struct stat& status) {
    const UniqueFd source(openat(place.source.number(), place.name.c_str(),
                                 O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!source) return failed("open", place.path);
    const UniqueFd target(openat(place.target.number(), place.name.c_str(),
                                 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!target) return failed("make the file", place.path);
    if (auto done = copy_contents(source, target, status.st_size, place.path); !done) return done;
    return copy_attributes(source, target, status, place.path);
  }

  Result<void> copy_contents(BorrowedFd source, BorrowedFd target, off_t size,
                             const std::string& path) {
    if (size == 0) return {};
    if (reflink(source, target)) return {};
    ++files_.copied;
    if (ftruncate(target.number(), size) != 0) return failed("copy", path);
    for (off_t at = 0; at < size;) {
      const off_t data = lseek(source.number(), at, SEEK_DATA);
      if (data < 0) return errno == ENXIO ? Result<void>{} : failed("copy", path);
      const off_t hole = lseek(source.number(), data, SEEK_HOLE);
      if (hole < 0) return failed("copy", path);
      if (auto done = copy_range(source, target, data, hole, path); !done) return done;
      at = hole;
    }
    return {};
  }

  // True where that was it. What a file system cannot do, it need not be asked for each file.
  bool reflink(BorrowedFd source, BorrowedFd target) {
    if (!can_reflink_) return false;
    if (ioctl(target.number(), FICLONE, source.number()) == 0) {
      ++files_.reflinked;
      return true;
    }
    can_reflink_ = errno != EXDEV && errno != EOPNOTSUPP && errno != ENOTTY;
    return false;
  }

  Result<void> copy_range(BorrowedFd source, BorrowedFd target, off_t from, off_t end,
                          const std::string& path) {
    if (lseek(target.number(), from, SEEK_SET) < 0) return failed("copy", path);
    while (from < end) {
      if (auto done = go_on(path); !done) return done;
      const auto most = static_cast<std::size_t>(std::min(end - from, kBetweenQuestions));
      const ssize_t sent = sendfile(target.number(), source.number(), &from, most);
      if (sent == 0) errno = EIO;  // it is shorter than it was
      if (sent <= 0) return failed("copy", path);
    }
    return {};
  }

  Result<void> finish_directory(const std::string& path) {
    const UniqueFd source = open_directory(duplication_.source, path);
    const UniqueFd target = open_directory(duplication_.target, path);
    struct stat status {};
    if (!source || !target || fstat(source.number(), &status) != 0)
      return failed("open the directory", path);
    return copy_attributes(source, target, status, path);
  }

  Result<void> copy_attributes(const Place& place, const struct stat& status) {
    constexpr int kFlags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    const UniqueFd source(openat(place.source.number(), place.name.c_str(), kFlags));
    const UniqueFd target(openat(place.target.number(), place.name.c_str(), kFlags));
    if (!source || !target) return failed("open", place.path);
    return copy_attributes(source, target, status, place.path);
  }

  // A new owner takes set-id bits and file capabilities away, so that those come behind it.
  Result<void> copy_attributes(BorrowedFd source, BorrowedFd target, const struct stat& status,
                               const std::string& path) {
    if (fchownat(target.number(), "", status.st_uid, status.st_gid, AT_EMPTY_PATH) != 0)
      return failed("set the owner", path);
    if (!S_ISLNK(status.st_mode) &&
        fchmodat(AT_FDCWD, by_descriptor(target).c_str(), status.st_mode & 07777, 0) != 0)
      return failed("set the mode", path);
    if (auto done = copy_extended(source, target, path); !done) return done;
    const std::array<timespec, 2> times{status.st_atim, status.st_mtim};
    if (utimensat(target.number(), "", times.data(), AT_EMPTY_PATH) != 0)
      return failed("set the times", path);
    return {};
  }

  Result<void> copy_extended(BorrowedFd source, BorrowedFd target, const std::string& path) {
    const std::string from = by_descriptor(source);
    const ssize_t size = listxattr(from.c_str(), names_.data(), names_.size());
    if (size < 0) return errno == EOPNOTSUPP ? Result<void>{} : failed("list the attributes", path);
    for (ssize_t at = 0; at < size;) {
      const std::string name = &names_[static_cast<std::size_t>(at)];
      at += static_cast<ssize_t>(name.size()) + 1;
      if (!is_the_images(name)) continue;
      const ssize_t length = getxattr(from.c_str(), name.c_str(), value_.data(), value_.size());
      if (length < 0 || setxattr(by_descriptor(target).c_str(), name.c_str(), value_.data(),
                                 static_cast<std::size_t>(length), 0) != 0)
        return failed("copy the attribute " + name, path);
    }
    return {};
  }

  Result<void> go_on(const std::string& path) {
    if (!duplication_.abandoned()) return {};
    errno = ECANCELED;
    return failed("copy", path);
  }

  Result<void> failed(std::string what, const std::string& path) const {
    const bool full = errno == ENOSPC || errno == EDQUOT;
    Error error = errno_error(full ? ErrorCode::resource_exhausted : ErrorCode::setup_failed,
                              "private rootfs", std::move(what));
    error.where = path == "." ? duplication_.shown : duplication_.shown + "/" + path;
    return fail(std::move(error));
  }

  const TreeDuplication& duplication_;
  std::vector<std::string> directories_{"."};              // all that were found, parents first
  std::map<std::pair<dev_t, ino_t>, std::string> linked_;  // files with several names: the first
  std::vector<char> names_ = std::vector<char>(kLargestAttribute);
  std::vector<char> value_ = std::vector<char>(kLargestAttribute);
  bool can_reflink_ = true;
  DuplicatedFiles files_;
};

}  // namespace

Result<DuplicatedFiles> duplicate_tree(const TreeDuplication& duplication) {
  return TreeDuplicator(duplication).run();
}

}  // namespace cove
