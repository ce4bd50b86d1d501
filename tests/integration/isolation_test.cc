// What a program finds inside a default sandbox, and what it cannot do there.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "tests/support/host.h"
#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

using ::testing::AnyOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

std::string out_of(const std::string& commands) {
  const SandboxResult result = run(probe(commands));
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  return output(result);
}

std::string status_field(const std::string& field) {
  static const std::string status = out_of("read-file /proc/self/status");
  std::string value = line_after(status, field + ":\t");
  EXPECT_NE(value, "") << status;
  return value;
}

// "ab%c...": how the probe wants a text that it shall not itself have in its command line.
std::string disguised(const std::string& text) { return text.substr(0, 1) + "%" + text.substr(1); }

TEST(Inside, EveryCapabilitySetIsEmpty) {
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    EXPECT_EQ(status_field(set), "0000000000000000") << set;
  }
  EXPECT_EQ(out_of("caps"), "bounding:\nambient:\n");
}
TEST(Inside, RootHasNoCapabilityEither) {
  SandboxSpec spec = probe("ids ; read-file /proc/self/status ; caps");
  spec.user = "root";
  const SandboxResult result = run(spec);
  EXPECT_THAT(output(result), StartsWith("ids: 0 0 0 / 0 0 0 /")) << shown(result);
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    EXPECT_EQ(line_after(output(result), std::string(set) + ":\t"), "0000000000000000") << set;
  }
}
TEST(Inside, NoNewPrivilegesAndAFilterAreSet) {
  EXPECT_EQ(status_field("NoNewPrivs"), "1");
  EXPECT_EQ(status_field("Seccomp"), "2");
}
TEST(Inside, TheEnforcedMapTellsOfIt) {
  const SandboxResult result = run(probe("exit 0"));
  for (const Protection protection :
       {Protection::user_namespace, Protection::mount_namespace, Protection::pid_namespace,
        Protection::ipc_namespace, Protection::uts_namespace, Protection::cgroup_namespace,
        Protection::network, Protection::capabilities, Protection::no_new_privs,
        Protection::seccomp, Protection::setuid_files, Protection::masked_paths,
        Protection::nested_user_namespaces}) {
    EXPECT_TRUE(result.enforced.contains(protection)) << to_string(protection);
  }
}
TEST(Inside, NoIdIsAPrivilegedIdOutside) {
  const std::string maps = out_of("read-file /proc/self/uid_map ; read-file /proc/self/gid_map");
  COVE_NEEDS_PRIVILEGE();  // else the map names ids of a namespace in between
  for (const std::string& line : lines_of(maps)) {
    unsigned long inside = 0, outside = 0, count = 0;
    ASSERT_EQ(std::sscanf(line.c_str(), "%lu %lu %lu", &inside, &outside, &count), 3) << line;
    EXPECT_GE(outside, 0x70000000u) << line;
  }
  EXPECT_EQ(lines_of(maps).size(), 2u);
}
TEST(Inside, TwoSandboxesAtOnceHaveDifferentIds) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  SandboxSpec spec = probe("read-file /proc/self/uid_map ; sleep 0.3");
  auto first = shared_engine().launch(spec), second = shared_engine().launch(spec);
  ASSERT_TRUE(first && second);
  EXPECT_NE(output(first->wait()), output(second->wait()));
}
TEST(Inside, TheUserIs1000WithoutOtherGroups) {
  EXPECT_EQ(out_of("ids"), "ids: 1000 1000 1000 / 1000 1000 1000 /\n");
}
TEST(Inside, OnlyLoopbackIsThereAndItWorks) {
  EXPECT_EQ(out_of("interfaces ; loopback"), "interface: lo\nloopback: ok\n");
}
TEST(Inside, LocalhostHasAnAddress) {
  EXPECT_THAT(lines_of(out_of("read-file /etc/hosts")),
              ::testing::Contains(::testing::MatchesRegex("127.0.0.1[ \t]+localhost.*")));
}
TEST(Inside, AnAbstractSocketOfTheHostCannotBeReached) {
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = unique_marker();
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  EXPECT_EQ(out_of("connect @" + name), "connect: ECONNREFUSED\n");
  close(listener);
}
TEST(Inside, NoMountTellsAHostPathThatWasNotAskedFor) {
  COVE_NEEDS_IDMAPPED_BINDS();
  const TempDirectory shared_directory;
  SandboxSpec spec = probe("read-file /proc/self/mountinfo");
  spec.mounts = {bind_of(shared_directory.path(), "/shared")};
  const SandboxResult result = run(spec);
  const RootDirectory& root = RootDirectory::shared();
  EXPECT_THAT(output(result), Not(HasSubstr(root.path()))) << shown(result);
  // The root of a bind is told by the kernel, as a path within its own file system.
  int asked = 0;
  for (const std::string& line : lines_of(output(result))) {
    if (line.find(" /shared ") != std::string::npos) {
      ++asked;
    } else {
      EXPECT_THAT(line, Not(HasSubstr("cove-test-")));
      EXPECT_THAT(line, Not(HasSubstr("/tmp/"))) << line;
    }
  }
  EXPECT_EQ(asked, 1);
}
TEST(Inside, MountsAreNotSuidAndNotDevices) {
  for (const std::string& line : lines_of(out_of("read-file /proc/self/mountinfo"))) {
    EXPECT_THAT(line, HasSubstr("nosuid")) << line;
    if (line.find(" /dev ") == std::string::npos && line.find(" /dev/") == std::string::npos) {
      EXPECT_THAT(line, HasSubstr("nodev")) << line;
    }
  }
}
TEST(Inside, MountsDoNotPropagate) {
  for (const std::string& line : lines_of(out_of("read-file /proc/self/mountinfo"))) {
    EXPECT_THAT(line, Not(HasSubstr("shared:"))) << line;
    EXPECT_THAT(line, Not(HasSubstr("master:"))) << line;
  }
}
TEST(Inside, DescriptorsAre0To2) {
  const std::vector<std::string> fds = lines_of(out_of("fds"));
  ASSERT_EQ(fds.size(), 3u) << ::testing::PrintToString(fds);
  EXPECT_EQ(fds[0], "fd 0: /dev/null");
  EXPECT_THAT(fds[1], StartsWith("fd 1: pipe:["));
  EXPECT_THAT(fds[2], StartsWith("fd 2: pipe:["));
}
TEST(Inside, DescriptorsThatTheCallerLeaksDoNotArrive) {
  CommandOptions options;
  options.in_child = [] {
    dup2(0, 100);
    dup2(0, 900);
  };
  const CommandOutcome outcome = run_command(cove_run({}, "fds"), options);
  EXPECT_EQ(lines_of(outcome.out).size(), 3u) << outcome.out;

  const int leaked = dup(0);  // without close-on-exec
  const SandboxResult result = run_through_library(probe("fds"));
  close(leaked);
  EXPECT_EQ(lines_of(output(result)).size(), 3u) << output(result);
}
TEST(Inside, OnlyTheSandboxesOwnProcessesAreSeen) {
  const std::vector<std::string> processes = lines_of(out_of("ps"));
  EXPECT_THAT(processes, ElementsAre("process 1: cove-init", "process 2: probe"));
}
TEST(Inside, TheProgramLeadsItsSessionAndIsNotPid1) {
  EXPECT_EQ(out_of("session"), "session: own pid 2 parent 1\n");
}
TEST(Inside, NothingOfTheCallerIsToldByProcessesWhenTheCommandRuns) {
  const std::string secret = "hush" + unique_marker();
  CommandOptions options;
  options.environment = {"TOKEN_OF_THE_CALLER=" + secret};
  const RootDirectory& root = RootDirectory::shared();
  const CommandOutcome outcome = run_command(
      cove_run({"-e", "GIVEN=" + secret + "given", "--json"},
               "search-processes " + disguised(secret) + " " + disguised(root.path()) + " " +
                   disguised("TOKEN_OF") + " ; read-file /proc/1/cmdline ; print"),
      options);
  EXPECT_THAT(outcome.out, Not(HasSubstr("found: "))) << outcome.out;
  EXPECT_THAT(outcome.out, HasSubstr("looked at: "));
}
TEST(Inside, NothingOfTheCallerIsToldByProcessesWhenALibraryRuns) {
  const std::string secret = "hush" + unique_marker();
  setenv("TOKEN_OF_THE_CALLER", secret.c_str(), 1);
  const RootDirectory& root = RootDirectory::shared();
  const SandboxResult result = run_through_library(
      probe("search-processes " + disguised(secret) + " " + disguised(root.path()) + " " +
            disguised("TOKEN_OF") + " " + disguised("integration_tests")));
  unsetenv("TOKEN_OF_THE_CALLER");
  EXPECT_THAT(output(result), Not(HasSubstr("found: "))) << shown(result);
  EXPECT_THAT(output(result), HasSubstr("looked at: "));
}
TEST(Inside, Pid1CannotBeLookedInto) {
  for (const std::string& line : lines_of(out_of("pry 1"))) {
    EXPECT_THAT(line, Not(::testing::EndsWith(": ok"))) << line;
  }
}
TEST(Inside, Pid1CannotBeLookedIntoByRootEither) {
  SandboxSpec spec = probe("pry 1 ; put /proc/1/oom_score_adj 1000 ; put /proc/1/comm renamed");
  spec.user = "root";
  for (const std::string& line : lines_of(output(run(spec)))) {
    EXPECT_THAT(line, Not(::testing::EndsWith(": ok"))) << line;
  }
}
TEST(Inside, KillingPid1HarmsNothingButTheSandbox) {
  SandboxSpec spec = probe("kill 1 9 ; kill 1 15 ; kill -1 18 ; print still-here ; exit 3");
  // Where there is but one id it is allowed, and without effect: the kernel protects process 1.
  EXPECT_THAT(output(run(spec)), AnyOf("kill: EPERM\nkill: EPERM\nkill: ESRCH\nstill-here\n",
                                       "kill: ok\nkill: ok\nkill: ESRCH\nstill-here\n"));
  spec.user = "root";
  const SandboxResult result = run(spec);
  EXPECT_THAT(output(result), HasSubstr("still-here")) << shown(result);
  EXPECT_EQ(result.exit_code, 3);
}
TEST(Inside, TheHostnameIsNotTheHosts) {
  EXPECT_EQ(out_of("hostname"), "hostname: sandbox\n");
  EXPECT_EQ(out_of("read-file /etc/hostname"), "sandbox\n");
  SandboxSpec spec = probe("hostname ; read-file /etc/hosts");
  spec.hostname = "named";
  EXPECT_THAT(output(run(spec)), StartsWith("hostname: named\n"));
  EXPECT_THAT(output(run(spec)), HasSubstr("named\n"));
}
TEST(Inside, TheGroupNamespaceIsItsOwn) {
  for (const std::string& line : lines_of(out_of("read-file /proc/self/cgroup"))) {
    // Hierarchies in which the sandbox has no group of its own show the host's path relative to the
    // caller's.
    EXPECT_THAT(line, Not(HasSubstr("cove-"))) << line;
    EXPECT_THAT(line, Not(HasSubstr(".."))) << line;
  }
}
TEST(Inside, NestedUserNamespacesAreForbiddenTwice) {
  EXPECT_EQ(out_of("read-file /proc/sys/user/max_user_namespaces"), "0\n");
  EXPECT_THAT(out_of("unshare 0x10000000"), AnyOf("unshare: EPERM\n", "unshare: ENOSPC\n"));
  EXPECT_THAT(out_of("clone 0x10000000"), AnyOf("clone: EPERM\n", "clone: ENOSPC\n"));
  for (const char* flags :
       {"0x00020000", "0x20000000", "0x40000000", "0x08000000", "0x04000000", "0x02000000"}) {
    EXPECT_EQ(out_of(std::string("unshare ") + flags), "unshare: EPERM\n") << flags;
  }
}
TEST(Inside, NestedUserNamespacesAreForbiddenWithoutTheFilterToo) {
  SandboxSpec spec = probe("unshare 0x10000000 ; clone 0x10000000");
  spec.require[Protection::seccomp] = Requirement::off;
  spec.user = "root";
  EXPECT_EQ(output(run(spec)), "unshare: ENOSPC\nclone: ENOSPC\n");
}
TEST(Inside, Clone3IsNotThereSoThatCallersFallBack) {
  EXPECT_EQ(out_of("syscall clone3 435 z:88 88"), "clone3: ENOSYS\n");
}
TEST(Inside, SocketsOfOtherFamiliesAreRefused) {
  // AF_ALG, AF_VSOCK, AF_KEY, AF_PACKET, AF_RXRPC, AF_TIPC, AF_BLUETOOTH, AF_XDP, AF_CAN, AF_SMC
  for (const char* family : {"38", "40", "15", "17", "33", "30", "31", "44", "29", "43"}) {
    EXPECT_EQ(out_of(std::string("socket ") + family + " 5"),
              std::string("socket ") + family + ": EAFNOSUPPORT\n");
  }
}
TEST(Inside, HighBitsDoNotSmuggleAFamilyPastTheFilter) {
  for (const char* family :
       {"0x100000026", "0x8000000000000026", "0xffffffff00000028", "0x10000000f"}) {
    EXPECT_EQ(out_of(std::string("socket ") + family + " 5"),
              std::string("socket ") + family + ": EAFNOSUPPORT\n");
  }
}
TEST(Inside, NetlinkIsRouteOnly) {
  EXPECT_EQ(out_of("socket 16 3 0"), "socket 16: ok\n");
  for (const char* protocol :
       {"6", "12", "0x100000006", "9", "16"}) {  // XFRM, NETFILTER, XFRM, AUDIT, GENERIC
    EXPECT_THAT(out_of(std::string("socket 16 3 ") + protocol), Not(HasSubstr(": ok")));
  }
}
TEST(Inside, OrdinarySocketsWork) {
  EXPECT_EQ(out_of("socket 1 1 ; socket 2 1 ; socket 2 2 ; socket 10 1"),
            "socket 1: ok\nsocket 2: ok\nsocket 2: ok\nsocket 10: ok\n");
}
TEST(Inside, RawSocketsNeedWhatNobodyHas) {
  EXPECT_THAT(out_of("socket 2 3 1"), Not(HasSubstr(": ok")));
}

