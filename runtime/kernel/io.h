// Pipes, and writing to whatever is open.
#pragma once

#include <string_view>

#include "runtime/kernel/fd.h"

namespace cove::kernel {

// All of `bytes`, however few of them write(2) takes at a time. False with errno.
bool write_all(BorrowedFd file, std::string_view bytes);

struct Pipe {
  UniqueFd reading, writing;
  explicit operator bool() const { return static_cast<bool>(reading); }
};
// Close-on-exec and blocking. None, with errno, where there can be none.
Pipe make_pipe();

}  // namespace cove::kernel
