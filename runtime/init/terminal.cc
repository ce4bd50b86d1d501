#include "runtime/init/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>

namespace cove {
namespace {

Error terminal_error(std::string what) {
  return errno_error(ErrorCode::setup_failed, "terminal", std::move(what));
}

}  // namespace

Result<Terminal> open_terminal(WindowSize window) {
  Terminal terminal;
  terminal.outside = UniqueFd(open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  if (!terminal.outside) return fail(terminal_error("open /dev/pts/ptmx"));
  int locked = 0;
  if (ioctl(terminal.outside.number(), TIOCSPTLCK, &locked) != 0)
    return fail(terminal_error("unlock"));
  // Not by its path: CVE-2025-52565 was a race for /dev/console.
  terminal.inside =
      UniqueFd(ioctl(terminal.outside.number(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal.inside) return fail(terminal_error("open the program's end"));
  set_window(terminal.inside, window);
  return terminal;
}

void set_window(BorrowedFd inside, WindowSize window) {
  winsize size{};
  size.ws_row = window.rows;
  size.ws_col = window.columns;
  (void)ioctl(inside.number(), TIOCSWINSZ, &size);  // of a size, nothing is refused
}

}  // namespace cove
