// Calls that reach for the kernel: programmable parts of it, mounts, handles, modules; and the other
// ways to make a call: int 0x80, x32, io_uring, numbers that are too new.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

using ::testing::MatchesRegex;

// Its arguments are such that the kernel would answer with something else than EPERM: with an error
// about them, before it asks for a privilege, or with success. So it shows who has answered.
struct Call {
  const char* name;
  long number;
  const char* arguments;
  const char* kernels_answer;  // or several: "EINVAL|ENOSYS"
};
constexpr Call kCalls[] = {
    {"mount", SYS_mount, "1 1 1 0 0", "EFAULT"},
    {"umount2", SYS_umount2, "s:/ 0xff000000", "EINVAL"},
    {"chroot", SYS_chroot, "1", "EFAULT"},
    {"open_tree", SYS_open_tree, "-1 s: 0x80000000", "EINVAL"},
    {"mount_setattr", SYS_mount_setattr, "-1 s: 0x80000000 0 0", "EINVAL"},
    {"fsconfig", SYS_fsconfig, "-1 99 0 0 0", "EINVAL"},
    {"keyctl", SYS_keyctl, "9999", "EOPNOTSUPP"},
    {"add_key", SYS_add_key, "1 1 1 1 0", "EFAULT"},
    {"request_key", SYS_request_key, "1 1 1 0", "EFAULT"},
    {"bpf", SYS_bpf, "9999 z:8 100000", "E2BIG"},
    {"perf_event_open", SYS_perf_event_open, "z:128 0 -1 -1 0x80000000", "EINVAL"},
    {"io_uring_setup", SYS_io_uring_setup, "8 1", "EFAULT"},
    {"io_uring_enter", SYS_io_uring_enter, "-1 0 0 0 0 0", "EBADF"},
    {"userfaultfd", SYS_userfaultfd, "1", "ok"},
    {"setns", SYS_setns, "-1 0", "EBADF"},
    {"name_to_handle_at", SYS_name_to_handle_at, "-1 s:x 1 1 0x80000000", "EINVAL"},
    {"swapon", SYS_swapon, "1 0x80000000", "EINVAL"},
    {"settimeofday", SYS_settimeofday, "1 0", "EFAULT"},
    {"clock_settime", SYS_clock_settime, "99 1", "EINVAL"},
    {"quotactl", SYS_quotactl, "0xff 0 0 0", "EINVAL"},
    {"fanotify_init", SYS_fanotify_init, "0x200 0", "ok"},
    {"pidfd_getfd", SYS_pidfd_getfd, "-1 0 99", "EINVAL"},
    {"process_madvise", SYS_process_madvise, "-1 0 0 0 0", "EBADF"},
    {"move_pages", SYS_move_pages, "0 0 0 0 0 0x80000000", "EINVAL"},
    {"personality", SYS_personality, "0x0400000", "ok"},  // READ_IMPLIES_EXEC
    {"iopl", SYS_iopl, "99", "EINVAL|ENOSYS"},
    {"ioperm", SYS_ioperm, "0 0 1", "EINVAL|ENOSYS"},
    {"kcmp", SYS_kcmp, "2 2 99 0 0", "EINVAL|ENOSYS"},
};

std::string command_of(const char* name, long number, const char* arguments) {
  return std::string("syscall ") + name + " " + std::to_string(number) + " " + arguments + " ; ";
}

TEST(Escape, CallsThatReachForTheKernelAreRefused) {
  std::string commands, kernels, filters;
  for (const Call& call : kCalls) {
    commands += command_of(call.name, call.number, call.arguments);
    kernels += std::string(call.name) + ": (" + call.kernels_answer + ")\n";
    filters += std::string(call.name) + ": EPERM\n";
  }
  Attack attack(commands);
  EXPECT_THAT(attack.without({Protection::seccomp}), MatchesRegex(kernels));
  for (const char* user : {"1000", "root"}) {
    attack.spec.user = user;
    EXPECT_EQ(attack.inside(), filters) << user;
  }
}
// Of these the kernel asks for a privilege first: two answers that look alike. As a control a
// container whose root has all capabilities does for some; for the rest nobody harmless has the right.
TEST(Escape, CallsThatTheKernelRefusesTooAreRefused) {
  struct Privileged {
    const char* name;
    long number;
    const char* arguments;
    const char* with_capabilities;  // in a user namespace; none: more is needed
  };
  constexpr Privileged kPrivileged[] = {
      {"fsopen", SYS_fsopen, "s:tmpfs 0", "ok"},
      {"fspick", SYS_fspick, "-1 1 0x80000000", "EINVAL"},
      {"fsmount", SYS_fsmount, "-1 0x8000 0", "EINVAL"},
      {"move_mount", SYS_move_mount, "-1 1 -1 1 0x80000000", "EINVAL"},
      {"pivot_root", SYS_pivot_root, "1 1", "EFAULT"},
      {"sethostname", SYS_sethostname, "s:x 1", "ok"},
      {"setdomainname", SYS_setdomainname, "s:x 1", "ok"},
      {"vhangup", SYS_vhangup, "0", nullptr},
      {"reboot", SYS_reboot, "0 0 0 0", "EINVAL"},
      {"acct", SYS_acct, "1", nullptr},
      {"kexec_load", SYS_kexec_load, "0 0 0 0xffff", nullptr},
      {"init_module", SYS_init_module, "1 1 1", nullptr},
      {"finit_module", SYS_finit_module, "-1 1 0x80000000", nullptr},
      {"delete_module", SYS_delete_module, "1 0", nullptr},
      {"syslog", SYS_syslog, "6 0 0", nullptr},  // SYSLOG_ACTION_CONSOLE_OFF
      {"lookup_dcookie", SYS_lookup_dcookie, "0 z:8 8", nullptr},
  };
  std::string possible, allowed, all, refused;
  for (const Privileged& call : kPrivileged) {
    const std::string command = command_of(call.name, call.number, call.arguments);
    if (call.with_capabilities != nullptr) {
      possible += command;
      allowed += std::string(call.name) + ": " + call.with_capabilities + "\n";
    }
    all += command;
    refused += std::string(call.name) + ": EPERM\n";
  }
  EXPECT_EQ(Attack(possible).in_naive_container({}, Capabilities::kept), allowed);
  Attack attack(all);
  for (const char* user : {"1000", "root"}) {
    attack.spec.user = user;
    EXPECT_EQ(attack.inside(), refused) << user;
  }
}

