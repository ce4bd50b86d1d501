// A scope of systemd's user manager: the cgroup in which a plain user may make groups of its own.
//
// A login session's group belongs to root. The user's own service manager (user@UID.service) was
// given controllers to hand on, and moves a process of the user's into a scope that the user may
// divide (Delegate=yes), where it is asked to over D-Bus.
//
//   UID's user@.service/app.slice/cove-PID.scope/            what move_into_scope returns
//                                                launcher/   the process
//
// systemd removes the scope, with all that is in it, once its last process has ended.
#pragma once

#include <sys/types.h>

#include <string>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

struct ScopeInputs {
  BorrowedFd root;      // the host's root directory, from which all paths are looked up
  std::string bus;      // the address of the user's bus
  std::string manager;  // the directory of the user manager's group, ".../user@UID.service"
  pid_t pid = 0;        // whom to move; of the caller's user, and not in a scope yet
};

// Returns the scope's directory, which has no process in it, so that it may be divided. Blocks, for
// some seconds at most where nobody answers. Thread-safe. Errors: setup_failed without a step, with
// what systemd said as `what`.
Result<std::string> move_into_scope(const ScopeInputs& inputs);

}  // namespace cove
