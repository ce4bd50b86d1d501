#include "images/store_index/files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>

namespace cove {

UniqueFd open_beneath(BorrowedFd directory, const char* path, std::uint64_t flags,
                      std::uint64_t resolve) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = resolve | RESOLVE_NO_MAGICLINKS;
  long fd = -1;
  // EAGAIN: something was renamed or mounted while an IN_ROOT walk met "..": ask again, a few
  // times.
  for (int attempt = 0; attempt < 32; ++attempt) {
    fd = syscall(SYS_openat2, directory.number(), path, &how, sizeof how);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return UniqueFd(static_cast<int>(fd));
}

Result<std::string> read_regular(BorrowedFd file, std::size_t cap, Oversize oversize,
                                 const std::string& name) {
  struct stat status {};
  if (fstat(file.number(), &status) < 0) {
    return fail(errno_error(ErrorCode::image_invalid, "", "stat " + name));
  }
  if (!S_ISREG(status.st_mode)) {
    errno = EINVAL;
    return fail(errno_error(ErrorCode::image_invalid, "", name + " is not a regular file"));
  }
  std::string text;
  const std::size_t expected = status.st_size < 0 ? 0 : static_cast<std::size_t>(status.st_size);
  text.resize(std::min(expected, cap) + 1);  // one more, to see the end, or that there is more
  std::size_t length = 0;
  for (;;) {
    const ssize_t got = read(file.number(), text.data() + length, text.size() - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno_error(ErrorCode::image_invalid, "", "read " + name));
    if (got == 0) break;
    length += static_cast<std::size_t>(got);
    if (length > cap) break;
    if (length == text.size()) text.resize(std::min(2 * length, cap) + 1);
  }
  text.resize(std::min(length, cap));
  if (length <= cap) return text;
  if (oversize == Oversize::refuse) {
    errno = EFBIG;
    return fail(errno_error(ErrorCode::image_invalid, "",
                            name + " is larger than " + std::to_string(cap) + " bytes"));
  }
  const std::size_t end = text.rfind('\n');
  text.resize(end == std::string::npos ? 0 : end + 1);
  return text;
}

std::string read_accounts_file(BorrowedFd root, const char* path) {
  const UniqueFd file = open_beneath(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, RESOLVE_IN_ROOT);
  if (!file) return {};
  return read_regular(file, kAccountsCap, Oversize::whole_lines, path).value_or(std::string());
}

Error storage_error(const char* step, const char* action, std::string where) {
  const bool no_space = errno == ENOSPC || errno == EDQUOT;
  Error error =
      errno_error(no_space ? ErrorCode::resource_exhausted : ErrorCode::setup_failed, step, action);
  error.where = std::move(where);
  return error;
}

}  // namespace cove
