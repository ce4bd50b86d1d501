// The fields of every struct of the model, once. A visitor that is shown a struct gets each field
// in the order in which JSON writes them; json_write.cc, json_read.cc and wire.h are such visitors.
//
//   describe(visitor, mount);  // visitor.field("type", mount.type); visitor.field("host_path", ...
//
// A visitor has these members, each template enough for const and mutable values:
//   field(name, value)      any type of the model; nested structs through describe() again
//   required(name, value)   the same, for what a reader may not leave at its default
//   if_any(name, value)     the same, left out where it is empty
//   text(name, value)       a string for people: shown as UTF-8 even if bytes of it are lost
//   mode(name, value)       permission bits
//   limit(name, value)      an unsigned number in which kRlimitInfinity means none
//   stream(name, value)     a CapturedStream, spread over several names beginning with this one
#pragma once

#include <concepts>
#include <type_traits>

#include "cove/facts.h"
#include "cove/host.h"
#include "cove/plan.h"
#include "cove/sandbox_result.h"
#include "cove/spec.h"

namespace cove {

template <class T, class Struct>
concept MaybeConst = std::same_as<std::remove_const_t<T>, Struct>;

// --- the spec ---

template <class V, MaybeConst<MountSpec> S>
void describe(V& v, S& s) {
  v.field("type", s.type);
  v.field("host_path", s.host_path);
  v.field("container_path", s.container_path);
  v.field("read_only", s.read_only);
  v.field("size", s.size);
}

template <class V, MaybeConst<RlimitSpec> S>
void describe(V& v, S& s) {
  v.limit("soft", s.soft);
  v.limit("hard", s.hard);
}

template <class V, MaybeConst<ResourceSpec> S>
void describe(V& v, S& s) {
  v.field("cpus", s.cpus);
  v.field("memory", s.memory);
  v.field("swap", s.swap);
  v.field("pids_limit", s.pids_limit);
  v.field("disk", s.disk);
  v.field("output", s.output);
  v.field("output_policy", s.output_policy);
  v.field("open_files", s.open_files);
  v.field("cpu_weight", s.cpu_weight);
  v.field("io_weight", s.io_weight);
  v.field("rlimits", s.rlimits);
}

template <class V, MaybeConst<StdinNone> S>
void describe(V&, S&) {}

template <class V, MaybeConst<StdinInherit> S>
void describe(V&, S&) {}

template <class V, MaybeConst<StdinData> S>
void describe(V& v, S& s) {
  v.field("data", s.bytes);
}

template <class V, MaybeConst<SandboxSpec> S>
void describe(V& v, S& s) {
  v.field("spec_version", s.spec_version);
  v.field("description", s.description);
  v.field("profile", s.profile);
  v.field("image", s.image);
  v.field("rootfs", s.rootfs);
  v.field("entrypoint", s.entrypoint);
  v.field("command", s.command);
  v.field("workdir", s.workdir);
  v.field("user", s.user);
  v.field("hostname", s.hostname);
  v.field("env", s.env);
  v.field("env_allowlist", s.env_allowlist);
  v.field("stdin", s.stdin_source);
  v.field("tty", s.tty);
  v.field("mounts", s.mounts);
  v.field("resources", s.resources);
  v.field("timeout", s.timeout);
  v.field("cpu_timeout", s.cpu_timeout);
  v.field("grace", s.grace);
  v.field("network", s.network);
  v.field("private_networks", s.private_networks);
  v.field("read_only", s.read_only);
  v.field("private_rootfs", s.private_rootfs);
  v.field("seccomp", s.seccomp);
  v.field("seccomp_mode", s.seccomp_mode);
  v.field("capabilities", s.capabilities);
  v.field("require", s.require);
}

// --- the result ---

template <class V, MaybeConst<Error> S>
void describe(V& v, S& s) {
  v.required("code", s.code);
  v.text("step", s.step);
  v.field("errno", s.sys_errno);
  v.text("message", s.what);
  v.text("where", s.where);
  v.text("hint", s.hint);
  v.if_any("more", s.more);
}

template <class V, MaybeConst<Usage> S>
void describe(V& v, S& s) {
  v.field("cpu_ms", s.cpu_ms);
  v.field("user_ms", s.user_ms);
  v.field("system_ms", s.system_ms);
  v.field("peak_memory_bytes", s.peak_memory_bytes);
  v.field("scratch_bytes", s.scratch_bytes);
  v.field("peak_pids", s.peak_pids);
  v.field("io_read_bytes", s.io_read_bytes);
  v.field("io_write_bytes", s.io_write_bytes);
}

template <class V, MaybeConst<Events> S>
void describe(V& v, S& s) {
  v.field("oom_kills", s.oom_kills);
  v.field("pids_limit_hits", s.pids_limit_hits);
  v.field("disk_full", s.disk_full);
  v.field("memory_high", s.memory_high);
}

template <class V, MaybeConst<Degradation> S>
void describe(V& v, S& s) {
  v.required("protection", s.protection);
  v.text("reason", s.reason);
}

template <class V, MaybeConst<TracedCall> S>
void describe(V& v, S& s) {
  v.required("syscall", s.syscall);
  v.field("architecture", s.architecture);
  v.field("answer", s.answer);
  v.field("count", s.count);
}

template <class V, MaybeConst<SeccompTrace> S>
void describe(V& v, S& s) {
  v.field("filter", s.filter);
  v.field("calls", s.calls);
  v.field("other_calls", s.other_calls);
}

template <class V, MaybeConst<SandboxResult> S>
void describe(V& v, S& s) {
  v.required("process_status", s.process_status);
  v.required("cause", s.cause);
  v.field("exit_code", s.exit_code);
  v.field("signal", s.signal);
  v.stream("stdout", s.stdout_stream);
  v.stream("stderr", s.stderr_stream);
  v.field("duration_ms", s.duration_ms);
  v.field("startup_ms", s.startup_ms);
  v.field("steps", s.steps);
  v.field("usage", s.usage);
  v.field("events", s.events);
  v.field("enforced", s.enforced);
  v.field("degraded", s.degraded);
  v.field("sandbox_id", s.sandbox_id);
  v.field("image_digest", s.image_digest);
  v.if_any("seccomp_trace", s.seccomp_trace);
  v.if_any("error", s.error);
}

// --- facts and findings ---

template <class V, MaybeConst<ControllerFacts> S>
void describe(V& v, S& s) {
  v.field("version", s.version);
  v.field("mount_point", s.mount_point);
  v.field("group", s.group);
  v.field("usable", s.usable);
  v.field("reason", s.reason);
}

template <class V, MaybeConst<CgroupFacts> S>
void describe(V& v, S& s) {
  v.field("v2_mounted", s.v2_mounted);
  v.field("v2_mount_point", s.v2_mount_point);
  v.field("v2_group", s.v2_group);
  v.field("v2_usable", s.v2_usable);
  v.field("v2_kill", s.v2_kill);
  v.field("v2_reason", s.v2_reason);
  v.field("hybrid", s.hybrid);
  v.field("scope_bus", s.scope_bus);
  v.field("scope_reason", s.scope_reason);
  v.field("controllers", s.controllers);
}

template <class V, MaybeConst<SubordinateIds> S>
void describe(V& v, S& s) {
  v.field("first_uid", s.first_uid);
  v.field("first_gid", s.first_gid);
}

template <class V, MaybeConst<HostFacts> S>
void describe(V& v, S& s) {
  v.field("kernel_release", s.kernel_release);
  v.field("architecture", s.architecture);
  v.field("uid", s.uid);
  v.field("gid", s.gid);
  v.field("uid_outside", s.uid_outside);
  v.field("privileged", s.privileged);
  v.field("can_mknod", s.can_mknod);
  v.field("subordinate_ids", s.subordinate_ids);
  v.field("subordinate_ids_reason", s.subordinate_ids_reason);
  v.field("user_namespaces", s.user_namespaces);
  v.field("user_namespaces_reason", s.user_namespaces_reason);
  v.field("seccomp", s.seccomp);
  v.field("overlay", s.overlay);
  v.field("tmpfs_user_xattr", s.tmpfs_user_xattr);
  v.field("scratch_directory", s.scratch_directory);
  v.field("copies_directory", s.copies_directory);
  v.field("cpu_count", s.cpu_count);
  v.field("memory_total", s.memory_total);
  v.field("swap_total", s.swap_total);
  v.limit("open_files_hard", s.open_files_hard);
  v.field("cgroup", s.cgroup);
  v.field("pasta", s.pasta);
  v.field("pasta_reason", s.pasta_reason);
  v.field("resolv_conf", s.resolv_conf);
  v.field("environment", s.environment);
}

template <class V, MaybeConst<ImageConfig> S>
void describe(V& v, S& s) {
  v.field("entrypoint", s.entrypoint);
  v.field("command", s.command);
  v.field("env", s.env);
  v.field("workdir", s.workdir);
  v.field("user", s.user);
}

template <class V, MaybeConst<ImageFacts> S>
void describe(V& v, S& s) {
  v.field("name", s.name);
  v.field("digest", s.digest);
  v.field("layers", s.layers);
  v.field("layer_ids", s.layer_ids);
  v.field("subordinate_ids", s.subordinate_ids);
  v.field("host_tools", s.host_tools);
  v.field("host_directories", s.host_directories);
  v.field("host_links", s.host_links);
  v.field("hidden_paths", s.hidden_paths);
  v.field("config", s.config);
  v.field("passwd", s.passwd);
  v.field("group", s.group);
}

template <class V, MaybeConst<SourceFacts> S>
void describe(V& v, S& s) {
  v.field("host_path", s.host_path);
  v.field("resolved_path", s.resolved_path);
  v.required("kind", s.kind);
  v.field("reason", s.reason);
  v.field("owner_uid", s.owner_uid);
  v.field("owner_gid", s.owner_gid);
  v.field("writable", s.writable);
  v.field("device", s.device);
  v.field("inode", s.inode);
}

template <class V, MaybeConst<Finding> S>
void describe(V& v, S& s) {
  v.text("subject", s.subject);
  v.required("severity", s.severity);
  v.text("found", s.found);
  v.text("costs", s.costs);
  v.text("cure", s.cure);
}

// --- the plan ---

template <class V, MaybeConst<IdentityPlan> S>
void describe(V& v, S& s) {
  v.field("mapping", s.mapping);
  v.field("uid", s.uid);
  v.field("gid", s.gid);
  v.field("groups", s.groups);
  v.field("home", s.home);
}

template <class V, MaybeConst<RootPlan> S>
void describe(V& v, S& s) {
  v.field("kind", s.kind);
  v.field("layers", s.layers);
  v.field("idmapped", s.idmapped);
  v.field("user_xattr", s.user_xattr);
  v.field("read_only", s.read_only);
  v.field("scratch_size", s.scratch_size);
  v.field("scratch_inodes", s.scratch_inodes);
  v.field("scratch_directory", s.scratch_directory);
  v.field("copies_directory", s.copies_directory);
  v.field("host_directories", s.host_directories);
  v.field("host_links", s.host_links);
  v.field("hidden_paths", s.hidden_paths);
}

template <class V, MaybeConst<FilePlan> S>
void describe(V& v, S& s) {
  v.field("path", s.path);
  v.field("content", s.content);
  v.mode("mode", s.mode);
}

template <class V, MaybeConst<MountPlan> S>
void describe(V& v, S& s) {
  v.field("kind", s.kind);
  v.field("target", s.target);
  v.field("source", s.source);
  v.field("read_only", s.read_only);
  v.field("idmapped", s.idmapped);
  v.field("owner_uid", s.owner_uid);
  v.field("owner_gid", s.owner_gid);
  v.field("size", s.size);
  v.mode("mode", s.mode);
  v.field("optional", s.optional);
}

template <class V, MaybeConst<CgroupPlan> S>
void describe(V& v, S& s) {
  v.field("parents", s.parents);
  v.field("scope_bus", s.scope_bus);
  v.field("v2_controllers", s.v2_controllers);
  v.field("v2_delegate", s.v2_delegate);
}

template <class V, MaybeConst<LimitPlan> S>
void describe(V& v, S& s) {
  v.field("protection", s.protection);
  v.field("mechanism", s.mechanism);
  v.field("file", s.file);
  v.field("value", s.value);
}

template <class V, MaybeConst<RlimitPlan> S>
void describe(V& v, S& s) {
  v.field("name", s.name);
  v.limit("soft", s.soft);
  v.limit("hard", s.hard);
}

template <class V, MaybeConst<UplinkPlan> S>
void describe(V& v, S& s) {
  v.field("pasta", s.pasta);
  v.field("resolvers", s.resolvers);
  v.field("blocked", s.blocked);
}

template <class V, MaybeConst<ProcessPlan> S>
void describe(V& v, S& s) {
  v.field("argv", s.argv);
  v.field("env", s.env);
  v.field("workdir", s.workdir);
  v.field("make_workdir", s.make_workdir);
  v.field("own_workdir", s.own_workdir);
}

template <class V, MaybeConst<StreamPlan> S>
void describe(V& v, S& s) {
  v.field("limit", s.limit);
  v.field("policy", s.policy);
}

template <class V, MaybeConst<Plan> S>
void describe(V& v, S& s) {
  v.required("plan_version", s.plan_version);
  v.field("image", s.image);
  v.field("image_digest", s.image_digest);
  v.field("hostname", s.hostname);
  v.field("identity", s.identity);
  v.field("namespaces", s.namespaces);
  v.field("uplink", s.uplink);
  v.field("root", s.root);
  v.field("files", s.files);
  v.field("mounts", s.mounts);
  v.field("cgroup", s.cgroup);
  v.field("limits", s.limits);
  v.field("rlimits", s.rlimits);
  v.field("seccomp", s.seccomp);
  v.field("seccomp_trace", s.seccomp_trace);
  v.field("capabilities", s.capabilities);
  v.field("process", s.process);
  v.field("stdin", s.stdin_source);
  v.field("tty", s.tty);
  v.field("stdout", s.stdout_stream);
  v.field("stderr", s.stderr_stream);
  v.field("timeout", s.timeout);
  v.field("cpu_timeout", s.cpu_timeout);
  v.field("grace", s.grace);
  v.field("enforced", s.enforced);
  v.field("degraded", s.degraded);
}

}  // namespace cove
