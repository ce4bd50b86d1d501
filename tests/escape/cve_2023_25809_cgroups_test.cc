// CVE-2023-25809 (runc): the cgroup hierarchy was writable in a rootless container. CVE-2022-0492
// (the kernel): a cgroup v1 hierarchy that a container mounts names a program, release_agent, which
// the kernel then runs as the host's root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string mount_call(const std::string& type, const std::string& options) {
  return "syscall mount " + std::to_string(SYS_mount) + " s:none s:/tmp s:" + type + " 0 " +
         options;
}

// On a host where v2 has the memory controller a read-only tree is mounted, else nothing is.
bool has_cgroup_mount() { return mechanism_of("memory") == "cgroup-v2"; }

TEST(Escape, Cve202325809NoControlGroupCanBeWritten) {
  Attack attack(
      "put /sys/fs/cgroup/cgroup.procs 0 ; put /sys/fs/cgroup/memory.max max ; mkdir "
      "/sys/fs/cgroup/new");
  // Where it is mounted, some of the files are the sandbox's root's, but for the mount.
  const char* const refused = has_cgroup_mount()
                                  ? "put: (EROFS|EACCES)\nput: (EROFS|EACCES)\nmkdir: EROFS\n"
                                  : "put: ENOENT\nput: ENOENT\nmkdir: ENOENT\n";
  for (const char* user : {"1000", "root"}) {
    attack.spec.user = user;
    EXPECT_THAT(attack.inside(), ::testing::MatchesRegex(refused)) << user;
  }
}
// Who is root of a cgroup namespace and may mount has the tree for writing: the control.
TEST(Escape, Cve202325809NorMountedForWriting) {
  const Attack attack(mount_call("cgroup2", "0") + " ; list /tmp");
  const std::string naive = attack.in_naive_container({}, Capabilities::kept);
  EXPECT_THAT(naive, HasSubstr("mount: ok\n"));
  EXPECT_THAT(naive, HasSubstr("cgroup.procs\n"));
  EXPECT_EQ(attack.inside(), "mount: EPERM\n");
  EXPECT_EQ(attack.without({Protection::seccomp}), "mount: EPERM\n");
  for (const std::string& line : lines_of(Attack("read-file /proc/self/mountinfo").inside())) {
    if (line.find("cgroup") != std::string::npos) {
      EXPECT_THAT(line, HasSubstr(" ro,nosuid,nodev,noexec"));
    }
  }
}
TEST(Escape, Cve20220492NoReleaseAgent) {
  // A hierarchy that exists: a new one cannot be made in a user namespace.
  const std::string v1 = exists("/sys/fs/cgroup/memory/tasks") ? "cgroup s:memory" : "cgroup2 0";
  const Attack attack("syscall mount " + std::to_string(SYS_mount) + " s:none s:/tmp s:" +
                      v1.substr(0, v1.find(' ')) + " 0" + v1.substr(v1.find(' ')));
  EXPECT_EQ(attack.in_naive_container({}, Capabilities::kept), "mount: ok\n");
  Attack as_root = attack;
  as_root.spec.user = "root";
  for (const Attack& each : {attack, as_root}) {
    EXPECT_EQ(each.inside(), "mount: EPERM\n");
    // Without the filter there is still no capability, and no namespace to have one in.
    EXPECT_EQ(each.without({Protection::seccomp}), "mount: EPERM\n");
  }
  EXPECT_THAT(Attack("list /sys/fs/cgroup").inside(), Not(HasSubstr("release_agent")));
}
// Hierarchies in which the sandbox has no group of its own would show the caller's.
TEST(Escape, NoPathOfACgroupIsTold) {
  const std::string outside = Attack("read-file /proc/self/cgroup").outside();
  const std::string inside = Attack("read-file /proc/self/cgroup").inside();
  EXPECT_FALSE(inside.empty());
  for (const std::string& line : lines_of(inside)) EXPECT_THAT(line, ::testing::EndsWith(":/"));
  EXPECT_EQ(outside, contents_of("/proc/self/cgroup"));
}

}  // namespace
}  // namespace cove::testing
