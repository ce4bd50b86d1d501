#include "images/unpack/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

namespace cove {
namespace {

constexpr std::size_t kShown = 200;

bool empty_directory(BorrowedFd parent, const char* name) {
  // Trees of ours may hold directories that their owner may not enter (an image's mode 0000).
  UniqueFd directory(
      openat(parent.number(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory && errno == EACCES && fchmodat(parent.number(), name, 0700, 0) == 0) {
    directory.reset(openat(parent.number(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  if (!directory) return false;
  const int number = directory.number();
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(directory.release()), closedir);
  if (!stream) return false;
  while (const dirent* entry =
             readdir(stream.get())) {  // NOLINT(concurrency-mt-unsafe): a stream of our own
    const std::string_view child = entry->d_name;
    if (child == "." || child == "..") continue;
    if (!remove_tree(BorrowedFd(number), entry->d_name)) return false;
  }
  return true;
}

}  // namespace

bool remove_tree(BorrowedFd directory, const char* name) {
  if (unlinkat(directory.number(), name, 0) == 0 || errno == ENOENT) return true;
  if (errno == EACCES && fchmod(directory.number(), 0700) == 0 &&
      unlinkat(directory.number(), name, 0) == 0)
    return true;
  if (errno != EISDIR && errno != EPERM && errno != EACCES) return false;
  return empty_directory(directory, name) && unlinkat(directory.number(), name, AT_REMOVEDIR) == 0;
}

std::string shown_name(std::string_view text) {
  std::string shown(text.substr(0, kShown));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  }
  return text.size() > kShown ? shown + "..." : shown;
}

}  // namespace cove
