// Capabilities of the program, by name (capabilities(7)). It holds none unless the spec asks for
// some: SandboxSpec::capabilities. What is held counts in the sandbox's own user namespace alone.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace cove {

// "net_admin" for "CAP_NET_ADMIN", "net_admin", "Net_Admin"; nothing for what is no capability.
std::optional<std::string> capability_name(std::string_view written);

// Those that a program may hold, by their numbers in the kernel: all but sys_admin, which could take
// off the masks of /proc and make read-only mounts writable, and sys_boot, which could end the
// sandbox behind the back of its init.
std::span<const std::string_view> grantable_capabilities();

}  // namespace cove
