// init's end of the way out of a sandbox; the launcher's is launch/uplink.h.
#pragma once

#include "cove/plan.h"
#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

// Of a process in the sandbox's own network namespace: prohibits what the plan blocks, and hands
// the namespaces to the launcher, for pasta.
Result<void> ask_for_uplink(const UplinkPlan& plan, BorrowedFd link);

// Until the interface is up, or the launcher says why it will not be. Does not return where the
// launcher is gone.
Result<void> await_uplink(BorrowedFd link);

}  // namespace cove
