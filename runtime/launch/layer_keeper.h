// Copies of an image's layers for one sandbox (SandboxSpec::private_rootfs), and the process that
// makes, keeps and removes them: the keeper, a child of the launcher's.
//
//   engine  -- copy: layers, where to + a socket's end --->  launcher  -- clone -->  keeper
//   engine  <-- copied: how + the directory, or an error ------- that socket ------  keeper
//   engine  -- launch: ... + directory and its end of the socket -->  launcher
//
// A copy takes from milliseconds to seconds, during which the launcher serves others. The keeper
// stands on the launcher's ground, so that a plain user's keeper has a say over subordinate ids, and
// holds nothing but its end of the socket, what it copies, and the copy (a DiskScratch, whose mark
// and lock let the next keeper remove it where this one was killed). Once nobody has the other end,
// which is the engine until the launch and then the launcher until init is gone, it removes the copy
// and ends: also in the middle of making it.
#pragma once

#include <string>
#include <vector>

#include "cove/plan.h"
#include "cove/result.h"
#include "runtime/kernel/fd.h"
#include "runtime/launch/ground.h"
#include "runtime/mount/duplicate_tree.h"

namespace cove {

struct CopyOrder {
  Privilege privilege = Privilege::root;
  std::string base;                 // the directory that copies are made in, on the host
  std::vector<std::string> layers;  // on the host
  UniqueFd root;                    // the host's root directory as the caller sees it
  UniqueFd socket;                  // the keeper's end
};

struct LayerCopies {
  UniqueFd directory;  // has copies of the plan's layers by the names of layer_copy()
  UniqueFd keeper;     // the other end; the copies go when it is closed
  DuplicatedFiles files;
};

// What the copy of the plan's n-th layer is called.
std::string layer_copy(std::size_t index);

// Clones the keeper, which answers over the order's socket, and returns its pidfd; it gives no
// SIGCHLD. `host_network`: that of the host, if any, in place of the one that the launcher stands in
// just now.
Result<UniqueFd> start_keeper(const Ground& ground, const CopyOrder& order,
                              BorrowedFd host_network);

}  // namespace cove
