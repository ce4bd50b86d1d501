// The mounts, in the order they are made: ours first, then the spec's, parents before children.
#include <algorithm>
#include <array>

#include "runtime/model/check_spec.h"
#include "runtime/plan/draft.h"

namespace cove {
namespace {

// Docker's lists (moby, daemon/pkg/oci/defaults.go), without those of /sys, which is not mounted.
constexpr std::array<const char*, 10> kMaskedPaths{
    "/proc/acpi",       "/proc/asound",        "/proc/interrupts",  "/proc/kcore",
    "/proc/keys",       "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
    "/proc/timer_list", "/proc/timer_stats"};
constexpr std::array<const char*, 5> kReadOnlyPaths{"/proc/bus", "/proc/fs", "/proc/irq",
                                                    "/proc/sys", "/proc/sysrq-trigger"};

constexpr std::uint32_t kSticky = 01777;

MountPlan mount_of(MountKind kind, std::string target) {
  MountPlan mount;
  mount.kind = kind;
  mount.target = std::move(target);
  return mount;
}

MountPlan mount_of(MountKind kind, std::string target, std::uint32_t mode) {
  MountPlan mount = mount_of(kind, std::move(target));
  mount.mode = mode;
  return mount;
}

void mount_proc(Draft& draft) {
  std::vector<MountPlan>& mounts = draft.plan.mounts;
  mounts.push_back(mount_of(MountKind::proc, "/proc"));
  if (!draft.wanted(Protection::masked_paths)) return;
  const auto add = [&](MountKind kind, const char* path) {
    MountPlan mount = mount_of(kind, path);
    mount.read_only = true;
    mount.optional = true;  // kernels differ in what they have
    mounts.push_back(std::move(mount));
  };
  for (const char* path : kMaskedPaths) add(MountKind::mask, path);
  for (const char* path : kReadOnlyPaths) add(MountKind::read_only, path);
  // To the kernel, init belongs to the root of the user namespace that Cove was started in, to whom
  // it gives init's /proc directory. Where that root is the program, too, it could have init killed
  // first when memory is short (oom_score_adj).
  if (!draft.host.privileged && draft.host.uid == 0) add(MountKind::read_only, "/proc/1");
}

bool is_a_target(const Draft& draft, std::string_view path) {
  return std::any_of(draft.spec.mounts.begin(), draft.spec.mounts.end(),
                     [&](const MountSpec& m) { return normal_path(m.container_path) == path; });
}

// With a read-only root, what programs must be able to write.
void mount_scratch(Draft& draft) {
  if (!draft.plan.root.read_only) return;
  std::vector<MountPlan>& mounts = draft.plan.mounts;
  if (!is_a_target(draft, "/tmp")) mounts.push_back(mount_of(MountKind::scratch, "/tmp", kSticky));
  if (uses_default_workdir(draft) && !is_a_target(draft, kDefaultWorkdir)) {
    mounts.push_back(mount_of(MountKind::scratch, kDefaultWorkdir, 0777));
  }
}

// By it the JVM, Go and Node.js size themselves. A tree without the memory controller would tell
// them of no limit.
void mount_cgroup(Draft& draft) {
  const CgroupFacts& cgroup = draft.host.cgroup;
  const auto memory = cgroup.controllers.find("memory");
  if (!draft.plan.cgroup.parents.contains("") || memory == cgroup.controllers.end() ||
      memory->second.version != 2 || !memory->second.usable) {
    return;
  }
  MountPlan mount = mount_of(MountKind::cgroup, "/sys/fs/cgroup");
  mount.read_only = true;
  draft.plan.mounts.push_back(std::move(mount));
}

std::string mount_path(std::size_t index, const char* field) {
  return "$.mounts[" + std::to_string(index) + "]." + field;
}

void refuse_mount(Draft& draft, std::size_t index, const char* field, std::string what,
                  std::string hint) {
  draft.refuse(problem(ErrorCode::invalid_argument, "mount " + std::to_string(index),
                       mount_path(index, field), std::move(what), std::move(hint)));
}

MountPlan plan_bind(Draft& draft, std::size_t index, std::size_t source_index) {
  const MountSpec& spec = draft.spec.mounts[index];
  MountPlan mount = mount_of(MountKind::bind, normal_path(spec.container_path));
  mount.read_only = spec.read_only;
  mount.source = source_index;
  if (source_index >= draft.sources.size() ||
      draft.sources[source_index].host_path != spec.host_path) {
    draft.refuse(problem(ErrorCode::internal, "mount " + std::to_string(index),
                         mount_path(index, "host_path"),
                         "the facts of mount sources do not match the mounts",
                         "give one for each bind mount of the spec, in its order"));
    return mount;
  }

  const SourceFacts& source = draft.sources[source_index];
  // Files made inside belong to the source's owner outside, and the owner's own files can be read
  // inside.
  mount.idmapped = draft.plan.identity.mapping == IdMapping::range;
  mount.owner_uid = source.owner_uid;
  mount.owner_gid = source.owner_gid;
  if (source.kind == SourceKind::missing) {
    refuse_mount(draft, index, "host_path", "\"" + spec.host_path + "\" does not exist",
                 "make it first: Cove makes nothing on the host");
  } else if (source.kind == SourceKind::refused) {
    refuse_mount(draft, index, "host_path",
                 "\"" + spec.host_path + "\" cannot be mounted: " + source.reason,
                 "give a directory or a regular file that the caller may reach");
  } else if (!source.writable && !spec.read_only) {
    refuse_mount(draft, index, "host_path",
                 "\"" + spec.host_path + "\" is not writable by the caller",
                 "mount it read-only: " + spec.host_path + ":" + spec.container_path + ":ro");
  }
  return mount;
}

MountPlan plan_tmpfs(Draft& draft, std::size_t index) {
  const MountSpec& spec = draft.spec.mounts[index];
  MountPlan mount = mount_of(MountKind::tmpfs, normal_path(spec.container_path), kSticky);
  mount.read_only = spec.read_only;
  mount.size = spec.size.value_or(kDefaultTmpfs);
  // To the kernel a size of 0 is no limit at all.
  if (mount.size.count == 0)
    refuse_mount(draft, index, "size", "it is 0", "leave it out for 64 MiB");
  return mount;
}

void mount_specs(Draft& draft) {
  std::vector<MountPlan> mounts;
  std::size_t binds = 0;
  for (std::size_t index = 0; index < draft.spec.mounts.size(); ++index) {
    MountPlan mount = draft.spec.mounts[index].type == MountType::bind
                          ? plan_bind(draft, index, binds++)
                          : plan_tmpfs(draft, index);
    if (std::any_of(mounts.begin(), mounts.end(),
                    [&](const MountPlan& earlier) { return earlier.target == mount.target; })) {
      refuse_mount(draft, index, "container_path",
                   "\"" + mount.target + "\" is the target of an earlier mount too",
                   "leave one of them out");
    }
    mounts.push_back(std::move(mount));
  }
  std::stable_sort(mounts.begin(), mounts.end(), [](const MountPlan& a, const MountPlan& b) {
    const auto depth = [](const MountPlan& m) {
      return std::count(m.target.begin(), m.target.end(), '/');
    };
    return depth(a) < depth(b);
  });
  draft.plan.mounts.insert(draft.plan.mounts.end(), std::make_move_iterator(mounts.begin()),
                           std::make_move_iterator(mounts.end()));
}

}  // namespace

void plan_mounts(Draft& draft) {
  mount_proc(draft);
  draft.plan.mounts.push_back(mount_of(MountKind::devices, "/dev"));
  draft.plan.mounts.push_back(mount_of(MountKind::pts, "/dev/pts"));
  draft.plan.mounts.push_back(mount_of(MountKind::shared_memory, "/dev/shm", kSticky));
  mount_scratch(draft);
  mount_cgroup(draft);
  mount_specs(draft);
}

}  // namespace cove
