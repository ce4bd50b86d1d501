#include "images/layout/growing_file.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace cove {
namespace {

constexpr char kMore = '+', kComplete = '.';

void tell(BorrowedFd writing, char what) {
  while (write(writing.number(), &what, 1) < 0 && errno == EINTR) {
  }
}

}  // namespace

void tell_growth(BorrowedFd writing) {
  int unread = 0;  // the reader was told, and has not looked yet
  if (ioctl(writing.number(), FIONREAD, &unread) == 0 && unread > 0) return;
  tell(writing, kMore);
}

void tell_complete(BorrowedFd writing) { tell(writing, kComplete); }

Growth wait_for_growth(BorrowedFd reading) {
  std::array<char, 16> told{};
  for (;;) {
    const ssize_t got = read(reading.number(), told.data(), told.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Growth::broken;
    const auto end = told.begin() + got;
    return std::find(told.begin(), end, kComplete) != end ? Growth::complete : Growth::more;
  }
}

}  // namespace cove
