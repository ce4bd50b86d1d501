#include "runtime/launch/launch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "runtime/identity/id_map.h"
#include "runtime/identity/subordinate_ids.h"
#include "runtime/init/build_root.h"
#include "runtime/init/init.h"
#include "runtime/kernel/message.h"
#include "runtime/kernel/syscalls.h"
#include "runtime/launch/layer_keeper.h"
#include "runtime/mount/mount.h"

namespace cove {
namespace {

Error launch_error(std::string step, std::string what) {
  return errno_error(ErrorCode::setup_failed, std::move(step), std::move(what));
}

// "/usr/lib" -> "usr/lib": relative to a root directory's descriptor; "/" -> ".".
std::string relative(const std::string& path) {
  return path == "/" ? "." : path.substr(path.find_first_not_of('/'));
}

// A path that was resolved before. A link in it now was put there since, and is refused; so is
// anything else than what was looked at then.
Result<UniqueFd> find_again(BorrowedFd root, const SourceFacts& source) {
  UniqueFd found(kernel::openat2(root.number(), relative(source.resolved_path).c_str(),
                                 O_PATH | O_CLOEXEC, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS));
  struct stat status {};
  if (!found || fstat(found.number(), &status) != 0) {
    Error error = launch_error("mount", "open the source again");
    error.where = source.host_path;
    return fail(std::move(error));
  }
  if (status.st_dev != source.device || status.st_ino != source.inode) {
    return fail(Error{ErrorCode::setup_failed,
                      "mount",
                      ESTALE,
                      "the source was replaced while the sandbox was being prepared",
                      source.host_path,
                      "",
                      {}});
  }
  return found;
}

Result<std::vector<UniqueFd>> clone_all(BorrowedFd root, const std::vector<std::string>& paths,
                                        Recursive recursive) {
  std::vector<UniqueFd> mounts;
  for (const std::string& path : paths) {
    auto mount = clone_mount(root, relative(path).c_str(), recursive);
    if (!mount) return fail(mount.error());
    mounts.push_back(std::move(*mount));
  }
  return mounts;
}

std::vector<std::string> copied_layers(const Plan& plan) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < plan.root.layers.size(); ++i) names.push_back(layer_copy(i));
  return names;
}

std::uint64_t namespace_flags(const Plan& plan) {
  const auto wanted = [&](Protection protection) {
    return std::find(plan.namespaces.begin(), plan.namespaces.end(), protection) !=
           plan.namespaces.end();
  };
  // The network namespace takes longest: init makes it itself, while the launcher makes the root.
  // The cgroup namespace must wait until the program is in its group.
  std::uint64_t flags = 0;
  if (wanted(Protection::user_namespace)) flags |= CLONE_NEWUSER;
  if (wanted(Protection::mount_namespace)) flags |= CLONE_NEWNS;
  if (wanted(Protection::pid_namespace)) flags |= CLONE_NEWPID;
  if (wanted(Protection::ipc_namespace)) flags |= CLONE_NEWIPC;
  if (wanted(Protection::uts_namespace)) flags |= CLONE_NEWUTS;
  return flags;
}

// A cloned init that is killed and reaped unless it is released.
class NewInit {
 public:
  NewInit(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  NewInit(const NewInit&) = delete;
  ~NewInit() {
    if (!pidfd_) return;
    kernel::pidfd_send_signal(pidfd_.number(), SIGKILL);
    kernel::reap(pidfd_.number());
  }
  pid_t pid() const { return pid_; }
  UniqueFd release() { return std::move(pidfd_); }

 private:
  pid_t pid_;
  UniqueFd pidfd_;
};

Error clone_error(int number) {
  Error error;
  error.code = ErrorCode::isolation_unavailable;
  error.step = "clone";
  error.sys_errno = number;
  error.what = "clone3 with the sandbox's namespaces";
  if (number == EPERM) error.hint = "user namespaces are forbidden here; run `cove doctor`";
  if (number == ENOSPC)
    error.hint = "user.max_user_namespaces or a relative is reached; raise it with sysctl";
  if (number == EAGAIN)
    error.hint = "a limit on processes is reached: ulimit -u, or pids.max of this process's cgroup";
  if (number == EACCES) error.hint = "the cgroup could not be entered at birth";
  return error;
}

Result<void> map_ids(const Ground& ground, const LaunchInputs& inputs, pid_t pid) {
  const IdentityPlan& identity = inputs.plan.identity;
  if (const auto first_id = inputs.belongings.first_id()) {
    const IdMap range{{0, *first_id, kMappedIds}};
    return write_id_maps(ground.host_proc(), pid, range, range, SetGroups::keep);
  }
  if (identity.mapping == IdMapping::subordinate) {
    if (ground.no_subordinate_ids()) return fail(*ground.no_subordinate_ids());
    const IdMap same = same_subordinate_ids();
    return write_id_maps(ground.host_proc(), pid, same, same, SetGroups::keep);
  }
  return write_id_maps(ground.host_proc(), pid, {{identity.uid, ground.own_uid(), 1}},
                       {{identity.gid, ground.own_gid(), 1}}, SetGroups::deny);
}

HostIds host_ids(const Ground& ground, const LaunchInputs& inputs) {
  const IdentityPlan& identity = inputs.plan.identity;
  if (identity.mapping == IdMapping::single)
    return {ground.own_uid(), ground.own_gid(), ground.own_uid(), ground.own_gid()};
  const std::uint32_t first = inputs.belongings.first_id().value_or(0);
  return {first, first, first + identity.uid, first + identity.gid};
}

// If init is gone, what it said last explains more than our broken pipe.
Error explain(const UniqueFd& control, Error otherwise) {
  auto message = receive_message(control, Wait::poll);
  if (!message || message->body.empty()) return otherwise;
  MessageReader reader(message->body);
  if (reader.u32() != static_cast<std::uint32_t>(Report::failed)) return otherwise;
  auto report = decode_failed(reader);
  return report ? to_error(*report) : otherwise;
}

}  // namespace