// CVE-2015-3209 and before ("Shocker"): a handle opens any file of the file system that a container
// has a directory of.
TEST(Escape, AFileHandleReachesNothing) {
  COVE_NEEDS_IDMAPPED_BINDS();
  const TempDirectory source, secret;
  put_file(secret / "secret", "of the host");
  put_file(source / "own", "own");
  const std::string handle =
      line_after(Attack("print-handle " + (secret / "secret")).outside(), "handle: ");
  if (handle.empty()) GTEST_SKIP() << "needs file handles below TMPDIR";
  if (geteuid() == 0) {
    EXPECT_EQ(Attack("open-handle " + source.path() + " " + handle).outside(),
              "open_by_handle_at: ok\nof the host\n");
  }
  Attack attack("open-handle /data " + handle);
  Attack own("print-handle /data/own");
  for (Attack* each : {&attack, &own}) each->spec.mounts = {bind_of(source.path(), "/data")};
  for (const char* user : {"1000", "root"}) {
    attack.spec.user = own.spec.user = user;
    EXPECT_EQ(attack.inside(), "open_by_handle_at: EPERM\n") << user;
    EXPECT_EQ(attack.without({Protection::seccomp}), "open_by_handle_at: EPERM\n") << user;
    EXPECT_THAT(own.without({Protection::seccomp}), ::testing::StartsWith("handle: "));
    EXPECT_EQ(own.inside(), "name_to_handle_at: EPERM\n") << user;
  }
}

// ---- other ways to call ----

TEST(Escape, CallsOfI386AreNotThere) {
  const Attack any("int80 getpid 20");
  if (any.outside() != "getpid: ok\n") GTEST_SKIP() << "needs kernel 32-bit emulation";
  // 120: clone, 310: unshare, 26: ptrace, 21: mount of i386; 340 is prlimit64, which is filtered too.
  const Attack attack("int80 getpid 20 ; int80 unshare 310 0x10000000 ; int80 mount 21 1 1 1");
  EXPECT_EQ(attack.without({Protection::seccomp, Protection::nested_user_namespaces}),
            "getpid: ok\nunshare: ok\nmount: EFAULT\n");
  EXPECT_EQ(attack.inside(), "getpid: ENOSYS\nunshare: ENOSYS\nmount: ENOSYS\n");
}
// No kernel here has x32, and says what the filter says: so this shows no more than that none of its
// numbers gets through. That the filter itself answers is shown where it is run without a kernel
// (EveryFilter.AnswersEnosysToX32).
TEST(Escape, CallsOfX32AreNotThere) {
  EXPECT_EQ(Attack("syscall getpid 0x40000027 ; syscall socket 0x40000029 38 5 0 ; syscall mount "
                   "0x400000a5 1 1 1 0 0 ; syscall ptrace 0x40000209 0 0 0 0")
                .inside(),
            "getpid: ENOSYS\nsocket: ENOSYS\nmount: ENOSYS\nptrace: ENOSYS\n");
}
TEST(Escape, ACallThatNoKernelHasIsUnknownAndNotForbidden) {
  EXPECT_EQ(Attack("syscall newer 100000 ; syscall newer 512 ; syscall newer -1").inside(),
            "newer: ENOSYS\nnewer: ENOSYS\nnewer: ENOSYS\n");
}
// clone3 has its flags in memory. Whoever gets ENOSYS takes clone, whose flags a filter sees.
TEST(Escape, Clone3IsNotThereSoThatCallersFallBack) {
  const Attack attack("clone3 0");
  EXPECT_EQ(attack.without({Protection::seccomp}), "clone3: ok\n");
  EXPECT_EQ(attack.inside(), "clone3: ENOSYS\n");
}
// io_uring makes calls that no filter sees: here the one that no-setuid-files is there to stop.
TEST(Escape, IoUringIsRefused) {
  const Attack attack("create-by-io-uring /tmp/file 04755 ; stat /tmp/file");
  if (attack.without({Protection::seccomp}).find("io_uring_setup: ok") == std::string::npos)
    GTEST_SKIP() << "needs kernel io_uring";
  EXPECT_THAT(attack.without({Protection::seccomp}),
              ::testing::StartsWith("io_uring_setup: ok\nio_uring openat: ok\nstat: 104755 "));
  EXPECT_EQ(attack.inside(), "io_uring_setup: EPERM\nstat: ENOENT\n");
}
TEST(Escape, IoUringIsRefusedByTheFilterAgainstSetuidFilesToo) {
  COVE_NEEDS_IDMAPPED_BINDS();
  const TempDirectory source;
  Attack attack("create-by-io-uring /data/file 04755");
  attack.spec.mounts = {bind_of(source.path(), "/data")};
  EXPECT_EQ(attack.without({Protection::seccomp}), "io_uring_setup: EPERM\n");
  EXPECT_TRUE(names_in(source.path()).empty());
}

}  // namespace
}  // namespace cove::testing
