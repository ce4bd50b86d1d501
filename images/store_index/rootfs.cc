// describe_rootfs: what a plain directory, or the host itself, offers as a root filesystem.

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include "cove/image.h"
#include "images/store_index/files.h"

namespace cove {
namespace {

// The host's own tools and what they need. Not here: everything that holds somebody's data.
constexpr std::array<const char*, 9> kHostDirectories{
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/etc"};

constexpr std::size_t kDirentBuffer = 32 * 1024;
constexpr int kMaxDepth = 64;

struct Dirent64 {  // linux_dirent64, getdents64(2)
  ino64_t inode;
  off64_t offset;
  unsigned short length;
  unsigned char type;
  char name[1];
};

// A walk below /etc that lists what others may not read. Whatever cannot be judged (a mount point,
// an entry that vanished, a directory that cannot be listed) is listed too: the list hides.
class HiddenPaths {
 public:
  std::vector<std::string> walk(const std::string& top) {
    const UniqueFd directory(open(top.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    struct statx status {};
    if (!directory || statx(directory.number(), "", AT_EMPTY_PATH, STATX_MNT_ID, &status) < 0)
      return {top};
    mount_ = status.stx_mnt_id;
    list(directory, top, 0);
    std::sort(hidden_.begin(), hidden_.end());
    return std::move(hidden_);
  }

 private:
  void list(BorrowedFd directory, const std::string& path, int depth) {
    // One buffer per level: a level reads on after its children were walked.
    std::vector<char> buffer(kDirentBuffer);
    for (;;) {
      const long size = syscall(SYS_getdents64, directory.number(), buffer.data(), buffer.size());
      if (size < 0) hidden_.push_back(path);
      if (size <= 0) return;
      for (long at = 0; at < size;) {
        const auto* entry = reinterpret_cast<const Dirent64*>(buffer.data() + at);
        at += entry->length;
        look_at(directory, path, entry->name, entry->type, depth);
      }
    }
  }

  void look_at(BorrowedFd directory, const std::string& parent, const char* name,
               unsigned char type, int depth) {
    const std::string_view text = name;
    if (text == "." || text == ".." || type == DT_LNK) return;
    std::string path = parent + "/" + name;
    struct statx status {};
    const int got =
        statx(directory.number(), name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
              STATX_TYPE | STATX_MODE | STATX_MNT_ID, &status);
    if (got < 0 || status.stx_mnt_id != mount_) return hidden_.push_back(std::move(path));
    const mode_t mode = status.stx_mode;
    if (S_ISLNK(mode)) return;
    if (S_ISREG(mode) && (mode & S_IROTH)) return;
    if (!S_ISDIR(mode) || (mode & (S_IROTH | S_IXOTH)) != (S_IROTH | S_IXOTH) ||
        depth >= kMaxDepth) {
      return hidden_.push_back(std::move(path));
    }
    const UniqueFd child(
        openat(directory.number(), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!child) return hidden_.push_back(std::move(path));
    list(child, path, depth + 1);
  }

  std::uint64_t mount_ = 0;
  std::vector<std::string> hidden_;
};

ImageFacts host_tools(BorrowedFd root) {
  ImageFacts facts;
  facts.name = "/";
  facts.layers = {"/"};
  facts.host_tools = true;
  for (const char* directory : kHostDirectories) {
    struct stat status {};
    if (lstat(directory, &status) < 0) continue;
    if (S_ISDIR(status.st_mode)) facts.host_directories.emplace_back(directory);
    if (!S_ISLNK(status.st_mode)) continue;
    std::array<char, PATH_MAX> target{};
    const ssize_t length = readlink(directory, target.data(), target.size() - 1);
    if (length > 0)
      facts.host_links.emplace_back(directory,
                                    std::string(target.data(), static_cast<std::size_t>(length)));
  }
  facts.hidden_paths = HiddenPaths().walk("/etc");
  facts.passwd = read_accounts_file(root, "etc/passwd");
  facts.group = read_accounts_file(root, "etc/group");
  return facts;
}

Error rootfs_error(const std::string& directory, std::string what, std::string hint) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "rootfs";
  error.where = directory;
  error.what = std::move(what);
  error.hint = std::move(hint);
  return error;
}

}  // namespace

Result<ImageFacts> describe_rootfs(const std::string& directory) {
  if (!directory.starts_with('/')) {
    return fail(
        rootfs_error(directory, "is not an absolute path", "write the whole path of a directory"));
  }
  const UniqueFd root(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) {
    if (errno == ENOTDIR) return fail(rootfs_error(directory, "is not a directory", ""));
    Error error = errno_error(ErrorCode::invalid_argument, "rootfs", "open");
    error.where = directory;
    return fail(error);
  }
  // "/." or a link or bind mount of "/" is the host all the same, and may not pass as an ordinary
  // directory.
  struct stat status {
  }, host{};
  if (fstat(root.number(), &status) < 0 || stat("/", &host) < 0) {
    return fail(errno_error(ErrorCode::invalid_argument, "rootfs", "stat " + directory));
  }
  if (status.st_dev == host.st_dev && status.st_ino == host.st_ino) return host_tools(root);

  ImageFacts facts;
  facts.name = directory;
  facts.layers = {directory};
  facts.passwd = read_accounts_file(root, "etc/passwd");
  facts.group = read_accounts_file(root, "etc/group");
  return facts;
}

}  // namespace cove
