// From a plan to everything that a launch needs of the host: id range, record, cgroups, pipes,
// filters, mounts.
#pragma once

#include <linux/filter.h>

#include <optional>
#include <string>
#include <vector>

#include "cove/engine.h"
#include "runtime/cgroup/group_tree.h"
#include "runtime/engine/sources.h"
#include "runtime/init/protocol.h"
#include "runtime/state/belongings.h"
#include "runtime/state/state_directory.h"
#include "runtime/supervise/call_tracer.h"
#include "runtime/supervise/copier.h"

namespace cove {

struct ProgramPipes {
  TerminalUse terminal = TerminalUse::none;
  WindowSize window;
  UniqueFd in, out, err;             // the program's ends; none for what is the terminal
  std::optional<InputCopier> input;  // ours
  std::optional<OutputCopier> output, errors;
};

// Of a filter that is only asked. Its listener is sent over `programs` by the program that is to
// run under it.
struct PreparedTrace {
  TraceInputs ours;
  UniqueFd programs;
};

struct Prepared {
  Belongings belongings;
  Lease lease;  // dropped when the groups are of no more use
  GroupTree groups;
  std::vector<std::vector<sock_filter>> filters;  // with `trace`, the last one is the traced
  std::optional<PreparedTrace> trace;
  ProgramPipes pipes;
  std::vector<Milestone> milestones;
};

// In two parts. First what the launcher needs: filters, record, id range, init's group. `root`: the
// host's root directory.
Result<Prepared> prepare(const Plan& plan, const HostFacts& host, StateDirectory& state,
                         BorrowedFd root);
// Then, while the launcher is at work, what the program needs: its groups and its pipes. `null`:
// /dev/null. After an error, what belongs to the sandbox is still to be taken away.
Result<void> complete(const Plan& plan, const Streams& streams, BorrowedFd null,
                      Prepared& prepared);

// The order that starts the plan's program, with its descriptors.
std::string exec_order(const Plan& plan, const Prepared& prepared, std::vector<BorrowedFd>& fds);

}  // namespace cove
