// From a plan to everything that a launch needs of the host: id range, record, cgroups, pipes,
// filters, mounts. All of it is owned by one value, so that an error on the way gives everything
// back.
#pragma once

#include <linux/filter.h>

#include <optional>
#include <string>
#include <vector>

#include "cove/engine.h"
#include "runtime/cgroup/group_tree.h"
#include "runtime/engine/sources.h"
#include "runtime/init/protocol.h"
#include "runtime/state/state_directory.h"
#include "runtime/supervise/copier.h"

namespace cove {

struct ProgramPipes {
  UniqueFd in, out, err;             // the program's ends
  std::optional<InputCopier> input;  // ours
  std::optional<OutputCopier> output, errors;
};

struct Prepared {
  std::string id;
  std::optional<Slot> slot;  // none: IdMapping::single
  UniqueFd record;
  GroupTree groups;
  std::vector<std::vector<sock_filter>> filters;
  ProgramPipes pipes;
  std::vector<Milestone> milestones;

  std::optional<std::uint32_t> first_id() const {
    return slot ? std::optional(slot->first_id()) : std::nullopt;
  }
};

// `root`: the host's root directory. `null`: /dev/null.
Result<Prepared> prepare(const Plan& plan, const Streams& streams, StateDirectory& state,
                         BorrowedFd root, BorrowedFd null);

// The order that starts the plan's program, with its descriptors.
std::string exec_order(const Plan& plan, const Prepared& prepared, std::vector<BorrowedFd>& fds);

}  // namespace cove
