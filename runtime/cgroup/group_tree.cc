#include "runtime/cgroup/group_tree.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

#include "runtime/cgroup/file.h"

namespace cove {
namespace {

constexpr std::chrono::milliseconds kRemovalPause{1};

Error group_error(std::string what, std::string where) {
  Error error = errno_error(ErrorCode::setup_failed, "cgroup", std::move(what));
  error.where = std::move(where);
  return error;
}

// "/sys/fs/cgroup" as a name below the root directory's descriptor.
const char* below_root(const std::string& path) { return path.c_str() + 1; }

Result<UniqueFd> open_directory(BorrowedFd root, const std::string& path) {
  UniqueFd fd(openat(root.number(), below_root(path), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail(group_error("open the cgroup directory", path));
  return fd;
}

// Makes `name` in `parent` and opens it. `path`: the same for errors.
Result<UniqueFd> make_group(BorrowedFd parent, const std::string& name, const std::string& path) {
  constexpr mode_t kMode = 0755;
  if (mkdirat(parent.number(), name.c_str(), kMode) != 0)
    return fail(group_error("make the cgroup", path));
  UniqueFd group(openat(parent.number(), name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct stat status {};
  if (!group || fstat(group.number(), &status) != 0)
    return fail(group_error("open the cgroup", path));
  // The caller's umask is not ours to change; a sandbox that may not look into its own group cannot
  // mount it.
  if ((status.st_mode & 07777) != kMode && fchmodat(parent.number(), name.c_str(), kMode, 0) != 0)
    return fail(group_error("chmod the cgroup", path));
  return group;
}

// Controllers for the children of `group`. One write per controller, so that an error names the one
// that is at fault; one that is enabled already is no error.
Result<void> delegate(BorrowedFd group, const std::vector<std::string>& controllers) {
  for (const std::string& controller : controllers) {
    if (auto done = write_group_file(group, "cgroup.subtree_control", "+" + controller); !done)
      return done;
  }
  return {};
}

Result<void> write_limit(BorrowedFd group, const LimitPlan& limit) {
  auto done = write_group_file(group, limit.file.c_str(), limit.value);
  if (!done) {
    done.error().code = ErrorCode::limit_not_enforceable;
    done.error().step = "limit " + std::string(to_string(limit.protection));
  }
  return done;
}

// The v1 controller of a limit's file: "memory.limit_in_bytes" is "memory", "cpu.cfs_quota_us" is
// "cpu".
std::string controller_of(const std::string& file) { return file.substr(0, file.find('.')); }

bool kill_group(BorrowedFd group) {
  return write_group_file(group, "cgroup.kill", "1").has_value();
}

// For a group whose hierarchy has no cgroup.kill (v1).
void kill_each(BorrowedFd group) {
  const std::string pids = read_group_file(group, "cgroup.procs");
  for (const char* at = pids.c_str(); *at != '\0';) {
    char* end = nullptr;
    const long pid = std::strtol(at, &end, 10);
    if (end == at) break;
    if (pid > 0) kill(static_cast<pid_t>(pid), SIGKILL);
    at = *end == '\n' ? end + 1 : end;
  }
}

}  // namespace

std::vector<std::string> GroupTree::paths(const CgroupPlan& plan, const std::string& sandbox_id) {
  std::vector<std::string> all;
  for (const auto& [controller, parent] : plan.parents) {
    const std::string top = parent + "/cove-" + sandbox_id;
    if (controller.empty()) {
      for (const char* below : {"/payload/main", "/payload", "/init"}) all.push_back(top + below);
    }
    all.push_back(top);
  }
  return all;
}

Result<GroupTree> GroupTree::begin(BorrowedFd root, const CgroupPlan& plan,
                                   const std::string& sandbox_id) {
  GroupTree tree;
  tree.root_ = root;
  tree.name_ = "cove-" + sandbox_id;
  const auto parent = plan.parents.find("");
  if (parent == plan.parents.end()) return tree;
  auto directory = open_directory(root, parent->second);
  if (!directory) return fail(directory.error());
  if (auto done = delegate(*directory, plan.v2_delegate); !done) return fail(done.error());
  auto top = make_group(*directory, tree.name_, parent->second + "/" + tree.name_);
  if (!top) return fail(top.error());
  tree.top_ = std::move(*top);
  // Without controllers the rule that processes are in leaves does not hold.
  if (plan.v2_delegate.empty()) return tree;
  if (auto done = delegate(tree.top_, plan.v2_delegate); !done) return fail(done.error());
  auto init = make_group(tree.top_, "init", parent->second + "/" + tree.name_ + "/init");
  if (!init) return fail(init.error());
  tree.init_ = std::move(*init);
  return tree;
}

Result<void> GroupTree::complete(const CgroupPlan& plan, const std::vector<LimitPlan>& limits,
                                 std::optional<std::uint32_t> owner) {
  if (top_) {
    if (auto done = complete_v2(plan, limits, owner); !done) return done;
  }
  return complete_v1(plan, limits);
}

Result<void> GroupTree::complete_v2(const CgroupPlan& plan, const std::vector<LimitPlan>& limits,
                                    std::optional<std::uint32_t> owner) {
  const std::string path = plan.parents.at("") + "/" + name_ + "/payload";
  auto payload = make_group(top_, "payload", path);
  if (!payload) return fail(payload.error());
  payload_ = std::move(*payload);
  if (!plan.v2_delegate.empty()) {
    if (auto done = delegate(payload_, plan.v2_delegate); !done) return done;
    auto main = make_group(payload_, "main", path + "/main");
    if (!main) return fail(main.error());
    main_ = std::move(*main);
  }
  for (const LimitPlan& limit : limits) {
    if (limit.mechanism != "cgroup-v2" || limit.file.empty()) continue;
    for (BorrowedFd group : {payload_.borrow(), main_.borrow()}) {
      if (!group) continue;
      if (auto done = write_limit(group, limit); !done) return done;
      if (limit.protection != Protection::memory) continue;
      if (auto done = write_group_file(group, "memory.oom.group", "1"); !done) return done;
    }
  }
  if (!owner) return {};
  // clone3(CLONE_INTO_CGROUP) by init needs to write to both the target's and the common ancestor's
  // file.
  for (BorrowedFd group : {top_.borrow(), main_group()}) {
    if (fchownat(group.number(), "cgroup.procs", *owner, *owner, 0) != 0)
      return fail(group_error("give cgroup.procs to the sandbox's root", path));
  }
  return {};
}

Result<void> GroupTree::complete_v1(const CgroupPlan& plan, const std::vector<LimitPlan>& limits) {
  for (const auto& [controller, parent] : plan.parents) {
    if (controller.empty()) continue;
    auto group = make_group(root_, below_root(parent) + ("/" + name_), parent + "/" + name_);
    if (!group) return fail(group.error());
    for (const LimitPlan& limit : limits) {
      if (limit.mechanism != "cgroup-v1" || controller_of(limit.file) != controller) continue;
      if (auto done = write_limit(*group, limit); !done) return done;
    }
    UniqueFd tasks(openat(group->number(), "tasks", O_WRONLY | O_CLOEXEC));
    if (!tasks) return fail(group_error("open tasks", parent + "/" + name_));
    v1_tasks_.push_back(std::move(tasks));
    v1_.emplace(controller, std::move(*group));
  }
  return watch_v1_oom();
}

Result<void> GroupTree::watch_v1_oom() {
  const auto memory = v1_.find("memory");
  if (memory == v1_.end()) return {};
  v1_oom_event_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  v1_oom_control_ =
      UniqueFd(openat(memory->second.number(), "memory.oom_control", O_RDONLY | O_CLOEXEC));
  if (!v1_oom_event_ || !v1_oom_control_)
    return fail(group_error("watch memory.oom_control", "memory.oom_control"));
  return write_group_file(
      memory->second, "cgroup.event_control",
      std::to_string(v1_oom_event_.number()) + " " + std::to_string(v1_oom_control_.number()));
}

std::vector<BorrowedFd> GroupTree::v1_tasks() const { return {v1_tasks_.begin(), v1_tasks_.end()}; }

bool GroupTree::kill_payload() const { return payload_ && kill_group(payload_); }

GroupStatistics GroupTree::statistics() const {
  GroupStatistics stats;
  if (payload_) {
    const std::string cpu = read_group_file(payload_, "cpu.stat");
    stats.cpu_usec = find_key(cpu, "usage_usec");
    stats.user_usec = find_key(cpu, "user_usec");
    stats.system_usec = find_key(cpu, "system_usec");
    stats.memory_peak = read_group_number(payload_, "memory.peak");
    stats.pids_peak = read_group_number(payload_, "pids.peak");
    const std::string memory = read_group_file(payload_, "memory.events");
    stats.oom_kills = find_key(memory, "oom_kill").value_or(0);
    stats.own_limit_met = find_key(memory, "oom").value_or(0) > 0;
    stats.memory_limit_hits = find_key(memory, "max").value_or(0);
    // Kernels differ in whether a refused fork counts in the group with the limit or in that of the
    // process.
    for (BorrowedFd group : {payload_.borrow(), main_group()}) {
      const std::uint64_t hits = find_key(read_group_file(group, "pids.events"), "max").value_or(0);
      stats.pids_limit_hits = std::max(stats.pids_limit_hits, hits);
    }
  }
  if (const auto memory = v1_.find("memory"); memory != v1_.end()) {
    stats.memory_peak = read_group_number(memory->second, "memory.max_usage_in_bytes");
    stats.oom_kills =
        find_key(read_group_file(memory->second, "memory.oom_control"), "oom_kill").value_or(0);
    stats.memory_limit_hits = read_group_number(memory->second, "memory.failcnt").value_or(0);
    std::uint64_t events = 0;
    stats.own_limit_met =
        read(v1_oom_event_.number(), &events, sizeof events) == sizeof events && events > 0;
  }
  if (const auto pids = v1_.find("pids"); pids != v1_.end()) {
    stats.pids_peak = read_group_number(pids->second, "pids.peak");
    stats.pids_limit_hits =
        find_key(read_group_file(pids->second, "pids.events"), "max").value_or(0);
  }
  return stats;
}

Result<void> remove_groups(BorrowedFd root, const std::vector<std::string>& directories,
                           std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (const std::string& directory : directories) {
    while (unlinkat(root.number(), below_root(directory), AT_REMOVEDIR) != 0 && errno != ENOENT) {
      const Error busy = group_error("remove the cgroup", directory);
      if (busy.sys_errno != EBUSY) return fail(busy);
      const auto group = open_directory(root, directory);
      if (group && !kill_group(*group)) kill_each(*group);
      if (std::chrono::steady_clock::now() >= deadline) return fail(busy);
      std::this_thread::sleep_for(kRemovalPause);
    }
  }
  return {};
}

}  // namespace cove
