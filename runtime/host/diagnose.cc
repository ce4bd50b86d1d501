// Facts into findings, one function a subject: what is there, what its lack costs, what to do.
#include <array>

#include "cove/host.h"
#include "runtime/host/cgroup_facts.h"
#include "runtime/host/kernel_version.h"
#include "runtime/host/network_facts.h"

namespace cove {
namespace {

Finding ok(std::string subject, std::string found) {
  return {std::move(subject), Severity::ok, std::move(found), {}, {}};
}

Finding kernel(const HostFacts& host) {
  const KernelVersion version = parse_kernel_version(host.kernel_release);
  const std::string found = "Linux " + host.kernel_release + " on " + host.architecture;
  if (version < kKernelForLaunch) {
    return {"kernel", Severity::broken, found,
            "no sandbox can run: clone3 (5.3), openat2 (5.6) and mount_setattr (5.12) are needed",
            "install a kernel of 5.14 or later"};
  }
  if (version < kKernelForCgroupKill) {
    return {"kernel", Severity::degraded, found,
            "no cgroup.kill, and RLIMIT_NPROC counts all of a user's processes, so it cannot stand "
            "in for a pids limit",
            "install a kernel of 5.14 or later"};
  }
  return ok("kernel", found);
}

Finding user_namespaces(const HostFacts& host) {
  if (host.user_namespaces) return ok("user namespaces", "available");
  struct Cure {
    const char* word;
    const char* cure;
  };
  static constexpr std::array<Cure, 3> kCures{{
      {"max_user_namespaces", "sysctl user.max_user_namespaces=15000"},
      {"unprivileged_userns_clone", "sysctl kernel.unprivileged_userns_clone=1, or run as root"},
      {"apparmor",
       "load an AppArmor profile with `userns,` for cove, or sysctl "
       "kernel.apparmor_restrict_unprivileged_userns=0, or run as root"},
  }};
  std::string cure = "use a kernel with CONFIG_USER_NS";
  for (const Cure& known : kCures) {
    if (host.user_namespaces_reason.find(known.word) != std::string::npos) cure = known.cure;
  }
  return {"user namespaces", Severity::broken, host.user_namespaces_reason, "no sandbox can run",
          std::move(cure)};
}

Finding uid_ranges(const HostFacts& host) {
  if (host.privileged) return ok("uid ranges", "each sandbox gets 65536 host ids of its own");
  const std::string costs =
      "uid_separation and supplementary_groups: all sandboxes of this user run under its own id, "
      "and images have one usable id";
  if (host.uid == 0) {
    return {"uid ranges", Severity::degraded,
            "root without the capabilities or the ids to give sandboxes ranges of their own", costs,
            "run outside of the container, or give it CAP_SYS_ADMIN, CAP_SETUID, CAP_SETGID and "
            "CAP_CHOWN in the host's user namespace"};
  }
  const std::string user = "uid " + std::to_string(host.uid) + ", a plain user";
  if (host.subordinate_ids) {
    return {"uid ranges", Severity::degraded,
            user + " with subordinate ids from " + std::to_string(host.subordinate_ids->first_uid),
            "uid_separation: all sandboxes of this user share its subordinate ids",
            "run as root, or keep to runs that trust one another"};
  }
  return {"uid ranges", Severity::degraded, user + "; " + host.subordinate_ids_reason, costs,
          "apt-get install uidmap, and as root: usermod --add-subuids 100000-165535 "
          "--add-subgids 100000-165535 USER; or run as root"};
}

Finding overlay(const HostFacts& host) {
  if (host.overlay) return ok("overlay", "available");
  return {"overlay", Severity::degraded, "the kernel has no overlayfs, nor a module for it",
          "images cannot be run; `--rootfs /` can", "modprobe overlay, or install linux-modules"};
}

Finding overlay_on_tmpfs(const HostFacts& host) {
  if (host.privileged) {
    return ok("overlay on tmpfs", "made by root, with marks that every kernel has");
  }
  if (host.tmpfs_user_xattr) return ok("overlay on tmpfs", "tmpfs has user xattrs");
  return {
      "overlay on tmpfs", Severity::degraded,
      "tmpfs has user xattrs since Linux 6.6, this is " + host.kernel_release,
      "what a plain user's sandboxes change in an image's root lies on disk, in /var/tmp/cove-" +
          std::to_string(host.uid_outside) + ", where `disk` does not limit it",
      "run with --read-only (/tmp and the workspace stay writable), as root, or on Linux 6.6"};
}

Finding seccomp(const HostFacts& host) {
  if (host.seccomp) return ok("seccomp", "filters available");
  return {"seccomp", Severity::degraded, "the kernel has no seccomp filters",
          "seccomp and setuid_files: every launch is refused unless both are preferred or off",
          "use a kernel with CONFIG_SECCOMP_FILTER"};
}

// The directory where groups are made; for what is in v2, as far as it is known before a launch.
std::string place_of_groups(const CgroupFacts& cgroup, int version, const std::string& mount_point,
                            const std::string& group) {
  const std::string path = mount_point + (group == "/" ? "" : group);
  return version == 2 && !cgroup.scope_bus.empty() ? "a scope of systemd's below " + path : path;
}

Finding cgroup_v2(const HostFacts& host) {
  const CgroupFacts& cgroup = host.cgroup;
  if (cgroup.v2_usable) {
    return ok("cgroup v2", "groups are made in " +
                               place_of_groups(cgroup, 2, cgroup.v2_mount_point, cgroup.v2_group));
  }
  return {"cgroup v2", Severity::degraded, cgroup.v2_reason,
          "cpu_timeout and CPU usage; a sandbox is ended through its pid namespace alone",
          cure_for_cgroup(cgroup.v2_reason, host.uid)};
}

Finding cgroup_kill(const HostFacts& host) {
  if (host.cgroup.v2_usable && host.cgroup.v2_kill) return ok("cgroup kill", "cgroup.kill exists");
  return {"cgroup kill", Severity::note,
          host.cgroup.v2_usable ? "cgroup.kill exists since Linux 5.14" : host.cgroup.v2_reason,
          "a sandbox is ended by killing pid 1 of its pid namespace, which is as sure and slower",
          host.cgroup.v2_usable ? "install a kernel of 5.14 or later"
                                : cure_for_cgroup(host.cgroup.v2_reason, host.uid)};
}

struct ControllerSubject {
  const char* name;
  const char* costs;  // where it cannot be used
};
constexpr std::array<ControllerSubject, 4> kControllerSubjects{{
    {"memory", "limits of memory and swap, peak memory, and the cause out_of_memory"},
    {"cpu", "limits cpus and cpu_weight"},
    {"pids", "the exact pids limit; RLIMIT_NPROC stands in where it counts for the sandbox alone"},
    {"io", "io_weight, and figures of block I/O"},
}};

Finding controller(const HostFacts& host, const ControllerSubject& subject) {
  const std::string title = std::string("cgroup ") + subject.name;
  const auto found = host.cgroup.controllers.find(subject.name);
  const ControllerFacts facts =
      found == host.cgroup.controllers.end() ? ControllerFacts{} : found->second;
  if (!facts.usable) {
    const std::string reason =
        facts.reason.empty() ? "no cgroup hierarchy is mounted that has it" : facts.reason;
    // No limit of I/O is on by default, so its lack alone takes nothing from an ordinary run.
    const bool io = subject.name == std::string_view("io");
    return {title, io ? Severity::note : Severity::degraded, reason, subject.costs,
            cure_for_cgroup(reason, host.uid)};
  }
  const std::string place =
      place_of_groups(host.cgroup, facts.version, facts.mount_point, facts.group);
  if (facts.version == 1) {
    return {title, Severity::note, "cgroup v1, in " + place,
            "nothing of the limit; its figures are v1's",
            "boot with systemd.unified_cgroup_hierarchy=1 for cgroup v2"};
  }
  return ok(title, "cgroup v2, in " + place);
}

Finding open_files(const HostFacts& host) {
  const std::string found = "hard limit of " + std::to_string(host.open_files_hard);
  if (host.open_files_hard >= 1024) return ok("open files", found);
  return {"open files", Severity::note, found, "sandboxes get no more than that",
          "raise it: ulimit -Hn 65536, or LimitNOFILE= of the service"};
}

// A note: no sandbox has a network by default.
Finding open_network(const HostFacts& host) {
  if (!host.pasta.empty()) return ok("open network", "through " + host.pasta);
  return {"open network", Severity::note,
          "no pasta: " + (host.pasta_reason.empty() ? "it was not looked for" : host.pasta_reason),
          "`--network open` is refused", cure_for_pasta(host.pasta_reason)};
}

}  // namespace

std::vector<Finding> diagnose(const HostFacts& host) {
  std::vector<Finding> findings{kernel(host),    user_namespaces(host),  uid_ranges(host),
                                overlay(host),   overlay_on_tmpfs(host), seccomp(host),
                                cgroup_v2(host), cgroup_kill(host)};
  for (const ControllerSubject& subject : kControllerSubjects) {
    findings.push_back(controller(host, subject));
  }
  findings.push_back(open_files(host));
  findings.push_back(open_network(host));
  return findings;
}

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::ok:
      return "ok";
    case Severity::note:
      return "note";
    case Severity::degraded:
      return "degraded";
    case Severity::broken:
      return "broken";
  }
  return "broken";
}

}  // namespace cove
