#include "runtime/seccomp/read_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace cove {

Result<std::string> read_regular_file(BorrowedFd file, std::size_t limit) {
  struct stat status {};
  if (fstat(file.number(), &status) != 0) {
    return fail(errno_error(ErrorCode::internal, "seccomp", "fstat"));
  }
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "seccomp";
  if (!S_ISREG(status.st_mode)) {
    error.what = "is not a regular file";
    return fail(error);
  }

  // The size in `status` is not used: the file may grow meanwhile.
  std::string content;
  std::array<char, 16384> chunk;
  for (;;) {
    const ssize_t got = read(file.number(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno_error(ErrorCode::invalid_argument, "seccomp", "read"));
    if (got == 0) return content;
    content.append(chunk.data(), static_cast<std::size_t>(got));
    if (content.size() <= limit) continue;
    error.what = "has more than " + std::to_string(limit) + " bytes";
    return fail(error);
  }
}

}  // namespace cove
