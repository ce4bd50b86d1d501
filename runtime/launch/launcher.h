// The launcher: a small process, one per engine, from which every sandbox is cloned.
//
// It exists so that a caller with much memory and many threads pays nothing for a launch and leaks
// nothing into a sandbox, and so that all code between clone3 and exec runs where no other thread
// can hold a lock. It is told what to mount, never what to run: arguments, environment and output
// pass it by.
//
//   caller  -- prepare: with which privilege ------------------------>  launcher
//   caller  -- copy: layers, for the one sandbox (layer_keeper.h) --->  launcher
//   caller  -- launch: plan, belongings, filters, mounts + fds ------>  launcher
//   caller  <-- reply: milestones + pidfd, control, scratch; or an error --
//
// It is also who tidies up: when a sandbox's init is gone and the engine has no more use for its
// groups, the launcher removes what belonged to it. Nobody waits for that, and it happens as well
// behind a caller that was killed.
//
// It ends when the caller's end of the socket is closed and nothing is left to take away. Started
// from an executable it is a grandchild of the caller, whose child in between has ended at once:
// nothing of it appears in the caller's wait(-1), and no SIGCHLD comes of it. (A subreaper, which
// asked for orphans, gets this one.) Forked, it is a child like any other.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>

#include "cove/result.h"
#include "runtime/launch/launch.h"
#include "runtime/launch/layer_keeper.h"

namespace cove {

class LauncherClient;

// A launch that was asked for. The launcher works on it from now on, beside the caller.
class PendingLaunch {
 public:
  PendingLaunch(PendingLaunch&& other) noexcept
      : client_(std::exchange(other.client_, nullptr)), lock_(std::move(other.lock_)) {}
  ~PendingLaunch();  // what came of it is let go of
  // As launch_sandbox. Blocks for the reply; once.
  Result<Launched> finish();

 private:
  friend class LauncherClient;
  PendingLaunch(LauncherClient& client, std::unique_lock<std::mutex> lock)
      : client_(&client), lock_(std::move(lock)) {}
  LauncherClient* client_;
  std::unique_lock<std::mutex> lock_;
};

// The caller's side. Thread-safe; requests are served one after the other.
class LauncherClient {
 public:
  // Starts `executable`, which must be cove-launcher.
  static Result<LauncherClient> start(const std::string& executable);
  // A fork of this process, which must have a single thread.
  static Result<LauncherClient> fork_here();
  LauncherClient(LauncherClient&& other) noexcept
      : socket_(std::move(other.socket_)), pid_(other.pid_) {}

  // Of the launcher. It may have ended, and its number have been given away.
  pid_t pid() const { return pid_; }

  // Has the launcher get ready for launches on such a ground. There is no reply: what fails now
  // fails again, with a reply, in the launch.
  void prepare(const Standing& standing);

  // Has the plan's layers copied for one sandbox, and blocks until they are; other threads' launches go
  // on meanwhile. `root`: the host's root directory.
  Result<LayerCopies> copy_layers(const Plan& plan, BorrowedFd root);

  // `sources`: what a plain user's launcher must find by itself (FindBinds::by_path); with
  // privilege, `inputs.mounts` is complete.
  Result<PendingLaunch> launch(const LaunchInputs& inputs, const std::vector<SourceFacts>& sources);

  // Lets the launcher go, and waits until everything is taken away, or for `patience`.
  void leave(std::chrono::milliseconds patience);

 private:
  friend class PendingLaunch;
  LauncherClient(UniqueFd socket, pid_t pid) : socket_(std::move(socket)), pid_(pid) {}
  UniqueFd socket_;
  const pid_t pid_;
  std::mutex mutex_;
};

// How many launches a launcher expects: between many, it makes ready for the next.
enum class Expect { one, many };

// The launcher's side: serves requests on `socket` until the caller is gone and all is taken away.
// Returns the exit status.
int serve_launches(UniqueFd socket, Expect expect);

}  // namespace cove