struct Forbidden {
  const char* name;
  long number;
  const char* arguments;
  const char* outcome;
};
constexpr Forbidden kForbidden[] = {
    {"mount", SYS_mount, "s:none s:/tmp s:tmpfs 0 0", "EPERM"},
    {"remount", SYS_mount, "s:none s:/proc 0 0x1020 0", "EPERM"},
    {"umount2", SYS_umount2, "s:/proc/kcore 2", "EPERM"},
    {"pivot_root", SYS_pivot_root, "s:/ s:/tmp", "EPERM"},
    {"chroot", SYS_chroot, "s:/tmp", "EPERM"},
    {"open_tree", SYS_open_tree, "-100 s:/ 1", "EPERM"},
    {"move_mount", SYS_move_mount, "-100 s:/ -100 s:/tmp 0", "EPERM"},
    {"fsopen", SYS_fsopen, "s:proc 0", "EPERM"},
    {"fsmount", SYS_fsmount, "0 0 0", "EPERM"},
    {"mount_setattr", SYS_mount_setattr, "-100 s:/ 0 z:32 32", "EPERM"},
    {"keyctl", SYS_keyctl, "0 -3 0", "EPERM"},
    {"add_key", SYS_add_key, "s:user s:a s:b 1 -3", "EPERM"},
    {"request_key", SYS_request_key, "s:user s:a 0 0", "EPERM"},
    {"bpf", SYS_bpf, "0 z:64 64", "EPERM"},
    {"perf_event_open", SYS_perf_event_open, "z:128 0 -1 -1 0", "EPERM"},
    {"io_uring_setup", SYS_io_uring_setup, "8 z:120", "EPERM"},
    {"userfaultfd", SYS_userfaultfd, "0", "EPERM"},
    {"setns", SYS_setns, "0 0", "EPERM"},
    {"open_by_handle_at", SYS_open_by_handle_at, "-100 z:128 0", "EPERM"},
    {"reboot", SYS_reboot, "0 0 0 0", "EPERM"},
    {"kexec_load", SYS_kexec_load, "0 0 0 0", "EPERM"},
    {"init_module", SYS_init_module, "z:8 8 s:x", "EPERM"},
    {"delete_module", SYS_delete_module, "s:x 0", "EPERM"},
    {"swapon", SYS_swapon, "s:/tmp/x 0", "EPERM"},
    {"sethostname", SYS_sethostname, "s:x 1", "EPERM"},
    {"settimeofday", SYS_settimeofday, "z:16 0", "EPERM"},
    {"syslog", SYS_syslog, "3 z:64 64", "EPERM"},
    {"acct", SYS_acct, "0", "EPERM"},
    {"quotactl", SYS_quotactl, "0 0 0 0", "EPERM"},
    {"iopl", SYS_iopl, "3", "EPERM"},
    {"ioperm", SYS_ioperm, "0 1 1", "EPERM"},
    {"fanotify_init", SYS_fanotify_init, "0 0", "EPERM"},
    {"lookup_dcookie", SYS_lookup_dcookie, "0 z:8 8", "EPERM"},
};

