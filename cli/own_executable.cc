#include "cli/own_executable.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>

namespace cove::cli {
namespace {

constexpr const char* kLink = "/proc/self/exe";

}  // namespace

bool executable_is_in_own_root() {
  std::array<char, PATH_MAX> path{};
  if (readlink(kLink, path.data(), path.size() - 1) < 0)
    return errno == ENOENT;  // no procfs: not a sandbox of ours, and not a way to our file
  struct statx own {};
  struct statx named {};
  if (statx(AT_FDCWD, kLink, 0, STATX_INO | STATX_MNT_ID, &own) != 0 ||
      statx(AT_FDCWD, path.data(), AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_MNT_ID, &named) != 0)
    return false;
  // A bind may show the same file at the same path inside. It is another mount.
  return own.stx_ino == named.stx_ino && own.stx_dev_major == named.stx_dev_major &&
         own.stx_dev_minor == named.stx_dev_minor && own.stx_mnt_id == named.stx_mnt_id;
}

}  // namespace cove::cli
