#include "runtime/model/capabilities.h"

#include <algorithm>
#include <array>

namespace cove {
namespace {

// By linux/capability.h: the place in the table is the number.
constexpr std::array<std::string_view, 41> kNames{"chown",
                                                  "dac_override",
                                                  "dac_read_search",
                                                  "fowner",
                                                  "fsetid",
                                                  "kill",
                                                  "setgid",
                                                  "setuid",
                                                  "setpcap",
                                                  "linux_immutable",
                                                  "net_bind_service",
                                                  "net_broadcast",
                                                  "net_admin",
                                                  "net_raw",
                                                  "ipc_lock",
                                                  "ipc_owner",
                                                  "sys_module",
                                                  "sys_rawio",
                                                  "sys_chroot",
                                                  "sys_ptrace",
                                                  "sys_pacct",
                                                  "sys_admin",
                                                  "sys_boot",
                                                  "sys_nice",
                                                  "sys_resource",
                                                  "sys_time",
                                                  "sys_tty_config",
                                                  "mknod",
                                                  "lease",
                                                  "audit_write",
                                                  "audit_control",
                                                  "setfcap",
                                                  "mac_override",
                                                  "mac_admin",
                                                  "syslog",
                                                  "wake_alarm",
                                                  "block_suspend",
                                                  "audit_read",
                                                  "perfmon",
                                                  "bpf",
                                                  "checkpoint_restore"};

constexpr auto kNeverGranted = std::to_array<std::string_view>({"sys_admin", "sys_boot"});

constexpr auto kGrantable = [] {
  std::array<std::string_view, kNames.size() - kNeverGranted.size()> names;
  std::ranges::copy_if(kNames, names.begin(), [](std::string_view name) {
    return std::ranges::find(kNeverGranted, name) == kNeverGranted.end();
  });
  return names;
}();

std::string in_lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

}  // namespace

std::optional<std::string> capability_name(std::string_view written) {
  std::string name = in_lower_case(written);
  if (name.starts_with("cap_")) name.erase(0, 4);
  if (std::ranges::find(kNames, name) == kNames.end()) return std::nullopt;
  return name;
}

std::span<const std::string_view> grantable_capabilities() { return kGrantable; }

std::vector<std::string> granted_capabilities(const std::vector<std::string>& written) {
  const auto asked_for = [&](std::string_view capability) {
    return std::ranges::any_of(written, [&](const std::string& one) {
      return in_lower_case(one) == kAllCapabilities || capability_name(one) == capability;
    });
  };
  std::vector<std::string> granted;
  for (const std::string_view capability : kGrantable) {
    if (asked_for(capability)) granted.emplace_back(capability);
  }
  return granted;
}

std::uint64_t capability_mask(const std::vector<std::string>& names) {
  std::uint64_t mask = 0;
  for (std::size_t number = 0; number < kNames.size(); ++number) {
    if (std::ranges::find(names, kNames[number]) != names.end()) mask |= std::uint64_t{1} << number;
  }
  return mask;
}

}  // namespace cove