TEST(Inside, CallsThatReachForTheKernelAreRefused) {
  for (const Forbidden& call : kForbidden) {
    const std::string command = std::string("syscall ") + call.name + " " +
                                std::to_string(call.number) + " " + call.arguments;
    EXPECT_EQ(out_of(command), std::string(call.name) + ": " + call.outcome + "\n") << command;
  }
}
TEST(Inside, ACallThatNoKernelHasIsUnknownAndNotForbidden) {
  EXPECT_EQ(out_of("syscall newer 100000"), "newer: ENOSYS\n");
  EXPECT_EQ(out_of("syscall x32 0x40000027"), "x32: ENOSYS\n");  // getpid of x32
}
TEST(Inside, CharactersCannotBePushedIntoATerminal) {
  // TIOCSTI and TIOCLINUX, also with high bits: the filter answers before the descriptor is looked
  // at.
  for (const char* request : {"0x5412", "0x100005412", "0x541C"}) {
    EXPECT_EQ(out_of(std::string("syscall ioctl 16 0 ") + request + " s:x"), "ioctl: EPERM\n")
        << request;
  }
}
TEST(Inside, SysctlsAreReadOnly) {
  for (const char* file : {"/proc/sys/kernel/hostname", "/proc/sys/user/max_user_namespaces",
                           "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"}) {
    for (const char* user : {"1000", "root"}) {
      SandboxSpec spec = probe(std::string("put ") + file + " x");
      spec.user = user;
      EXPECT_THAT(output(run(spec)),
                  AnyOf("put: EROFS\n", "put: EACCES\n", "put: EPERM\n", "put: ENOENT\n"))
          << file << " as " << user;
    }
  }
}
TEST(Inside, MaskedFilesOfProcAreEmptyOrUnreadable) {
  for (const char* file : {"/proc/kcore", "/proc/keys", "/proc/interrupts", "/proc/timer_list",
                           "/proc/sched_debug", "/proc/latency_stats"}) {
    for (const char* user : {"1000", "root"}) {
      SandboxSpec spec = probe(std::string("read-file ") + file);
      spec.user = user;
      EXPECT_THAT(output(run(spec)),
                  AnyOf("", "read-file: EACCES\n", "read-file: EPERM\n", "read-file: ENOENT\n"))
          << file << " as " << user;
    }
  }
  for (const char* directory : {"/proc/acpi", "/proc/scsi", "/proc/asound"}) {
    EXPECT_THAT(out_of(std::string("list ") + directory), AnyOf("", "list: ENOENT\n")) << directory;
  }
}
TEST(Inside, KernelAddressesAndLogsAreHidden) {
  EXPECT_THAT(out_of("open /proc/kmsg r"), Not(HasSubstr(": ok")));
  EXPECT_THAT(out_of("open /dev/kmsg r"), Not(HasSubstr(": ok")));
  EXPECT_THAT(out_of("open /dev/mem r"), Not(HasSubstr(": ok")));
}
TEST(Inside, DevicesAreTheHarmlessOnes) {
  EXPECT_EQ(out_of("list /dev"),
            "fd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n");
  EXPECT_EQ(out_of("put /dev/null x ; put /dev/full x ; open /dev/urandom r"),
            "put: ok\nput: ENOSPC\nopen: ok\n");
  EXPECT_THAT(out_of("open /dev/ptmx rw"), HasSubstr("open: ok"));
  for (const char* path : {"/dev/new", "/tmp/new", "/workspace/new"}) {
    EXPECT_THAT(out_of(std::string("mknod ") + path + " 0020666 1 3"),
                AnyOf("mknod: EPERM\n", "mknod: EACCES\n", "mknod: EROFS\n"))
        << path;
  }
}
TEST(Inside, NoControlGroupCanBeWritten) {
  SandboxSpec spec = probe(
      "list /sys/fs/cgroup ; put /sys/fs/cgroup/cgroup.procs 0 ; mkdir /sys/fs/cgroup/new ; put "
      "/sys/fs/cgroup/memory.max max");
  for (const char* user : {"1000", "root"}) {
    spec.user = user;
    for (const std::string& line : lines_of(output(run(spec)))) {
      EXPECT_THAT(line, Not(::testing::EndsWith(": ok"))) << line << " as " << user;
    }
  }
}
TEST(Inside, TheControlGroupTellsTheLimitWhereTheKernelCan) {
  if (mechanism_of("memory") != "cgroup-v2") GTEST_SKIP() << "needs cgroup-v2 memory";
  SandboxSpec spec = probe("read-file /sys/fs/cgroup/memory.max");
  spec.resources.memory = mebibytes(96);
  const SandboxResult result = run(spec);
  EXPECT_EQ(output(result), std::to_string(96 << 20) + "\n") << shown(result);
}
TEST(Inside, TheKeysOfTheCallerAreNotThere) {
  // A key in the test's session keyring; the sandbox may ask for it only without the filter.
  const std::string name = unique_marker();
  const long keyring = syscall(SYS_keyctl, 1, nullptr);  // KEYCTL_JOIN_SESSION_KEYRING
  if (keyring < 0 && errno == ENOSYS) GTEST_SKIP() << "needs kernel keys";
  ASSERT_GT(keyring, 0);
  ASSERT_GT(syscall(SYS_add_key, "user", name.c_str(), "x", 1, -3), 0);  // KEY_SPEC_SESSION_KEYRING
  ASSERT_GT(syscall(SYS_request_key, "user", name.c_str(), nullptr, 0), 0);
  for (const bool library : {true, false}) {
    SandboxSpec spec = probe("request-key " + name);
    spec.require[Protection::seccomp] = Requirement::off;
    auto engine = Engine::create();  // its launcher is started from this session
    ASSERT_TRUE(engine);
    const SandboxResult result = library ? engine->run(spec) : run_through_command(spec);
    EXPECT_THAT(output(result), AnyOf("request-key: ENOKEY\n", "request-key: EACCES\n"))
        << shown(result);
  }
}

