#include "runtime/identity/id_map.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "runtime/kernel/syscalls.h"

namespace cove {
namespace {

Error map_error(std::string what) {
  return errno_error(ErrorCode::setup_failed, "id map", std::move(what));
}

Result<void> write_proc_file(BorrowedFd proc, pid_t pid, const char* name,
                             const std::string& text) {
  const std::string path = std::to_string(pid) + "/" + name;
  const UniqueFd file(openat(proc.number(), path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file || write(file.number(), text.data(), text.size()) < 0) {
    return fail(map_error("write \"" + text + "\" to " + name));
  }
  return {};
}

std::string lines(const IdMap& map) {
  std::string text;
  for (const IdRange& range : map) {
    text += (text.empty() ? "" : "\n") + std::to_string(range.inside) + " " +
            std::to_string(range.outside) + " " + std::to_string(range.count);
  }
  return text;
}

// What holds a namespace open until its descriptor is; ends with its parent.
[[noreturn]] void hold_namespace(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(0);
  for (;;) pause();
}

}  // namespace

Result<void> write_id_maps(BorrowedFd proc, pid_t pid, const IdMap& uids, const IdMap& gids,
                           SetGroups set_groups) {
  if (set_groups == SetGroups::deny) {
    if (auto done = write_proc_file(proc, pid, "setgroups", "deny"); !done) return done;
  }
  if (auto done = write_proc_file(proc, pid, "uid_map", lines(uids)); !done) return done;
  return write_proc_file(proc, pid, "gid_map", lines(gids));
}

Result<UniqueFd> open_user_namespace(BorrowedFd proc, pid_t pid) {
  const std::string path = std::to_string(pid) + "/ns/user";
  UniqueFd file(openat(proc.number(), path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail(map_error("open the user namespace"));
  return file;
}

Result<UniqueFd> make_user_namespace(BorrowedFd proc, const IdRange& uids, const IdRange& gids) {
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_NEWUSER | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  const pid_t parent = getpid();
  const pid_t pid = kernel::clone3(args);
  if (pid < 0) return fail(map_error("clone3 a user namespace"));
  if (pid == 0) hold_namespace(parent);

  const UniqueFd holder(pidfd);
  auto written = write_id_maps(proc, pid, {uids}, {gids}, SetGroups::keep);
  auto opened = open_user_namespace(proc, pid);
  kernel::pidfd_send_signal(holder.number(), SIGKILL);
  siginfo_t ignored{};
  waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(holder.number()), &ignored,
         WEXITED | __WALL);
  if (!written) return fail(written.error());
  return opened;
}

}  // namespace cove
