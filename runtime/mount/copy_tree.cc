#include "runtime/mount/copy_tree.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>

#include "runtime/kernel/directory.h"

namespace cove {
namespace {

constexpr mode_t kKeptModes = 0777;
constexpr int kMaxDepth = 64;

class TreeCopier {
 public:
  explicit TreeCopier(const TreeCopy& copy) : copy_(copy) {}

  // `source` and `target` are directories; `path` is what the source is called.
  Result<void> copy_directory(BorrowedFd source, BorrowedFd target, const std::string& path,
                              int depth) {
    if (depth > kMaxDepth) return {};
    for (const std::string& name : names_in(source).value_or(std::vector<std::string>{})) {
      if (auto done = copy_entry(source, target, path, name, depth); !done) return done;
    }
    return {};
  }

 private:
  Result<void> copy_entry(BorrowedFd source, BorrowedFd target, const std::string& parent,
                          const std::string& name, int depth) {
    const std::string path = parent + "/" + name;
    struct stat status {};
    if (copy_.left_out.count(path) != 0 ||
        fstatat(source.number(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      return {};
    if (S_ISLNK(status.st_mode)) return copy_link(source, target, path, name);
    if (S_ISREG(status.st_mode)) return copy_file(source, target, path, name);
    if (!S_ISDIR(status.st_mode)) return {};
    const UniqueFd from(
        openat(source.number(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!from) return {};
    if (mkdirat(target.number(), name.c_str(), status.st_mode & kKeptModes) != 0 && errno != EEXIST)
      return failed("make the directory", path);
    const UniqueFd to(
        openat(target.number(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!to) return failed("open the copy", path);
    if (auto done = give(to, path); !done) return done;
    return copy_directory(from, to, path, depth + 1);
  }

  Result<void> copy_link(BorrowedFd source, BorrowedFd target, const std::string& path,
                         const std::string& name) {
    std::array<char, PATH_MAX> text{};
    if (readlinkat(source.number(), name.c_str(), text.data(), text.size() - 1) < 0) return {};
    if (symlinkat(text.data(), target.number(), name.c_str()) != 0)
      return errno == EEXIST ? Result<void>{} : failed("make the link", path);
    if (fchownat(target.number(), name.c_str(), copy_.uid, copy_.gid, AT_SYMLINK_NOFOLLOW) != 0)
      return failed("give to the sandbox", path);
    return {};
  }

  Result<void> copy_file(BorrowedFd source, BorrowedFd target, const std::string& path,
                         const std::string& name) {
    const UniqueFd from(
        openat(source.number(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status {};
    if (!from || fstat(from.number(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
    const UniqueFd to(openat(target.number(), name.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                             status.st_mode & kKeptModes));
    if (!to) return errno == EEXIST ? Result<void>{} : failed("make the file", path);
    for (;;) {
      const ssize_t sent = sendfile(to.number(), from.number(), nullptr, INT_MAX);
      if (sent < 0) return failed("copy", path);
      if (sent == 0) return give(to, path);
    }
  }

  Result<void> give(BorrowedFd fd, const std::string& path) {
    if (fchown(fd.number(), copy_.uid, copy_.gid) != 0) return failed("give to the sandbox", path);
    return {};
  }

  static Result<void> failed(std::string what, const std::string& path) {
    Error error = errno_error(ErrorCode::setup_failed, "root", std::move(what));
    error.where = path;
    return fail(std::move(error));
  }

  const TreeCopy& copy_;
};

}  // namespace

Result<void> copy_tree(const TreeCopy& copy) {
  return TreeCopier(copy).copy_directory(copy.source, copy.target, copy.shown, 0);
}

}  // namespace cove
