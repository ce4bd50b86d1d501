// init: pid 1 of a sandbox. Our code, cloned from the launcher, never exec'd: it builds the sandbox
// from inside, starts the program, reaps, reports, and dies with the supervisor.
//
// It runs in a process of its own with a single thread and never returns. It holds no descriptor
// but those it is given, is not dumpable, and shows nothing of its caller in /proc. It talks over
// its control socket alone (protocol.h).
#pragma once

#include <linux/filter.h>

#include <vector>

#include "cove/plan.h"
#include "runtime/kernel/fd.h"

namespace cove {

enum class Network {
  make,       // a namespace of init's own, if the plan wants one
  inherited,  // init is cloned into one that was made ahead for it
};

struct InitInputs {
  const Plan& plan;
  BorrowedFd control;
  // Held open, and not otherwise used, for as long as the sandbox lives: locks on its record and
  // its uid range.
  std::vector<BorrowedFd> hold;
  const std::vector<std::vector<sock_filter>>& filters;
  Network network = Network::make;
  BorrowedFd link;  // to the launcher, where the plan has an uplink
};

[[noreturn]] void run_init(const InitInputs& inputs);

}  // namespace cove
