// The last steps before the program: from a process that init has just forked to execve(2).
#pragma once

#include <linux/filter.h>

#include <vector>

#include "cove/error.h"
#include "runtime/init/protocol.h"
#include "runtime/kernel/fd.h"

namespace cove {

struct PayloadFds {
  BorrowedFd in, out, err;
  BorrowedFd terminal;  // to become the controlling one; two or three of the streams are it too
  BorrowedFd trace;     // where the last filter has a listener: the link for it
  std::vector<BorrowedFd> v1_tasks;
};

// Gives everything up and becomes the program. Returns only if a step failed, with the reason.
Error become_payload(const ExecOrder& order, const PayloadFds& fds,
                     const std::vector<std::vector<sock_filter>>& filters);

}  // namespace cove
