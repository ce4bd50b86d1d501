// The launcher: a small process, one per engine, from which every sandbox is cloned.
//
// It exists so that a caller with much memory and many threads pays nothing for a launch and leaks
// nothing into a sandbox, and so that all code between clone3 and exec runs where no other thread
// can hold a lock. It is told what to mount, never what to run: arguments, environment and output
// pass it by.
//
//   caller  -- request: plan, id range, filters, mounts + fds -->  launcher
//   caller  <-- reply: milestones + pidfd, control, scratch; or an error --
//
// It ends when the caller's end of the socket is closed. It is a grandchild of the caller, whose
// child in between has ended at once: nothing of it appears in the caller's wait(-1), and no
// SIGCHLD comes of it. (A subreaper, which asked for orphans, gets this one.)
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "cove/result.h"
#include "runtime/launch/launch.h"

namespace cove {

// The caller's side. Thread-safe; requests are served one after the other.
class LauncherClient {
 public:
  // Starts `executable`, which must be cove-launcher.
  static Result<LauncherClient> start(const std::string& executable);
  LauncherClient(LauncherClient&& other) noexcept : socket_(std::move(other.socket_)) {}

  // As launch_sandbox. `sources`: what a plain user's launcher must find by itself
  // (FindBinds::by_path); with privilege, `inputs.mounts` is complete.
  Result<Launched> launch(LaunchInputs inputs, const std::vector<SourceFacts>& sources);

 private:
  explicit LauncherClient(UniqueFd socket) : socket_(std::move(socket)) {}
  UniqueFd socket_;
  std::mutex mutex_;
};

// The launcher's side: serves requests on `socket` until the caller is gone. Returns the exit
// status.
int serve_launches(UniqueFd socket);

}  // namespace cove