// ---- the program's own beginnings ----

TEST(Program, BeginsWithUmask022) {
  const mode_t before = umask(077);
  EXPECT_EQ(out_of("umask"), "umask: 022\n");
  umask(before);
  CommandOptions options;
  options.in_child = [] { umask(0); };
  EXPECT_EQ(run_command(cove_run({}, "umask"), options).out, "umask: 022\n");
}
TEST(Program, BeginsWithEverySignalAtItsDefault) {
  for (const char* field : {"SigIgn", "SigBlk", "SigCgt"})
    EXPECT_EQ(status_field(field), "0000000000000000") << field;
}
TEST(Program, DoesNotInheritWhatTheCallerIgnores) {
  CommandOptions options;
  options.in_child = [] {
    for (int number = 1; number < 64; ++number) signal(number, SIG_IGN);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
  };
  const CommandOutcome outcome = run_command(cove_run({}, "read-file /proc/self/status"), options);
  EXPECT_EQ(line_after(outcome.out, "SigIgn:\t"), "0000000000000000") << outcome.err;
  EXPECT_EQ(line_after(outcome.out, "SigBlk:\t"), "0000000000000000");
}
TEST(Program, HasExactlyTheDocumentedEnvironment) {
  setenv("COVE_TEST_SECRET", "x", 1);
  EXPECT_EQ(out_of("env"),
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nHOME=/workspace\n");
  unsetenv("COVE_TEST_SECRET");
}
TEST(Program, GetsTheVariablesThatWereGivenOrAllowed) {
  setenv("COVE_TEST_ALLOWED", "from the host", 1);
  setenv("COVE_TEST_BOTH", "host", 1);
  SandboxSpec spec = probe("env");
  spec.env = {{"GIVEN", "a=b c"}, {"COVE_TEST_BOTH", "spec"}, {"EMPTY", ""}};
  spec.env_allowlist = {"COVE_TEST_ALLOWED", "COVE_TEST_BOTH", "COVE_TEST_UNSET"};
  std::vector<std::string> lines = lines_of(output(run(spec)));
  std::sort(lines.begin(), lines.end());
  EXPECT_THAT(lines,
              ElementsAre("COVE_TEST_ALLOWED=from the host", "COVE_TEST_BOTH=spec",
                          "EMPTY=", "GIVEN=a=b c", "HOME=/workspace",
                          "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
  unsetenv("COVE_TEST_ALLOWED");
  unsetenv("COVE_TEST_BOTH");
}
TEST(Program, BeginsInAWorkspaceOfItsOwn) {
  EXPECT_THAT(out_of("getcwd ; stat /workspace ; put file x"),
              ::testing::MatchesRegex("cwd: /workspace\nstat: 40755 1000 1000 [0-9]+\nput: ok\n"));
}
TEST(Program, BeginsInTheWorkdirThatIsMadeForIt) {
  COVE_NEEDS_MANY_IDS();
  // Root's inside, as Docker makes it: only the default workspace is given to the user.
  SandboxSpec spec = probe("getcwd ; stat /deep/er/place");
  spec.workdir = "/deep/er/place";
  const SandboxResult result = run(spec);
  EXPECT_THAT(output(result), StartsWith("cwd: /deep/er/place\nstat: 40755 0 0 ")) << shown(result);
  spec = probe("getcwd ; put file x");
  spec.workdir = "/tmp/place";
  spec.user = "root";
  EXPECT_EQ(output(run(spec)), "cwd: /tmp/place\nput: ok\n");
}
TEST(Program, BeginsInAWorkdirThatTheImageHas) {
  SandboxSpec spec = probe("getcwd");
  spec.workdir = "/srv";
  EXPECT_EQ(output(run(spec)), "cwd: /srv\n");
}
TEST(Program, AWorkdirThatTheImageHasKeepsItsOwner) {
  COVE_NEEDS_PRIVILEGE();  // else the directory belongs to the program's own user
  const RootDirectory root;
  root.make_directory("/srv/deep", 0700);
  root.make_directory("/usr", 0755);
  struct Case {
    const char* workdir;
    const char* mode;
  };
  for (const Case& each : {Case{"/srv", "40755 65534"}, Case{"/usr", "40755 65534"},
                           Case{"/tmp", "41777 0"}, Case{"/etc", "40755 0"}}) {
    SandboxSpec spec = probe({"getcwd", ";", "stat", "."}, root);
    spec.workdir = each.workdir;
    const SandboxResult result = run(spec);
    EXPECT_THAT(output(result),
                StartsWith(std::string("cwd: ") + each.workdir + "\nstat: " + each.mode + " "))
        << shown(result);
  }
}
TEST(Program, AWorkdirThatTheUserMayNotEnterIsRefused) {
  COVE_NEEDS_PRIVILEGE();  // else the directory belongs to the program's own user
  const RootDirectory root;
  root.make_directory("/srv/deep", 0700);
  SandboxSpec spec = probe({"getcwd"}, root);
  spec.workdir = "/srv/deep";
  const SandboxResult result = run(spec);
  ASSERT_TRUE(result.error) << shown(result);
  EXPECT_EQ(result.error->step, "workdir");
  EXPECT_EQ(result.error->sys_errno, EACCES);
}
TEST(Program, AWorkdirBehindALinkOfTheImageIsInTheRoot) {
  const RootDirectory root;
  root.make_directory("/usr/place");
  root.link("/link", "/usr/place");
  root.link("/up", "../../../../tmp");
  SandboxSpec spec = probe({"getcwd"}, root);
  spec.workdir = "/link";
  EXPECT_EQ(output(run(spec)), "cwd: /usr/place\n");
  spec.workdir = "/up/new";
  EXPECT_EQ(output(run(spec)), "cwd: /tmp/new\n");
  EXPECT_FALSE(exists("/tmp/new"));
}
TEST(Program, AWorkdirThatIsAFileIsRefused) {
  SandboxSpec spec = probe("getcwd");
  spec.workdir = "/etc/passwd";
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::sandbox_error) << shown(result);
  ASSERT_TRUE(result.error);
  EXPECT_THAT(result.error->message(), HasSubstr("/etc/passwd"));
}

// ---- users ----

struct User {
  const char* asked;
  const char* ids;
  const char* home;
};
constexpr User kUsers[] = {
    {"alice", "1001 1001 1001 / 1002 1002 1002 / 29 50", "/home/alice"},
    {"alice:staff", "1001 1001 1001 / 50 50 50 /", "/home/alice"},
    {"1001", "1001 1001 1001 / 1002 1002 1002 / 29 50", "/home/alice"},
    {"4242", "4242 4242 4242 / ", ""},
    {"4242:77", "4242 4242 4242 / 77 77 77 /", ""},
    {"bob:0", "1003 1003 1003 / 0 0 0 /", "/nonexistent"},
    {"root", "0 0 0 / 0 0 0 /", "/root"},
};

TEST(User, IsLookedUpInTheImagesOwnFiles) {
  COVE_NEEDS_MANY_IDS();  // else it is in no other group
  for (const User& user : kUsers) {
    SandboxSpec spec = probe("ids ; env");
    spec.user = user.asked;
    const SandboxResult result = run(spec);
    EXPECT_THAT(output(result), StartsWith(std::string("ids: ") + user.ids))
        << user.asked << shown(result);
    if (*user.home != '\0') {
      EXPECT_EQ(line_after(output(result), "HOME="), user.home);
    }
  }
}
TEST(User, ThatTheImageDoesNotKnowIsRefusedWithTheNamesThatItDoes) {
  SandboxSpec spec = probe("exit 0");
  spec.user = "mallory";
  const SandboxResult result = run(spec);
  ASSERT_TRUE(result.error) << shown(result);
  EXPECT_EQ(result.error->code, ErrorCode::invalid_argument);
  EXPECT_EQ(result.error->where, "$.user");
  EXPECT_THAT(result.error->message(), HasSubstr("alice"));
  EXPECT_EQ(exit_status(result), 125);
}
TEST(User, OfTheHostMeansNothing) {
  SandboxSpec spec = probe("exit 0");
  for (const char* name : {"daemon", "nobody", "4294967296", "4294967295", "-1", "1000x", "+1",
                           "0x0", "1 0", ":", "alice:nogroup"}) {
    spec.user = name;
    const SandboxResult result = run(spec);
    EXPECT_EQ(result.cause, Cause::sandbox_error) << name << shown(result);
  }
}
TEST(User, ALinkAsPasswdStaysInTheImage) {
  const RootDirectory root;
  const TempDirectory outside;
  put_file(outside / "passwd", "intruder:x:0:0::/:/bin/sh\n");
  std::remove(root.outside("/etc/passwd").c_str());
  root.link("/etc/passwd", outside / "passwd");
  SandboxSpec spec = probe({"ids"}, root);
  spec.user = "intruder";
  EXPECT_EQ(run(spec).cause, Cause::sandbox_error);
}

// ---- the root filesystem ----

TEST(Root, NothingOfTheImageCanBeChangedByTheUser) {
  COVE_NEEDS_PRIVILEGE();  // else the image belongs to the program's own user
  const RootDirectory root;
  root.put("/usr/lib/library", "library");
  root.put("/etc/config", "config");
  const SandboxResult result = run(probe({"attack-tree", "/usr", ";", "attack-tree", "/bin", ";",
                                          "attack-tree", "/etc", ";", "mkdir", "/new"},
                                         root));
  for (const std::string& line : lines_of(output(result))) {
    EXPECT_THAT(line, AnyOf(StartsWith("tried: "), "mkdir: EACCES")) << line;
  }
}
TEST(Root, WhatRootWritesInsideStaysInside) {
  const RootDirectory root;
  root.put("/etc/config", "config");
  const std::string binary = contents_of(root.outside("/bin/probe"));
  SandboxSpec spec = probe({"attack-tree", "/bin", ";", "attack-tree", "/etc", ";", "put", "/new",
                            "x", ";", "mkdir", "/srv/new"},
                           root);
  spec.user = "root";
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  EXPECT_EQ(contents_of(root.outside("/etc/config")), "config");
  EXPECT_TRUE(contents_of(root.outside("/bin/probe")) == binary);
  EXPECT_FALSE(exists(root.outside("/new")));
  EXPECT_THAT(names_in(root.outside("/srv")), IsEmpty());
  EXPECT_THAT(names_in(root.path()), ElementsAre("bin", "etc", "srv"));
  EXPECT_THAT(names_in(root.outside("/etc")), ElementsAre("config", "group", "passwd"));
}
TEST(Root, WhatOneRunWritesTheNextDoesNotSee) {
  const SandboxResult first =
      run(probe("put /tmp/left x ; put /workspace/left x ; put /dev/shm/left x"));
  EXPECT_EQ(output(first), "put: ok\nput: ok\nput: ok\n");
  EXPECT_EQ(out_of("list /tmp ; list /workspace ; list /dev/shm"), "");
}
TEST(Root, ReadOnlyLeavesTmpAndTheWorkspaceWritable) {
  SandboxSpec spec = probe(
      "put /tmp/a x ; put /workspace/a x ; put /dev/shm/a x ; open /etc/passwd w ; mkdir /etc/a ; "
      "mkdir /srv/a ; "
      "mkdir /a ; getcwd");
  spec.read_only = true;
  for (const char* user : {"1000", "root"}) {
    spec.user = user;
    EXPECT_THAT(output(run(spec)),
                ::testing::MatchesRegex(
                    "put: ok\nput: ok\nput: ok\nopen: (EROFS|EACCES)\nmkdir: EROFS\nmkdir: EROFS\n"
                    "mkdir: EROFS\ncwd: /workspace\n"))
        << user;
  }
}
TEST(Root, OfSharedIpcNothingIsLeftForTheNext) {
  EXPECT_THAT(out_of("syscall shmget 29 0x1234 4096 0x3ff ; read-file /proc/sysvipc/shm"),
              HasSubstr("shmget: ok"));
  EXPECT_EQ(lines_of(out_of("read-file /proc/sysvipc/shm")).size(), 1u);
}
TEST(Root, AnImageThatShipsLinksForOurPlacesStillGetsThem) {
  const RootDirectory root;
  const TempDirectory victim;
  for (const char* name : {"/dev", "/proc", "/tmp", "/workspace", "/sys"})
    root.link(name, victim.path());
  const SandboxResult result = run(probe({"put", "/tmp/x", "x", ";", "getcwd"}, root));
  EXPECT_THAT(names_in(victim.path()), IsEmpty()) << shown(result);
  if (result.cause == Cause::sandbox_error) {
    ASSERT_TRUE(result.error);
    EXPECT_EQ(result.error->code, ErrorCode::setup_failed);
  }
}

// ---- the network ----

TEST(Network, OfTheHostMustBeSaidTwice) {
  SandboxSpec spec = probe("interfaces");
  spec.network = NetworkMode::host;
  const SandboxResult refused = run(spec);
  ASSERT_TRUE(refused.error) << shown(refused);
  EXPECT_EQ(refused.error->code, ErrorCode::invalid_argument);
  EXPECT_EQ(refused.error->where, "$.network");
  spec.require[Protection::network] = Requirement::off;
  const SandboxResult allowed = run(spec);
  EXPECT_EQ(allowed.cause, Cause::exited) << shown(allowed);
  EXPECT_FALSE(allowed.enforced.contains(Protection::network));
}
TEST(Network, OfTheHostStillHasNoRawSocketsAndNoConfiguration) {
  SandboxSpec spec = probe("socket 2 3 1 ; socket 17 3 ; syscall sethostname 170 s:x 1");
  spec.network = NetworkMode::host;
  spec.require[Protection::network] = Requirement::off;
  spec.user = "root";
  EXPECT_THAT(output(run(spec)), Not(HasSubstr(": ok")));
}

}  // namespace
}  // namespace cove::testing
