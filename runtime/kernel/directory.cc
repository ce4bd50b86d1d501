#include "runtime/kernel/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>

namespace cove {
namespace {

// The names in a directory, one by one: whoever filled it may have made millions.
class Listing {
 public:
  // A descriptor of its own: the position in a directory belongs to the open file.
  explicit Listing(BorrowedFd directory) : stream_(nullptr, closedir) {
    UniqueFd opened(openat(directory.number(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!opened) return;
    stream_.reset(fdopendir(opened.number()));
    if (stream_) opened.release();
  }
  explicit operator bool() const { return stream_ != nullptr; }
  // Null behind the last. Valid until the next call.
  const char* next() {
    while (const dirent* entry =
               readdir(stream_.get())) {  // NOLINT(concurrency-mt-unsafe): a stream of our own
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") return entry->d_name;
    }
    return nullptr;
  }
  void rewind() { rewinddir(stream_.get()); }

 private:
  std::unique_ptr<DIR, int (*)(DIR*)> stream_;
};

// Removes trees that may be deeper than a process has descriptors, and whose directories their owner
// may be forbidden to enter (an image's mode 0000): directories that are not empty are moved up to
// the topmost one, so that no more than two are open at a time.
class TreeRemover {
 public:
  void remove(BorrowedFd parent, const char* name) {
    if (!is_full_directory(parent, name)) return;
    const UniqueFd top = enter(parent, name);
    if (!top) return;
    empty(top);
    if (unlinkat(parent.number(), name, AT_REMOVEDIR) != 0) remember();
  }
  // Of what went wrong first; 0 if nothing did.
  int error() const { return error_; }

 private:
  // Removes it, if it is not one. Where something is mounted, that stays.
  bool is_full_directory(BorrowedFd parent, const char* name) {
    if (unlinkat(parent.number(), name, 0) == 0 || errno == ENOENT) return false;
    if (errno == EISDIR) {
      if (unlinkat(parent.number(), name, AT_REMOVEDIR) == 0) return false;
      if (errno == ENOTEMPTY || errno == EEXIST) return true;
    }
    remember();
    return false;
  }

  UniqueFd enter(BorrowedFd parent, const char* name) {
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    UniqueFd directory(openat(parent.number(), name, kFlags));
    if (!directory && errno == EACCES && fchmodat(parent.number(), name, 0700, 0) == 0)
      directory.reset(openat(parent.number(), name, kFlags));
    struct stat status {};
    if (!directory || fstat(directory.number(), &status) != 0) {
      remember();
      return {};
    }
    // Not only to look into it: to take names out of it, too.
    if ((status.st_mode & 0700) != 0700) fchmod(directory.number(), 0700);
    return directory;
  }

  void empty(BorrowedFd top) {
    Listing names(top);
    if (!names) return remember();
    // What was moved up since it was opened may be in the listing or not.
    for (bool moved = true; moved; names.rewind()) {
      moved = false;
      while (const char* name = names.next()) {
        if (!is_full_directory(top, name)) continue;
        const UniqueFd directory = enter(top, name);
        if (!directory) continue;
        moved |= move_up(directory, top);
        if (unlinkat(top.number(), name, AT_REMOVEDIR) != 0) remember();
      }
    }
  }

  // Empties `directory`. True if something is left to do in `top`.
  bool move_up(BorrowedFd directory, BorrowedFd top) {
    Listing names(directory);
    if (!names) {
      remember();
      return false;
    }
    bool moved = false;
    while (const char* name = names.next()) {
      if (!is_full_directory(directory, name)) continue;
      if (rename_into(directory, name, top)) {
        moved = true;
      } else {
        remember();
      }
    }
    return moved;
  }

  bool rename_into(BorrowedFd directory, const char* name, BorrowedFd top) {
    for (bool opened = false;;) {
      const std::string moved = std::to_string(next_++);
      if (renameat(directory.number(), name, top.number(), moved.c_str()) == 0) return true;
      if (errno == EACCES && !opened) {
        // To move a directory is to write its "..".
        opened = true;
        if (fchmodat(directory.number(), name, 0700, 0) != 0) return false;
      } else if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) {
        return false;
      }
    }
  }

  void remember() {
    if (error_ == 0) error_ = errno;
  }

  int error_ = 0;
  std::uint64_t next_ = 0;
};

}  // namespace

std::optional<std::vector<std::string>> names_in(BorrowedFd directory) {
  Listing listing(directory);
  if (!listing) return std::nullopt;
  std::vector<std::string> names;
  while (const char* name = listing.next()) names.emplace_back(name);
  return names;
}

bool remove_tree(BorrowedFd directory, const char* name) {
  TreeRemover remover;
  remover.remove(directory, name);
  errno = remover.error();
  return remover.error() == 0;
}

bool is_private(BorrowedFd directory) {
  struct stat status {};
  if (fstat(directory.number(), &status) != 0) return false;
  errno = 0;
  return status.st_uid == geteuid() && (status.st_mode & 077) == 0;
}

}  // namespace cove
