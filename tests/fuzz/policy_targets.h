// What the fuzzers of system call policies try: see targets.h.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <cerrno>
#include <vector>

#include "runtime/seccomp/compile.h"
#include "runtime/seccomp/evaluate.h"
#include "runtime/seccomp/policy.h"
#include "tests/fuzz/targets.h"

namespace cove::fuzz {

inline std::uint32_t answer(const std::vector<sock_filter>& program, const seccomp_data& data) {
  const Result<std::uint32_t> result = evaluate(program, data);
  promise(result.has_value(), "what was compiled, the kernel would load");
  return *result;
}

// A profile is refused with all its mistakes, or is a filter that keeps foreign entries closed,
// whatever it says.
inline void docker_policy(std::string_view bytes) {
  const Result<Policy> policy = parse_policy(bytes, {6, 1, {"net_admin", "sys_chroot"}});
  if (!policy) return check_refusal(policy.error());
  const Result<std::vector<sock_filter>> program = compile(*policy);
  if (!program) {
    promise(program.error().code == ErrorCode::invalid_argument, "it may only be too large");
    return;
  }
  constexpr std::uint32_t kEnosys = SECCOMP_RET_ERRNO | ENOSYS;
  for (int number = 0; number < 500; number += 7) {
    seccomp_data data{};
    data.nr = number;
    data.arch = seccomp_arch_native();
    (void)answer(*program, data);
    data.nr = number | 0x40000000;
    promise(answer(*program, data) == kEnosys, "x32 stays closed");
    data.nr = number;
    data.arch ^= 1;
    promise(answer(*program, data) == kEnosys, "other architectures stay closed");
  }
}

}  // namespace cove::fuzz
