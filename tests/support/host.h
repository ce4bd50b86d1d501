// What tests look up on the host: which cgroup version holds a limit, and what a run has left
// behind.
//
//   COVE_NEEDS_LIMIT("memory");                      // skips, naming the fact, where nothing holds
//   it EXPECT_THAT(groups_left(id), IsEmpty()); EXPECT_EQ(processes_with(marker), 0);
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "cove/facts.h"

namespace cove::testing {

// How many times slower than the development machine this one is taken to be, for tests of time:
// emulated machines are.
double slowness();

// Whether what is tested was compiled with a sanitizer. Not known when the tests were.
bool is_sanitized();

// Once per process.
const HostFacts& host_facts();

// "cgroup-v1", "cgroup-v2", or empty where this host has no group for the controller.
std::string mechanism_of(const std::string& controller);

// Directories of cgroup hierarchies whose names have `text`, wherever they are.
std::vector<std::string> groups_named(const std::string& text);

// The same after they had time to go: a sandbox's groups are removed behind its result.
std::vector<std::string> groups_left(const std::string& text, double seconds = 2);

// Living processes whose command line has `marker`.
std::vector<pid_t> processes_with(const std::string& marker);
// Waits until there is none, for that long at most, and returns how many are left.
std::size_t processes_left(const std::string& marker, double seconds);

// Living descendants of a process.
std::vector<pid_t> descendants_of(pid_t pid);

// A text that no other process has in its command line.
std::string unique_marker();

// Why directories of TempDirectory cannot be idmapped on this host, as root's binds are; empty
// where they can.
std::string why_no_idmapped_binds();

// Of this process: what it may do, and whether seccomp(2) judges its calls.
bool has_cap_sys_admin();
bool is_filtered();

// Of this process, once their number has stayed the same for a tenth of a second: some go behind a
// result.
std::size_t open_descriptors();
std::size_t mount_count();
// "mnt: mnt:[4026531841]" ... of this thread.
std::string namespaces();

// A cgroup of the test's own in every hierarchy that Cove would use: "cgroup_parent". Removed, with
// what is below, at the end.
class PrivateGroups {
 public:
  PrivateGroups();
  PrivateGroups(const PrivateGroups&) = delete;
  PrivateGroups& operator=(const PrivateGroups&) = delete;
  ~PrivateGroups();

  const std::string& parent() const { return parent_; }
  // Groups made below it that are still there.
  std::vector<std::string> left() const;

 private:
  std::string parent_;
  std::vector<std::string> directories_;
};

}  // namespace cove::testing

// The reasons are those of tests/allowed_skips.txt.
#define COVE_NEEDS_LIMIT(controller)                      \
  if (::cove::testing::mechanism_of(controller).empty())  \
  GTEST_SKIP() << "needs cgroup " << (controller) << " (" \
               << ::cove::testing::host_facts().cgroup.controllers.at(controller).reason << ")"
// What a plain user has not: ids of a sandbox's own, apart from the caller's.
#define COVE_NEEDS_PRIVILEGE() \
  if (!::cove::testing::host_facts().privileged) GTEST_SKIP() << "needs privilege"
// A second id besides the caller's.
#define COVE_NEEDS_MANY_IDS()                                                                      \
  if (!::cove::testing::host_facts().privileged && !::cove::testing::host_facts().subordinate_ids) \
  GTEST_SKIP() << "needs many ids"
// For CPU time of all processes together.
#define COVE_NEEDS_CGROUP_V2()                                                      \
  if (const auto& groups = ::cove::testing::host_facts().cgroup; !groups.v2_usable) \
  GTEST_SKIP() << "needs cgroup-v2 (" << groups.v2_reason << ")"
// The kernel never holds its own root to a resource limit of processes, which else stands in.
#define COVE_NEEDS_A_PIDS_LIMIT()                                                           \
  if (const auto& host = ::cove::testing::host_facts();                                     \
      ::cove::testing::mechanism_of("pids").empty() && !host.privileged && host.uid == 0 && \
      host.uid_outside == 0)                                                                \
  GTEST_SKIP() << "needs a pids limit"
// For tests that make namespaces and mounts themselves.
#define COVE_NEEDS_CAP_SYS_ADMIN() \
  if (!::cove::testing::has_cap_sys_admin()) GTEST_SKIP() << "needs CAP_SYS_ADMIN"
// The kernel takes the strictest answer: a filter that surrounds the tests comes before ours.
#define COVE_NEEDS_NO_FILTER_AROUND() \
  if (::cove::testing::is_filtered()) GTEST_SKIP() << "needs no seccomp filter around"
// A login session of a plain user's, with its service manager.
#define COVE_NEEDS_USER_SESSION()                                                          \
  if (const auto& groups = ::cove::testing::host_facts().cgroup; groups.scope_bus.empty()) \
  GTEST_SKIP() << "needs systemd user session (" << groups.scope_reason << ")"
#define COVE_NEEDS_PROGRAM(path) \
  if (access(path, X_OK) != 0) GTEST_SKIP() << "needs program " << (path)
#define COVE_NEEDS_IDMAPPED_BINDS()                                                           \
  if (const std::string missing = ::cove::testing::why_no_idmapped_binds(); !missing.empty()) \
  GTEST_SKIP() << "needs " << missing
