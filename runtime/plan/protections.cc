// What isolates the sandbox, and by which mechanism; what may be switched off, and what may not.
#include <algorithm>
#include <array>

#include "runtime/plan/draft.h"

namespace cove {
namespace {

constexpr std::array<Protection, 6> kAlwaysOwn{
    Protection::user_namespace, Protection::mount_namespace, Protection::pid_namespace,
    Protection::ipc_namespace,  Protection::uts_namespace,   Protection::cgroup_namespace};

// The rest of Cove leans on what is not in this list: without a user namespace, say, uid 0 inside
// is root.
constexpr std::array<Protection, 6> kMayBeOff{Protection::network,
                                              Protection::seccomp,
                                              Protection::setuid_files,
                                              Protection::masked_paths,
                                              Protection::nested_user_namespaces,
                                              Protection::private_rootfs};

void refuse_forbidden_off(Draft& draft) {
  for (const auto& [protection, requirement] : draft.spec.require) {
    const bool may = is_limit(protection) ||
                     std::find(kMayBeOff.begin(), kMayBeOff.end(), protection) != kMayBeOff.end();
    if (requirement != Requirement::off || may) continue;
    const std::string name(to_string(protection));
    draft.refuse(problem(ErrorCode::invalid_argument, "require", "$.require." + name,
                         "it cannot be switched off", "leave it out, or say preferred"));
  }
}

void plan_namespaces(Draft& draft) {
  if (!draft.host.user_namespaces) {
    // Not a loss that may be preferred: nothing else keeps uid 0 inside from being root outside.
    draft.refuse(problem(ErrorCode::isolation_unavailable, "user_namespace", "user namespaces",
                         "they cannot be had: " + draft.host.user_namespaces_reason,
                         "see `cove doctor`"));
  }
  for (const Protection protection : kAlwaysOwn) {
    draft.plan.namespaces.push_back(protection);
    draft.hold(protection, "namespace");
  }
}

void plan_ids(Draft& draft) {
  if (draft.plan.identity.mapping == IdMapping::range) {
    draft.hold(Protection::uid_separation, "uid-range");
    draft.hold(Protection::supplementary_groups, "setgroups");
    return;
  }
  if (draft.plan.identity.mapping == IdMapping::subordinate) {
    draft.lose(Protection::uid_separation,
               {"all sandboxes of one user share its subordinate ids", "run as root"});
    draft.hold(Protection::supplementary_groups, "setgroups");
    return;
  }
  draft.lose(Protection::uid_separation,
             {"all sandboxes of one user run under its own id", "run as root"});
  draft.lose(
      Protection::supplementary_groups,
      {"a plain user without subordinate ids cannot drop its groups; the sandbox keeps their "
       "access to mounted directories",
       "give it subordinate ids (see `cove doctor`), or run as root"});
}

Loss no_filters() {
  return {"the kernel has no seccomp filters", "use a kernel with CONFIG_SECCOMP_FILTER"};
}

// A setuid file that the payload leaves in a directory of the host is run by others there.
void plan_setuid_files(Draft& draft) {
  if (!draft.wanted(Protection::setuid_files)) return;
  if (!has_writable_bind(draft)) {
    draft.hold(Protection::setuid_files, "no-writable-bind");
  } else if (draft.host.seccomp) {
    draft.plan.seccomp.push_back("no-setuid-files");
    draft.hold(Protection::setuid_files, "filter:no-setuid-files");
  } else {
    draft.lose(Protection::setuid_files, no_filters());
  }
}

// What is only watched is not held: nothing is said to be enforced.
void plan_trace(Draft& draft, const std::string& filter) {
  if (draft.wanted(Protection::seccomp)) {
    draft.refuse(
        problem(ErrorCode::invalid_argument, "seccomp", "$.seccomp_mode",
                "\"trace\" lets every system call through, and counts those that the filter "
                "refuses",
                "add \"require\": {\"seccomp\": \"off\"} (--danger-no-seccomp)"));
  } else if (!draft.host.seccomp) {
    const Loss loss = no_filters();
    draft.refuse(problem(ErrorCode::isolation_unavailable, "seccomp", "$.seccomp_mode",
                         "no filter can be traced: " + loss.reason, loss.cure));
  }
  draft.plan.seccomp_trace = filter;
}

void plan_filter(Draft& draft) {
  const std::string name = draft.spec.seccomp.value_or("default");
  if (draft.spec.seccomp_mode == SeccompMode::trace) return plan_trace(draft, name);
  if (!draft.wanted(Protection::seccomp)) return;
  if (!draft.host.seccomp) return draft.lose(Protection::seccomp, no_filters());
  draft.plan.seccomp.push_back(name);
  draft.hold(Protection::seccomp, "filter:" + name);
}

// Last the one that may refuse seccomp(2), with which filters are loaded: `strict` does.
void plan_filters(Draft& draft) {
  plan_setuid_files(draft);
  plan_filter(draft);
}

// Whether the copies are reflinks, which share blocks on the disk but no page of memory, is known
// when they are made.
void plan_private_rootfs(Draft& draft) {
  if (!draft.spec.private_rootfs.value_or(false) || !draft.wanted(Protection::private_rootfs))
    return;
  if (draft.spec.rootfs) {
    draft.lose(Protection::private_rootfs,
               {"a directory (--rootfs) is shown as it is; only an image's layers are copied",
                "load it as an image: cove image import DIR"});
    return;
  }
  if (draft.host.copies_directory.empty()) {
    draft.lose(Protection::private_rootfs,
               {"no directory for the copies is known", "name one with --scratch"});
    return;
  }
  draft.plan.root.copies_directory = draft.host.copies_directory;
  draft.hold(Protection::private_rootfs, "copy");
}

// What a file says is its author's business.
bool filter_forbids_namespaces(const Draft& draft) {
  if (!draft.holds(Protection::seccomp)) return false;
  const std::string& name = draft.plan.seccomp.back();
  return name == "default" || name == "strict";
}

}  // namespace

void plan_protections(Draft& draft) {
  refuse_forbidden_off(draft);
  plan_namespaces(draft);
  plan_ids(draft);
  draft.hold(Protection::no_new_privs, "prctl");
  plan_filters(draft);
  if (draft.wanted(Protection::masked_paths)) draft.hold(Protection::masked_paths, "mounts");
  if (draft.wanted(Protection::nested_user_namespaces)) {
    draft.hold(Protection::nested_user_namespaces,
               filter_forbids_namespaces(draft) ? "sysctl+filter" : "sysctl");
  }
  plan_private_rootfs(draft);
}

}  // namespace cove
