// A filter with a listener: seccomp_unotify(2).
//
// A program that is traced loads its filter with a listener, by which the kernel asks about every
// call that would be refused, and the supervisor answers. From then on any call of ours between
// here and execve(2), and that one too, may wait for an answer: so the listener goes up first, by
// calls that are never asked about (runtime/seccomp/trace.h).
#pragma once

#include <linux/filter.h>

#include <vector>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

// In the process that is to become the program, once nothing else is to be loaded. `filter`: of
// tracing_filter(). Sends the listener over `link`, a seqpacket socket, and keeps no copy: where the
// supervisor is gone, calls fail, and nothing waits for ever.
Result<void> load_traced_filter(const std::vector<sock_filter>& filter, BorrowedFd link);

}  // namespace cove
