// The version of a kernel, from the release string that uname(2) gives.
#pragma once

#include <compare>
#include <string_view>

namespace cove {

struct KernelVersion {
  int version = 0;  // 6 of "6.1.0-18-amd64"; the kernel's Makefile calls the two so
  int patchlevel = 0;

  auto operator<=>(const KernelVersion&) const = default;
};

// A release that does not begin with two numbers gives 0.0, older than anything asked for.
KernelVersion parse_kernel_version(std::string_view release);

inline constexpr KernelVersion kKernelForLaunch{5, 12};  // mount_setattr with idmapped mounts
inline constexpr KernelVersion kKernelForCgroupKill{
    5, 14};  // cgroup.kill; RLIMIT_NPROC per user namespace
inline constexpr KernelVersion kKernelForTmpfsXattr{6, 6};  // user.* on tmpfs

}  // namespace cove
