#include "images/unpack/compare.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <set>
#include <string_view>
#include <vector>

#include "images/unpack/xattrs.h"
#include "runtime/kernel/directory.h"

namespace cove {
namespace {

constexpr std::size_t kPiece = 256 * 1024;

bool same_content(BorrowedFd one, BorrowedFd other) {
  std::vector<char> a(kPiece), b(kPiece);
  for (off_t at = 0;;) {
    const ssize_t got = pread(one.number(), a.data(), a.size(), at);
    if (got < 0 || pread(other.number(), b.data(), b.size(), at) != got) return false;
    if (got == 0) return true;
    if (std::string_view(a.data(), static_cast<std::size_t>(got)) !=
        std::string_view(b.data(), static_cast<std::size_t>(got)))
      return false;
    at += got;
  }
}

std::string target_of(BorrowedFd parent, const char* name) {
  std::array<char, PATH_MAX> target{};
  const ssize_t length = readlinkat(parent.number(), name, target.data(), target.size());
  return length < 0 ? std::string() : std::string(target.data(), static_cast<std::size_t>(length));
}

UniqueFd open_file(BorrowedFd parent, const char* name) {
  return UniqueFd(openat(parent.number(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
}

class TreeComparer {
 public:
  TreeComparer(const Implied& untimed, const TellDifference& tell)
      : untimed_(untimed), tell_(tell) {}

  void compare_directories(BorrowedFd expected, BorrowedFd found, const std::string& path) {
    struct stat wanted {
    }, is{};
    if (fstat(expected.number(), &wanted) != 0 || fstat(found.number(), &is) != 0)
      return tell_(path, "cannot be looked at");
    compare_states(wanted, is, path);
    if (read_xattrs(expected) != read_xattrs(found)) tell_(path, "has other extended attributes");
    const auto names = names_in(expected), others = names_in(found);
    if (!names || !others) return tell_(path, "cannot be listed");
    const std::set<std::string> there(others->begin(), others->end());
    const std::set<std::string> known(names->begin(), names->end());
    for (const std::string& name : known) {
      const std::string below = path.empty() ? name : path + "/" + name;
      if (there.contains(name)) {
        compare_entries(expected, found, name.c_str(), below);
      } else {
        tell_(below, "is missing");
      }
    }
    for (const std::string& name : there) {
      if (!known.contains(name))
        tell_(path.empty() ? name : path + "/" + name, "should not be there");
    }
  }

 private:
  void compare_entries(BorrowedFd expected, BorrowedFd found, const char* name,
                       const std::string& path) {
    struct stat wanted {
    }, is{};
    if (fstatat(expected.number(), name, &wanted, AT_SYMLINK_NOFOLLOW) != 0 ||
        fstatat(found.number(), name, &is, AT_SYMLINK_NOFOLLOW) != 0)
      return tell_(path, "cannot be looked at");
    if ((wanted.st_mode & S_IFMT) != (is.st_mode & S_IFMT))
      return tell_(path, "is of another kind");
    const bool directory = S_ISDIR(wanted.st_mode);
    if (directory || S_ISREG(wanted.st_mode)) {
      const UniqueFd one = open_file(expected, name), other = open_file(found, name);
      if (!one || !other) return tell_(path, "cannot be opened");
      if (directory) return compare_directories(one, other, path);
      if (wanted.st_size != is.st_size || !same_content(one, other))
        tell_(path, "has another content");
      if (read_xattrs(one) != read_xattrs(other)) tell_(path, "has other extended attributes");
    }
    compare_states(wanted, is, path);
    if (S_ISLNK(wanted.st_mode) && target_of(expected, name) != target_of(found, name))
      tell_(path, "leads elsewhere");
    if (wanted.st_rdev != is.st_rdev) tell_(path, "is another device");
    if (wanted.st_nlink != is.st_nlink) tell_(path, "has another number of names");
  }

  void compare_states(const struct stat& wanted, const struct stat& is, const std::string& path) {
    if (wanted.st_mode != is.st_mode) tell_(path, "has another mode");
    if (wanted.st_uid != is.st_uid || wanted.st_gid != is.st_gid) tell_(path, "has another owner");
    // A whiteout has the time at which it was made.
    const bool timed =
        !S_ISCHR(wanted.st_mode) && (!S_ISDIR(wanted.st_mode) || !untimed_.contains(path));
    if (timed && (wanted.st_mtim.tv_sec != is.st_mtim.tv_sec ||
                  wanted.st_mtim.tv_nsec != is.st_mtim.tv_nsec))
      tell_(path, "has another time");
  }

  const Implied& untimed_;
  const TellDifference& tell_;
};

}  // namespace

void compare_trees(BorrowedFd expected, BorrowedFd found, const Implied& untimed,
                   const TellDifference& tell) {
  TreeComparer(untimed, tell).compare_directories(expected, found, "");
}

}  // namespace cove
