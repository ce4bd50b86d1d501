// Reads what judge_host judges. Each file once, no process, no write.
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <tuple>

#include "cove/host.h"
#include "runtime/host/host_facts.h"
#include "runtime/host/network_facts.h"
#include "runtime/host/read_text.h"
#include "runtime/identity/subordinate_ids.h"
#include "runtime/kernel/fd.h"

namespace cove {
namespace {

// A group may hold thousands of processes; the first byte of the list is enough. A threaded group
// refuses the read (EOPNOTSUPP): it cannot be divided either.
bool has_processes(const std::string& directory) {
  const UniqueFd file(open((directory + "/cgroup.procs").c_str(), O_RDONLY | O_CLOEXEC));
  char byte = 0;
  return file && read(file.number(), &byte, 1) != 0;
}

bool may_write(const std::string& path) {
  return faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0;
}

GroupDirectory read_group(int version, const std::string& directory) {
  GroupDirectory group;
  struct stat status {};
  group.exists = stat(directory.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
  if (!group.exists) return group;
  group.writable = may_write(directory);
  if (version == 1) return group;
  group.procs_writable = may_write(directory + "/cgroup.procs");
  group.control_writable = may_write(directory + "/cgroup.subtree_control");
  group.controllers = read_text(directory + "/cgroup.controllers");
  group.subtree_control = read_text(directory + "/cgroup.subtree_control");
  // Only the root group lacks cgroup.events; a container's "/" has it.
  group.hierarchy_root = access((directory + "/cgroup.events").c_str(), F_OK) != 0;
  group.has_processes = !group.hierarchy_root && has_processes(directory);
  return group;
}

// Raw, because libcap's cap_get_proc allocates and says the same.
std::uint64_t effective_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  if (syscall(SYS_capget, &header, data.data()) != 0) return 0;
  return std::uint64_t{data[1].effective} << 32 | data[0].effective;
}

int allowed_cpus() {
  // Kernels are built for up to 8192 CPUs, and refuse a mask that is too small.
  std::array<cpu_set_t, 8> masks{};
  if (sched_getaffinity(0, sizeof masks, masks.data()) != 0) return 1;
  return CPU_COUNT_S(sizeof masks, masks.data());
}

bool has_overlay_module(const std::string& release) {
  for (const char* root : {"/lib/modules/", "/usr/lib/modules/"}) {
    if (access((root + release + "/kernel/fs/overlayfs").c_str(), F_OK) == 0) return true;
  }
  return false;
}

// What may change from one launch to the next.
HostTexts read_caller() {
  HostTexts texts;
  texts.uid = geteuid();
  texts.gid = getegid();
  texts.capabilities = effective_capabilities();
  texts.own_groups = read_text("/proc/self/cgroup");
  texts.cpu_count = allowed_cpus();
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) texts.open_files_hard = files.rlim_max;
  return texts;
}

// A helper raises its privilege by a set-user-ID bit or by file capabilities.
bool is_id_helper(const std::string& name) {
  for (const char* directory : {"/usr/bin/", "/bin/", "/usr/local/bin/"}) {
    const std::string path = directory + name;
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) continue;
    return (status.st_mode & S_ISUID) != 0 ||
           getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
  }
  return false;
}

