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

constexpr std::chrono::milliseconds kRemovalPatience{1000};
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

// Makes `path` and opens it; notes it for removal.
Result<UniqueFd> make_group(BorrowedFd root, const std::string& path,
                            std::vector<std::string>& directories) {
  // The caller's umask is not ours to change; a sandbox that may not look into its own group cannot
  // mount it.
  if (mkdirat(root.number(), below_root(path), 0755) != 0 ||
      fchmodat(root.number(), below_root(path), 0755, 0) != 0) {
    return fail(group_error("make the cgroup", path));
  }
  directories.insert(directories.begin(), path);
  return open_directory(root, path);
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

Result<GroupTree> GroupTree::create(BorrowedFd root, const CgroupPlan& plan,
                                    const std::vector<LimitPlan>& limits,
                                    const std::string& sandbox_id,
                                    std::optional<std::uint32_t> owner) {
  GroupTree tree;
  tree.root_ = root;
  const std::string name = "/cove-" + sandbox_id;
  if (auto made = tree.create_v2(plan, limits, name, owner); !made) return fail(made.error());
  if (auto made = tree.create_v1(plan, limits, name); !made) return fail(made.error());
  return tree;
}

Result<void> GroupTree::create_v2(const CgroupPlan& plan, const std::vector<LimitPlan>& limits,
                                  const std::string& name, std::optional<std::uint32_t> owner) {
  const auto parent = plan.parents.find("");
  if (parent == plan.parents.end()) return {};
  const std::string top_path = parent->second + name;
  if (!plan.v2_delegate.empty()) {
    auto opened = open_directory(root_, parent->second);
    if (!opened) return fail(opened.error());
    if (auto done = delegate(*opened, plan.v2_delegate); !done) return done;
  }
  auto top = make_group(root_, top_path, directories_);
  if (!top) return fail(top.error());
  if (auto done = delegate(*top, plan.v2_delegate); !done) return done;
  auto init = make_group(root_, top_path + "/init", directories_);
  if (!init) return fail(init.error());
  auto payload = make_group(root_, top_path + "/payload", directories_);
  if (!payload) return fail(payload.error());
  if (auto done = delegate(*payload, plan.v2_delegate); !done) return done;
  auto main = make_group(root_, top_path + "/payload/main", directories_);
  if (!main) return fail(main.error());

  for (const LimitPlan& limit : limits) {
    if (limit.mechanism != "cgroup-v2" || limit.file.empty()) continue;
    for (BorrowedFd group : {payload->borrow(), main->borrow()}) {
      if (auto done = write_limit(group, limit); !done) return done;
    }
    if (limit.protection != Protection::memory) continue;
    for (BorrowedFd group : {payload->borrow(), main->borrow()}) {
      if (auto done = write_group_file(group, "memory.oom.group", "1"); !done) return done;
    }
  }
  if (owner) {
    // clone3(CLONE_INTO_CGROUP) by init needs to write to both the target's and the common
    // ancestor's file.
    for (BorrowedFd group : {top->borrow(), main->borrow()}) {
      if (fchownat(group.number(), "cgroup.procs", *owner, *owner, 0) != 0) {
        return fail(group_error("give cgroup.procs to the sandbox's root", top_path));
      }
    }
  }
  init_ = std::move(*init);
  payload_ = std::move(*payload);
  main_ = std::move(*main);
  return {};
}

Result<void> GroupTree::create_v1(const CgroupPlan& plan, const std::vector<LimitPlan>& limits,
                                  const std::string& name) {
  for (const auto& [controller, parent] : plan.parents) {
    if (controller.empty()) continue;
    auto group = make_group(root_, parent + name, directories_);
    if (!group) return fail(group.error());
    for (const LimitPlan& limit : limits) {
      if (limit.mechanism != "cgroup-v1" || controller_of(limit.file) != controller) continue;
      if (auto done = write_limit(*group, limit); !done) return done;
    }
    UniqueFd tasks(openat(group->number(), "tasks", O_WRONLY | O_CLOEXEC));
    if (!tasks) return fail(group_error("open tasks", parent + name));
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
    for (BorrowedFd group : {payload_.borrow(), main_.borrow()}) {
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

Result<void> GroupTree::remove() {
  v1_tasks_.clear();
  v1_oom_event_.reset();
  v1_oom_control_.reset();
  auto removed = remove_groups(root_, directories_);
  directories_.clear();
  return removed;
}

GroupTree::~GroupTree() {
  // Whoever drops a tree without remove() is on an error path that has its own Error to return;
  // what cannot be removed now is on record for the collector.
  if (!directories_.empty()) (void)remove();
}

Result<void> remove_groups(BorrowedFd root, const std::vector<std::string>& directories) {
  const auto deadline = std::chrono::steady_clock::now() + kRemovalPatience;
  for (const std::string& directory : directories) {
    while (unlinkat(root.number(), below_root(directory), AT_REMOVEDIR) != 0 && errno != ENOENT) {
      if (errno != EBUSY || std::chrono::steady_clock::now() > deadline) {
        return fail(group_error("remove the cgroup", directory));
      }
      const auto group = open_directory(root, directory);
      if (group && !kill_group(*group)) kill_each(*group);
      std::this_thread::sleep_for(kRemovalPause);
    }
  }
  return {};
}

}  // namespace cove
