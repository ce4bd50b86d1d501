// What keeps a process from all that its work does not need: one function for each protection, to be
// called in a process with one thread, in the order of this file. None can be taken back.
//
// Each returns false where this host refuses it; what that means is the caller's to decide
// (ConfinedProcess, confined.h, which applies them all).
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/kernel/fd.h"

namespace cove {

// What may be done by name below Needs::directory, and nowhere else.
enum class Writes {
  nothing,  // no name can be opened or made, there neither
  files,    // regular files may be made and written
  tree,     // and directories, links, fifos and whiteouts; also removed, and directories be listed
};

enum class Sockets {
  none,  // no socket of any kind
  // TCP connections to anywhere, and no TCP port to listen on. System calls are not filtered, and the
  // environment stays: name services and TLS call, and proxies are named, as they like.
  outgoing,
};

struct Needs {
  // Kept where the caller has them; nothing is gained. In `user_namespace` they are good for what
  // belongs to that alone.
  std::vector<int> capabilities;
  // The process becomes its root. None: it keeps its ids.
  BorrowedFd user_namespace;
  // Open descriptors that the work uses, `directory` not among them. All others are closed, 0 to 2
  // are /dev/null.
  std::vector<int> keep;
  // Where names may be used; none: nowhere.
  BorrowedFd directory;
  Writes writes = Writes::nothing;
  // Files, and directories with all below, that may be read: /etc/resolv.conf, say. Those that are
  // missing are passed over.
  std::vector<std::string> readable;
  Sockets sockets = Sockets::none;
  // Of a file that is written.
  std::uint64_t file_bytes = std::uint64_t{128} << 30;
  int descriptors = 32;  // that it may have beside those that are kept
  // Of the process's own memory: a zstd window (128 MiB), and what is told of a million directories.
  std::uint64_t memory_bytes = std::uint64_t{512} << 20;
};

// Closes everything but `keep` and `directory`; standard input, output and error become /dev/null.
bool close_other_descriptors(const Needs& needs);

// `directory` becomes the root: what Landlock does not know (chmod, chown, stat) does not get to
// other files either. Asks for CAP_SYS_CHROOT, if need be in a new user namespace.
bool change_root(const Needs& needs);

// no_new_privs, the capabilities that are named, no core, no ptrace by others of the same user.
bool drop_privileges(const Needs& needs);

// The environment's values are overwritten: they may hold passwords. (Copies that the process has
// made of them stay, as does all else that its memory held.)
void wipe_environment(const Needs& needs);

// Open files, core, memory, file size; threads where the ids are nobody else's.
bool limit_resources(const Needs& needs);

// Landlock: names as above; from Linux 6.7 on no TCP port (with Sockets::outgoing: none to listen on);
// from 6.12 on no abstract socket and no signal to who is not so confined.
bool restrict_names(const Needs& needs);
// Whether this kernel has as much of it as that needs (Linux 5.19: before that, it forbids every
// link into another directory).
bool has_landlock();

// A filter of system calls: what is not on its list ends the process. Not with Sockets::outgoing, and
// not in builds with
// sanitizers, whose own calls vary.
bool filter_calls(const Needs& needs);
bool filters_calls_in_this_build();
std::vector<sock_filter> call_filter(const Needs& needs, std::int32_t own_pid);

// Whether this process holds a capability (effective).
bool has_capability(int capability);

}  // namespace cove
