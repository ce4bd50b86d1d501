// CVE-2022-0185 (fsconfig), CVE-2023-0386 and CVE-2023-2640 (overlayfs), CVE-2024-1086 (nf_tables):
// bugs in code of the kernel that asks for capabilities, which a nested user namespace gives to
// anybody. Two locks: the system call filter, and a sysctl of the sandbox's own user namespace.
#include <gtest/gtest.h>
#include <sched.h>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

constexpr std::uint64_t kHighBit = std::uint64_t{1} << 32;
constexpr std::initializer_list<Protection> kBothLocks{Protection::seccomp,
                                                       Protection::nested_user_namespaces};

struct Way {
  const char* command;
  std::uint64_t flags;
  const char* with_filter;
  const char* with_sysctl;  // and without the filter
};
// The kernel reads 32 bits of clone's flags. unshare reads all, and finds the high ones invalid.
constexpr Way kWays[] = {
    {"unshare", CLONE_NEWUSER, "EPERM", "ENOSPC"},
    {"unshare", CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET, "EPERM", "ENOSPC"},
    {"clone", CLONE_NEWUSER, "EPERM", "ENOSPC"},
    {"clone", CLONE_NEWUSER | kHighBit, "EPERM", "ENOSPC"},
    {"clone", CLONE_NEWUSER | std::uint64_t{0xffffffff} << 32, "EPERM", "ENOSPC"},
    {"clone3", CLONE_NEWUSER, "ENOSYS", "ENOSPC"},
};

TEST(Escape, NestedUserNamespacesAreForbiddenTwice) {
  for (const Way& way : kWays) {
    Attack attack(std::string(way.command) + " " + hex(way.flags));
    const std::string start = std::string(way.command) + ": ";
    EXPECT_EQ(attack.without(kBothLocks), start + "ok\n") << hex(way.flags);
    EXPECT_EQ(attack.without({Protection::seccomp}), start + way.with_sysctl + "\n");
    EXPECT_EQ(attack.without({Protection::nested_user_namespaces}), start + way.with_filter + "\n");
    for (const char* user : {"1000", "root"}) {
      attack.spec.user = user;
      EXPECT_EQ(attack.inside(), start + way.with_filter + "\n") << user;
    }
  }
}
// What it is about: with one, file systems and network tables are a program's to configure.
TEST(Escape, Cve20220185ANestedNamespaceWouldGiveTheKernelsPrivilegedCode) {
  // fsopen of tmpfs; socket(AF_PACKET).
  const Attack attack("unshare " + hex(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) +
                      " ; syscall fsopen 430 s:tmpfs 0 ; syscall socket 41 17 3 0");
  EXPECT_EQ(attack.without(kBothLocks), "unshare: ok\nfsopen: ok\nsocket: ok\n");
  EXPECT_EQ(attack.without({Protection::seccomp}),
            "unshare: ENOSPC\nfsopen: EPERM\nsocket: EPERM\n");
  EXPECT_EQ(attack.inside(), "unshare: EPERM\nfsopen: EPERM\nsocket: EAFNOSUPPORT\n");
}
TEST(Escape, NoOtherNamespaceCanBeMade) {
  for (const std::uint64_t flags :
       {CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP}) {
    const Attack attack("clone " + hex(flags | kHighBit) + " ; unshare " + hex(flags));
    EXPECT_EQ(attack.in_naive_container({}, Capabilities::kept), "clone: ok\nunshare: ok\n");
    EXPECT_EQ(attack.inside(), "clone: EPERM\nunshare: EPERM\n") << hex(flags);
    EXPECT_EQ(attack.without(kBothLocks), "clone: EPERM\nunshare: EPERM\n") << "no capability";
  }
}
TEST(Escape, NoNamespaceCanBeEntered) {
  const Attack attack("enter-namespace /proc/self/ns/uts");
  EXPECT_EQ(attack.in_naive_container({}, Capabilities::kept), "setns: ok\n");
  EXPECT_EQ(attack.inside(), "setns: EPERM\n");
  // The kernel would have been asked: no descriptor at all.
  EXPECT_EQ(Attack("syscall setns 308 -1 0").without({Protection::seccomp}), "setns: EBADF\n");
  EXPECT_EQ(Attack("syscall setns 308 -1 0").inside(), "setns: EPERM\n");
  // init's are not there to be opened.
  EXPECT_EQ(Attack("enter-namespace /proc/1/ns/user").without(kBothLocks), "open: EACCES\n");
}
TEST(Escape, TheLockOnNestedNamespacesCannotBeLifted) {
  EXPECT_EQ(Attack("put /proc/sys/user/max_user_namespaces 100 ; unshare 0x10000000")
                .without({Protection::seccomp}),
            "put: EACCES\nunshare: ENOSPC\n");
  // Whoever has that capability in the namespace may.
  EXPECT_EQ(Attack("put /proc/sys/user/max_user_namespaces 0 ; put "
                   "/proc/sys/user/max_user_namespaces 100")
                .in_naive_container({}, Capabilities::kept),
            "put: ok\nput: ok\n");
  Attack attack(
      "put /proc/sys/user/max_user_namespaces 100 ; read-file "
      "/proc/sys/user/max_user_namespaces");
  for (const char* user : {"1000", "root"}) {
    attack.spec.user = user;
    // The kernel asks for CAP_SYS_RESOURCE; the cover over /proc/sys comes on top.
    EXPECT_EQ(attack.inside(), "put: EACCES\n0\n") << user;
    EXPECT_EQ(attack.without({Protection::masked_paths}), "put: EACCES\n0\n") << user;
  }
}

}  // namespace
}  // namespace cove::testing
