#include "runtime/mount/remove_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <optional>

namespace cove {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

class TreeRemover {
 public:
  void remove(BorrowedFd parent, const std::string& name, const std::string& path) {
    if (unlinkat(parent.number(), name.c_str(), 0) == 0 || errno == ENOENT) return;
    if (errno != EISDIR && errno != EPERM) return remember("unlink", path);
    empty(parent, name, path);
    if (unlinkat(parent.number(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
      remember("rmdir", path);
  }
  std::optional<Error> first_error() const { return first_error_; }

 private:
  void empty(BorrowedFd parent, const std::string& name, const std::string& path) {
    const int fd =
        openat(parent.number(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return remember("open", path);
    const std::unique_ptr<DIR, CloseDirectory> listing(fdopendir(fd));
    if (!listing) return remember("list", path);
    while (const dirent* entry = readdir(listing.get())) {
      const std::string child = entry->d_name;
      if (child != "." && child != "..") remove(BorrowedFd(fd), child, path + "/" + child);
    }
  }

  void remember(const char* what, const std::string& path) {
    if (first_error_) return;
    first_error_ = errno_error(ErrorCode::setup_failed, "scratch", what);
    first_error_->where = path;
  }

  std::optional<Error> first_error_;
};

}  // namespace

Result<void> remove_tree(BorrowedFd parent, const std::string& name) {
  TreeRemover remover;
  remover.remove(parent, name, name);
  if (remover.first_error()) return fail(*remover.first_error());
  return {};
}

}  // namespace cove