Result<AcquiredMounts> acquire_mounts(const Plan& plan, const std::vector<SourceFacts>& sources,
                                      const std::vector<UniqueFd>& opened, BorrowedFd root,
                                      FindBinds find, BorrowedFd copies) {
  AcquiredMounts acquired;
  // A plain user may copy a mount only with everything that is mounted below it.
  const Recursive layers_recursive = find == FindBinds::by_path ? Recursive::yes : Recursive::no;
  auto layers = copies ? clone_all(copies, copied_layers(plan), layers_recursive)
                       : clone_all(root, plan.root.layers, layers_recursive);
  if (!layers) return fail(layers.error());
  acquired.layers = std::move(*layers);
  auto directories = clone_all(root, plan.root.host_directories, Recursive::yes);
  if (!directories) return fail(directories.error());
  acquired.directories = std::move(*directories);

  acquired.binds.resize(sources.size());
  for (const MountPlan& mount : plan.mounts) {
    if (!mount.source) continue;
    const std::size_t index = *mount.source;
    UniqueFd again;
    if (find == FindBinds::by_path) {
      auto found = find_again(root, sources[index]);
      if (!found) return fail(found.error());
      again = std::move(*found);
    }
    auto copy = clone_mount(find == FindBinds::by_path ? again : opened[index], "", Recursive::yes);
    if (!copy) {
      copy.error().where = sources[index].host_path;
      return fail(copy.error());
    }
    acquired.binds[index] = std::move(*copy);
  }
  return acquired;
}

Result<Launched> launch_sandbox(const Ground& ground, LaunchInputs inputs) {
  Launched launched;
  const auto mark = [&](const char* name) {
    launched.milestones.push_back({name, monotonic_now()});
  };
  auto sockets = make_socket_pair();
  if (!sockets) return fail(sockets.error());
  Result<SocketPair> link;
  if (inputs.plan.uplink) {
    link = make_socket_pair();
    if (!link) return fail(link.error());
  }

  int pidfd = -1;
  clone_args args{};
  args.flags = namespace_flags(inputs.plan) | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  if (inputs.init_group) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<std::uint64_t>(inputs.init_group.number());
  }
  // exit_signal 0: no SIGCHLD, and no plain wait of the caller's reaps it.
  const pid_t pid = kernel::clone3(args);
  if (pid < 0) return fail(clone_error(errno));
  if (pid == 0)
    run_init({inputs.plan,
              sockets->second,
              {inputs.belongings.record_file, inputs.belongings.slots},
              inputs.filters,
              inputs.network,
              link->second});
  NewInit init(pid, UniqueFd(pidfd));
  sockets->second.reset();
  launched.control = std::move(sockets->first);
  link->second.reset();
  launched.link = std::move(link->first);
  mark("clone3");

  if (auto done = map_ids(ground, inputs, init.pid()); !done) return fail(done.error());
  MessageWriter maps;
  maps.u32(static_cast<std::uint32_t>(Order::maps));
  if (auto done = send_message(launched.control, maps.body()); !done)
    return fail(explain(launched.control, done.error()));
  mark("id maps");

  UniqueFd user_namespace;
  if (inputs.plan.root.idmapped) {
    auto opened = open_user_namespace(ground.host_proc(), init.pid());
    if (!opened) return fail(opened.error());
    user_namespace = std::move(*opened);
  }
  auto root =
      prepare_root(inputs.plan, std::move(inputs.mounts), host_ids(ground, inputs), user_namespace,
                   ground.host_proc(), ground.host_root(), inputs.device_nodes, inputs.disk);
  if (!root) return fail(root.error());
  mark("root");

  std::vector<BorrowedFd> fds;
  const std::string body = encode_mounts(*root, fds);
  if (auto done = send_message(launched.control, body, fds); !done)
    return fail(explain(launched.control, done.error()));
  launched.scratch = std::move(root->scratch);
  launched.pidfd = init.release();
  mark("hand over");
  return launched;
}

}  // namespace cove
