// The texts of every enumeration, one table each: kNames<E>[enumerator] is what JSON, messages and
// the command line say. The tables are in the order of the enumerators; their sizes are checked
// here, their agreement with the enumerators by tests/unit/model/names_test.cc.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cove/error.h"
#include "cove/facts.h"
#include "cove/host.h"
#include "cove/plan.h"
#include "cove/result.h"
#include "cove/sandbox_result.h"
#include "cove/spec.h"

namespace cove {

template <class E>
struct EnumNames;  // specialised below: kWhat (what the enumeration is of), kTable

template <>
struct EnumNames<ErrorCode> {
  static constexpr std::string_view kWhat = "error code";
  static constexpr auto kTable = std::to_array<std::string_view>(
      {"invalid_argument", "image_not_found", "image_invalid", "limit_not_enforceable",
       "isolation_unavailable", "command_not_found", "command_not_executable", "permission_denied",
       "resource_exhausted", "setup_failed", "sandbox_lost", "network_failed", "internal"});
  static constexpr ErrorCode kLast = ErrorCode::internal;
};

template <>
struct EnumNames<Protection> {
  static constexpr std::string_view kWhat = "protection";
  static constexpr auto kTable = std::to_array<std::string_view>({"user_namespace",
                                                                  "mount_namespace",
                                                                  "pid_namespace",
                                                                  "ipc_namespace",
                                                                  "uts_namespace",
                                                                  "cgroup_namespace",
                                                                  "network",
                                                                  "uid_separation",
                                                                  "supplementary_groups",
                                                                  "capabilities",
                                                                  "no_new_privs",
                                                                  "seccomp",
                                                                  "setuid_files",
                                                                  "masked_paths",
                                                                  "nested_user_namespaces",
                                                                  "private_rootfs",
                                                                  "memory",
                                                                  "swap",
                                                                  "cpus",
                                                                  "cpu_weight",
                                                                  "io_weight",
                                                                  "pids",
                                                                  "disk",
                                                                  "output",
                                                                  "open_files",
                                                                  "timeout",
                                                                  "cpu_timeout"});
  static constexpr Protection kLast = Protection::cpu_timeout;
};

template <>
struct EnumNames<Requirement> {
  static constexpr std::string_view kWhat = "requirement";
  static constexpr auto kTable = std::to_array<std::string_view>({"required", "preferred", "off"});
  static constexpr Requirement kLast = Requirement::off;
};

template <>
struct EnumNames<MountType> {
  static constexpr std::string_view kWhat = "mount type";
  static constexpr auto kTable = std::to_array<std::string_view>({"bind", "tmpfs"});
  static constexpr MountType kLast = MountType::tmpfs;
};

template <>
struct EnumNames<OutputPolicy> {
  static constexpr std::string_view kWhat = "output policy";
  static constexpr auto kTable =
      std::to_array<std::string_view>({"head", "tail", "head+tail", "kill"});
  static constexpr OutputPolicy kLast = OutputPolicy::kill;
};

template <>
struct EnumNames<NetworkMode> {
  static constexpr std::string_view kWhat = "network mode";
  static constexpr auto kTable = std::to_array<std::string_view>({"none", "open", "host"});
  static constexpr NetworkMode kLast = NetworkMode::host;
};

template <>
struct EnumNames<PrivateNetworks> {
  static constexpr std::string_view kWhat = "state of private networks";
  static constexpr auto kTable = std::to_array<std::string_view>({"reachable", "blocked"});
  static constexpr PrivateNetworks kLast = PrivateNetworks::blocked;
};

template <>
struct EnumNames<SeccompMode> {
  static constexpr std::string_view kWhat = "seccomp mode";
  static constexpr auto kTable = std::to_array<std::string_view>({"enforce", "trace"});
  static constexpr SeccompMode kLast = SeccompMode::trace;
};

template <>
struct EnumNames<ProcessStatus> {
  static constexpr std::string_view kWhat = "process status";
  static constexpr auto kTable = std::to_array<std::string_view>({"completed", "timeout", "error"});
  static constexpr ProcessStatus kLast = ProcessStatus::error;
};

template <>
struct EnumNames<Cause> {
  static constexpr std::string_view kWhat = "cause";
  static constexpr auto kTable = std::to_array<std::string_view>(
      {"exited", "signaled", "timeout", "cpu_timeout", "out_of_memory", "output_limit", "seccomp",
       "cancelled", "sandbox_error"});
  static constexpr Cause kLast = Cause::sandbox_error;
};

template <>
struct EnumNames<SourceKind> {
  static constexpr std::string_view kWhat = "kind of source";
  static constexpr auto kTable =
      std::to_array<std::string_view>({"directory", "file", "missing", "refused"});
  static constexpr SourceKind kLast = SourceKind::refused;
};

template <>
struct EnumNames<LayerIds> {
  static constexpr std::string_view kWhat = "ids of layers";
  static constexpr auto kTable =
      std::to_array<std::string_view>({"host", "image", "subordinate", "caller"});
  static constexpr LayerIds kLast = LayerIds::caller;
};

template <>
struct EnumNames<IdMapping> {
  static constexpr std::string_view kWhat = "id mapping";
  static constexpr auto kTable =
      std::to_array<std::string_view>({"range", "subordinate", "single"});
  static constexpr IdMapping kLast = IdMapping::single;
};

template <>
struct EnumNames<RootKind> {
  static constexpr std::string_view kWhat = "kind of root";
  static constexpr auto kTable = std::to_array<std::string_view>({"overlay", "host_tools"});
  static constexpr RootKind kLast = RootKind::host_tools;
};

template <>
struct EnumNames<MountKind> {
  static constexpr std::string_view kWhat = "kind of mount";
  static constexpr auto kTable =
      std::to_array<std::string_view>({"proc", "devices", "pts", "shared_memory", "scratch",
                                       "cgroup", "bind", "tmpfs", "read_only", "mask"});
  static constexpr MountKind kLast = MountKind::mask;
};

template <>
struct EnumNames<Severity> {
  static constexpr std::string_view kWhat = "severity";
  static constexpr auto kTable =
      std::to_array<std::string_view>({"ok", "note", "degraded", "broken"});
  static constexpr Severity kLast = Severity::broken;
};

template <class E>
concept NamedEnum = requires {
  EnumNames<E>::kTable;
  requires EnumNames<E>::kTable.size() == static_cast<std::size_t>(EnumNames<E>::kLast) + 1;
};

template <NamedEnum E>
constexpr std::string_view name_of(E value) {
  const auto index = static_cast<std::size_t>(value);
  return index < EnumNames<E>::kTable.size() ? EnumNames<E>::kTable[index] : "unknown";
}

template <NamedEnum E>
constexpr std::optional<E> find_by_name(std::string_view name) {
  for (std::size_t i = 0; i < EnumNames<E>::kTable.size(); ++i) {
    if (EnumNames<E>::kTable[i] == name) return static_cast<E>(i);
  }
  return std::nullopt;
}

// `name` is none of `known`: "\"hots\" is not a network mode", hint "did you mean ...", or the
// known names.
Error unknown_name(std::string_view name, std::string_view what,
                   std::span<const std::string_view> known);

// For command-line options and the like. Errors: invalid_argument, with a hint that names what is
// known.
template <NamedEnum E>
Result<E> parse_name(std::string_view name) {
  if (const std::optional<E> value = find_by_name<E>(name)) return *value;
  return fail(unknown_name(name, EnumNames<E>::kWhat, EnumNames<E>::kTable));
}

// "SIGKILL" for 9, "SIGRTMIN+2", "signal 77" for what is no signal; and back (empty if it is none).
std::string signal_name(int number);
std::optional<int> signal_number(std::string_view name);

}  // namespace cove