void read_subordinate_ids(HostTexts& texts) {
  texts.subuid = read_text("/etc/subuid");
  texts.subgid = read_text("/etc/subgid");
  const std::string passwd = read_text("/etc/passwd");
  texts.login_name = user_name_of(passwd, texts.uid);
  texts.id_helpers = is_id_helper("newuidmap") && is_id_helper("newgidmap");
  texts.no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

// As sd-bus looks for it. Whether anybody listens is not asked.
std::string find_user_bus() {
  if (const char* address = getenv("DBUS_SESSION_BUS_ADDRESS"); address && *address != '\0')
    return address;
  const char* directory = getenv("XDG_RUNTIME_DIR");
  if (!directory || *directory != '/') return {};
  const std::string path = std::string(directory) + "/bus";
  struct stat status {};
  const bool there = stat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
  return there ? "unix:path=" + path : "";
}

UserManager read_user_manager(std::uint32_t uid) {
  if (uid == 0) return {};
  return {uid, find_user_bus(), {}};
}

bool same_caller(const HostTexts& one, const HostTexts& other) {
  const auto parts = [](const HostTexts& texts) {
    return std::tie(texts.uid, texts.gid, texts.capabilities, texts.own_groups, texts.cpu_count,
                    texts.open_files_hard);
  };
  return parts(one) == parts(other);
}

HostTexts read_host(HostTexts texts, const std::string& cgroup_parent) {
  utsname name{};
  if (uname(&name) == 0) {
    texts.kernel_release = name.release;
    texts.architecture = name.machine;
  }
  texts.uid_map = read_text("/proc/self/uid_map");
  texts.gid_map = read_text("/proc/self/gid_map");
  if (!is_privileged(texts)) read_subordinate_ids(texts);
  texts.max_user_namespaces = read_text("/proc/sys/user/max_user_namespaces");
  texts.unprivileged_userns_clone = read_text("/proc/sys/kernel/unprivileged_userns_clone");
  texts.apparmor_restriction = read_text("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
  if (!texts.apparmor_restriction.empty()) {
    texts.apparmor_label = read_text("/proc/self/attr/apparmor/current");
  }
  texts.seccomp_actions = read_text("/proc/sys/kernel/seccomp/actions_avail");
  texts.filesystems = read_text("/proc/filesystems");
  texts.overlay_module = texts.filesystems.find("\toverlay\n") == std::string::npos &&
                         has_overlay_module(texts.kernel_release);
  texts.mountinfo = read_text("/proc/self/mountinfo");
  texts.cgroup_parent = cgroup_parent;
  texts.manager = read_user_manager(texts.uid);
  struct sysinfo memory {};
  if (sysinfo(&memory) == 0) {
    texts.memory_total = std::uint64_t{memory.totalram} * memory.mem_unit;
    texts.swap_total = std::uint64_t{memory.totalswap} * memory.mem_unit;
  }
  return texts;
}

// A parent is below the mount points or nowhere: "/../../etc" would name a directory that is no
// group.
bool leaves_hierarchy(const std::string& cgroup_parent) {
  return ("/" + cgroup_parent + "/").find("/../") != std::string::npos ||
         cgroup_parent.find('\0') != std::string::npos;
}

// Blkio is no loss: v1 never had what io weights need.
bool lacks_something(const HostFacts& host) {
  return !host.user_namespaces || !host.cgroup.v2_usable ||
         std::any_of(host.cgroup.controllers.begin(), host.cgroup.controllers.end(),
                     [](const auto& controller) {
                       return !controller.second.usable && controller.first != "io";
                     });
}

}  // namespace

CallerRights caller_rights() {
  HostTexts texts;
  texts.uid = geteuid();
  texts.capabilities = effective_capabilities();
  texts.uid_map = read_text("/proc/self/uid_map");
  texts.gid_map = read_text("/proc/self/gid_map");
  if (is_privileged(texts)) return {true, {}};
  read_subordinate_ids(texts);
  std::string reason;
  return {false, judge_subordinate_ids(texts, reason)};
}

Result<HostFacts> gather_host_facts(const std::string& cgroup_parent,
                                    const std::vector<std::string>& env_allowlist) {
  auto host = HostFactsCache(cgroup_parent).gather(env_allowlist);
  if (host) gather_network_facts(*host);
  return host;
}

Result<HostFacts> HostFactsCache::gather(const std::vector<std::string>& env_allowlist) {
  if (leaves_hierarchy(cgroup_parent_)) {
    Error error;
    error.code = ErrorCode::invalid_argument;
    error.step = "cgroup parent";
    error.what = "the parent for cgroups must be a path below the hierarchies, without \"..\"";
    return fail(std::move(error));
  }
  HostTexts caller = read_caller();
  const std::lock_guard lock(mutex_);
  if (!facts_ || !same_caller(caller, caller_) || lacks_something(*facts_)) {
    const HostTexts texts = read_host(caller, cgroup_parent_);
    if (texts.own_groups.empty() && texts.mountinfo.empty()) {
      Error error;
      error.code = ErrorCode::setup_failed;
      error.step = "host";
      error.where = "/proc";
      error.what = "no procfs can be read there";
      error.hint = "mount it: mount -t proc proc /proc";
      return fail(std::move(error));
    }
    facts_ = judge_host(texts, read_group);
    caller_ = std::move(caller);
  }
  HostFacts host = *facts_;
  for (const std::string& variable : env_allowlist) {
    if (const char* value = getenv(variable.c_str())) host.environment[variable] = value;
  }
  return host;
}

Result<HostFacts> HostFactsCache::gather_without_scope(
    const std::vector<std::string>& env_allowlist, const std::string& refusal) {
  auto host = gather(env_allowlist);
  if (!host) return host;
  HostTexts texts = read_host(read_caller(), cgroup_parent_);
  texts.manager.refusal = refusal;
  host->cgroup = judge_host(texts, read_group).cgroup;
  return host;
}

void HostFactsCache::forget() {
  const std::lock_guard lock(mutex_);
  facts_.reset();
}

}  // namespace cove
