// The filter that runc makes of a profile: its rules handed to libseccomp one by one, as
// libcontainer/seccomp does. What Cove compiles is compared with it.
#pragma once

#include <gtest/gtest.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <vector>

#include "runtime/kernel/fd.h"
#include "runtime/seccomp/docker_rules.h"

namespace cove {

inline std::uint32_t libseccomp_action(const Action& action) {
  const auto data = static_cast<std::uint32_t>(action.data);
  switch (action.kind) {
    case ActionKind::allow:
      return SCMP_ACT_ALLOW;
    case ActionKind::log:
      return SCMP_ACT_LOG;
    case ActionKind::trace:
      return SCMP_ACT_TRACE(data);
    case ActionKind::notify:
      return SCMP_ACT_NOTIFY;
    case ActionKind::error:
      return SCMP_ACT_ERRNO(data);
    case ActionKind::trap:
      return SCMP_ACT_TRAP;
    case ActionKind::kill_thread:
      return SCMP_ACT_KILL_THREAD;
    case ActionKind::kill_process:
      return SCMP_ACT_KILL_PROCESS;
  }
  return 0xdeadbeef;
}

inline bool names_an_argument_twice(const DockerRule& rule) {
  unsigned seen = 0;
  for (const DockerCondition& one : rule.conditions) {
    if ((seen & (1u << one.index)) != 0) return true;
    seen |= 1u << one.index;
  }
  return false;
}

// Nothing where libseccomp refuses a rule because it contradicts an earlier one (EEXIST): runc
// refuses the profile then.
inline std::optional<std::vector<sock_filter>> libseccomp_filter(const DockerProfile& profile) {
  const std::uint32_t unlisted = libseccomp_action(profile.default_action);
  const std::unique_ptr<void, void (*)(void*)> filter(seccomp_init(unlisted), seccomp_release);
  EXPECT_NE(filter, nullptr);
  const auto add = [&](int number, const DockerRule& rule,
                       const std::vector<scmp_arg_cmp>& conditions) {
    const int done =
        seccomp_rule_add_array(filter.get(), libseccomp_action(rule.action), number,
                               static_cast<unsigned>(conditions.size()), conditions.data());
    EXPECT_TRUE(done == 0 || done == -EEXIST) << done;
    return done == 0;
  };
  for (const DockerRule& rule : profile.rules) {
    if (rule.action == profile.default_action) continue;
    const int number = seccomp_syscall_resolve_name(rule.syscall.c_str());
    if (number == __NR_SCMP_ERROR) continue;
    std::vector<scmp_arg_cmp> conditions;
    for (const DockerCondition& one : rule.conditions) {
      conditions.push_back({one.index, static_cast<scmp_compare>(static_cast<int>(one.op) + 1),
                            one.value, one.value_two});
    }
    if (!names_an_argument_twice(rule)) {
      if (!add(number, rule, conditions)) return std::nullopt;
      continue;
    }
    for (const scmp_arg_cmp& one : conditions) {
      if (!add(number, rule, {one})) return std::nullopt;
    }
  }
  const UniqueFd file(memfd_create("libseccomp", MFD_CLOEXEC));
  EXPECT_EQ(seccomp_export_bpf(filter.get(), file.number()), 0);
  std::vector<sock_filter> program(static_cast<std::size_t>(lseek(file.number(), 0, SEEK_END)) /
                                   sizeof(sock_filter));
  const ssize_t size = static_cast<ssize_t>(program.size() * sizeof(sock_filter));
  EXPECT_EQ(pread(file.number(), program.data(), program.size() * sizeof(sock_filter), 0), size);
  return program;
}

}  // namespace cove
