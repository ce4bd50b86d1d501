#include <linux/capability.h>

#include "runtime/host/host_facts.h"
#include "runtime/host/kernel_version.h"
#include "runtime/identity/own_id_map.h"
#include "runtime/identity/subordinate_ids.h"

namespace cove {
namespace {

bool has_capability(const HostTexts& texts, int capability) {
  return (texts.capabilities >> capability & 1) != 0;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ' || text.back() == '\0')) {
    text.remove_suffix(1);
  }
  return text;
}

// Why a user namespace cannot be made; empty where it can, as far as can be read.
std::string why_no_user_namespaces(const HostTexts& texts) {
  if (texts.max_user_namespaces.empty()) return "the kernel is built without user namespaces";
  if (trimmed(texts.max_user_namespaces) == "0") return "user.max_user_namespaces is 0";
  if (has_capability(texts, CAP_SYS_ADMIN)) return {};
  if (trimmed(texts.unprivileged_userns_clone) == "0") {
    return "kernel.unprivileged_userns_clone is 0";
  }
  // Such a namespace can be made, but gives no capability in it. A profile that allows `userns`
  // lifts that; only a process under no profile at all is surely held by it.
  if (trimmed(texts.apparmor_restriction) == "1" &&
      (trimmed(texts.apparmor_label) == "unconfined" || texts.apparmor_label.empty())) {
    return "kernel.apparmor_restrict_unprivileged_userns is 1, and no AppArmor profile allows it";
  }
  return {};
}

}  // namespace

bool is_privileged(const HostTexts& texts) {
  return texts.uid == 0 && has_capability(texts, CAP_SYS_ADMIN) &&
         has_capability(texts, CAP_SETUID) && has_capability(texts, CAP_SETGID) &&
         has_capability(texts, CAP_CHOWN) && maps_slot_ids(texts.uid_map) &&
         maps_slot_ids(texts.gid_map);
}

std::optional<SubordinateIds> judge_subordinate_ids(const HostTexts& texts, std::string& reason) {
  const auto uid = first_subordinate_id(texts.subuid, texts.login_name, texts.uid);
  const auto gid = first_subordinate_id(texts.subgid, texts.login_name, texts.uid);
  if (!uid || !gid) {
    reason = std::string(uid ? "/etc/subgid" : "/etc/subuid") + " gives uid " +
             std::to_string(texts.uid) + " no 65535 ids";
  } else if (!texts.id_helpers) {
    reason = "newuidmap and newgidmap are not installed, or not set-user-ID";
  } else if (!maps_ids(texts.uid_map, *uid, kMappedIds - 1) ||
             !maps_ids(texts.gid_map, *gid, kMappedIds - 1)) {
    reason =
        "/etc/subuid and /etc/subgid give ids that this process's user namespace does not have";
  } else if (texts.no_new_privs) {
    reason = "no_new_privs is set for this process, so newuidmap gets no privilege";
  } else {
    return SubordinateIds{*uid, *gid};
  }
  return std::nullopt;
}

HostFacts judge_host(const HostTexts& texts, const GroupReader& read_group) {
  const KernelVersion kernel = parse_kernel_version(texts.kernel_release);
  HostFacts host;
  host.kernel_release = texts.kernel_release;
  host.architecture = texts.architecture;
  host.uid = texts.uid;
  host.gid = texts.gid;
  host.uid_outside = id_in_parent(texts.uid_map, texts.uid);
  host.privileged = is_privileged(texts);
  host.can_mknod =
      host.privileged && has_capability(texts, CAP_MKNOD) && is_initial_id_map(texts.uid_map);
  if (!host.privileged)
    host.subordinate_ids = judge_subordinate_ids(texts, host.subordinate_ids_reason);
  host.user_namespaces_reason = why_no_user_namespaces(texts);
  host.user_namespaces = host.user_namespaces_reason.empty();
  host.seccomp = texts.seccomp_actions.find("errno") != std::string::npos;
  // Mounting loads the module by itself, for a plain user in a user namespace too.
  host.overlay = texts.filesystems.find("\toverlay\n") != std::string::npos || texts.overlay_module;
  host.tmpfs_user_xattr = kernel >= kKernelForTmpfsXattr;
  host.cpu_count = texts.cpu_count;
  host.memory_total = Bytes{texts.memory_total};
  host.swap_total = Bytes{texts.swap_total};
  host.open_files_hard = texts.open_files_hard;
  host.cgroup = describe_cgroups({texts.mountinfo, texts.own_groups, texts.manager},
                                 texts.cgroup_parent, kernel, read_group);
  return host;
}

}  // namespace cove
