// Mounts as descriptors (the mount API of Linux 5.2 and 5.12): made detached, given their
// attributes while nobody can see them, attached by descriptor. No function here takes a path that
// a program in a sandbox can change: targets are resolved inside a root by descriptor.
#pragma once

#include <sys/mount.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

// What is in every mount of a sandbox, unless it must be otherwise: devices need device files, and
// an image's own root may hold setuid programs, which no_new_privs disarms anyway.
inline constexpr std::uint64_t kSafeAttributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

enum class Recursive { no, yes };

// A detached copy of the mount that `path` (relative to `directory`; "" for `directory` itself)
// lies on, from that point down.
Result<UniqueFd> clone_mount(BorrowedFd directory, const char* path, Recursive recursive);

// Sets attributes of a mount that was cloned or made here; with a user namespace, idmaps it.
Result<void> set_mount_attributes(BorrowedFd mount, std::uint64_t set, Recursive recursive,
                                  BorrowedFd user_namespace = BorrowedFd());

// A new file system, detached. `options`: pairs for fsconfig; an empty value is a flag.
Result<UniqueFd> make_filesystem(const char* type,
                                 const std::vector<std::pair<std::string, std::string>>& options,
                                 std::uint64_t attributes);

// Attaches a detached mount on what `target` (relative to `directory`; "" for itself) names. Links
// are not followed.
Result<void> attach_mount(BorrowedFd mount, BorrowedFd directory, const char* target);

enum class TargetKind { directory, file };
enum class Missing {
  make,            // owned by this process
  make_as_parent,  // owned by whoever owns the directory that it is made in
  fail,
};
enum class Links {
  follow_in_root,  // the image's own links, resolved within the root
  refuse,  // ELOOP: for what Cove itself mounts (/proc, /dev), which an image may not redirect
};

// Opens `path` inside `root` (O_PATH): never a magic link, never out of the root. Missing
// components are made where `missing` says so: directories 0755, a file empty.
Result<UniqueFd> open_in_root(BorrowedFd root, const std::string& path, TargetKind kind,
                              Missing missing, Links links = Links::follow_in_root);

}  // namespace cove
