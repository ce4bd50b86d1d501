#include <fcntl.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

#include <deque>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "cove/profile.h"
#include "profiles/embedded.h"
#include "tests/unit/seccomp/calls.h"

namespace cove {
namespace {

constexpr std::uint32_t kEperm = refused(EPERM);
constexpr std::uint32_t kEnosys = refused(ENOSYS);
constexpr std::uint32_t kEafnosupport = refused(EAFNOSUPPORT);

// The calls of programs that must run: taken from what the C library, CPython with numpy, Node.js,
// the JVM, Go, Rust, GCC, git, apt, gdb, strace and LeakSanitizer make.
constexpr const char* kOrdinary =
    "accept accept4 access alarm arch_prctl bind brk cachestat capget capset chdir chmod chown "
    "clock_getres clock_gettime clock_nanosleep close close_range connect copy_file_range creat "
    "dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait "
    "eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fallocate "
    "fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr "
    "flock fork fremovexattr fsetxattr fstat fstatfs fsync ftruncate futex futex_waitv "
    "futex_wait futex_wake futex_requeue get_mempolicy get_robust_list getcpu getcwd getdents "
    "getdents64 getegid geteuid getgid getgroups getitimer getpeername getpgid getpgrp getpid "
    "getppid getpriority getrandom getresgid getresuid getrlimit getrusage getsid getsockname "
    "getsockopt gettid gettimeofday getuid getxattr inotify_add_watch inotify_init1 "
    "inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit "
    "ioprio_get ioprio_set kill landlock_add_rule landlock_create_ruleset "
    "landlock_restrict_self lchown lgetxattr link linkat listen listxattr llistxattr "
    "lremovexattr lseek lsetxattr lstat madvise mbind membarrier memfd_create mincore mkdir "
    "mkdirat mknod mknodat mlock mlock2 mlockall mmap mprotect mq_getsetattr mq_notify mq_open "
    "mq_timedreceive mq_timedsend mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync "
    "munlock munlockall munmap nanosleep newfstatat open openat openat2 pause pidfd_open "
    "pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll prctl pread64 "
    "preadv preadv2 prlimit64 process_vm_readv process_vm_writev pselect6 ptrace pwrite64 "
    "pwritev pwritev2 read readahead readlink readlinkat readv recvfrom recvmmsg recvmsg "
    "removexattr rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction "
    "rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait "
    "rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam sched_getscheduler "
    "sched_setaffinity sched_setscheduler sched_yield seccomp select semctl semget semop "
    "semtimedop sendfile sendmmsg sendmsg sendto set_mempolicy set_robust_list set_tid_address "
    "setfsgid setfsuid setgid setgroups setitimer setpgid setpriority setregid setresgid "
    "setresuid setreuid setrlimit setsid setsockopt setuid setxattr shmat shmctl shmdt shmget "
    "shutdown sigaltstack signalfd signalfd4 splice stat statfs statx symlink symlinkat sync "
    "sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun "
    "timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime times tkill "
    "truncate umask uname unlink unlinkat utime utimensat utimes vfork vmsplice wait4 waitid "
    "write writev";

constexpr const char* kRefused =
    "_sysctl acct add_key bpf chroot clock_settime create_module delete_module fanotify_init "
    "finit_module fsconfig fsmount fsopen fspick init_module io_uring_enter io_uring_register "
    "io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie "
    "migrate_pages mount mount_setattr move_mount move_pages name_to_handle_at nfsservctl "
    "open_by_handle_at open_tree open_tree_attr perf_event_open pidfd_getfd pivot_root "
    "process_madvise query_module quotactl quotactl_fd reboot request_key setdomainname "
    "sethostname setns settimeofday swapoff swapon syslog umount2 userfaultfd uselib vhangup";

Case with(const char* name, std::uint32_t answer, Arguments arguments = {}) {
  return Case{name, arguments, answer};
}

// `names` is a list with blanks between.
std::vector<Case> cases_of(const char* names, std::uint32_t answer) {
  static std::deque<std::string> kept;  // a Case only points to its name
  std::vector<Case> cases;
  std::istringstream words(names);
  for (std::string word; words >> word;)
    cases.push_back(with(kept.emplace_back(word).c_str(), answer));
  return cases;
}

TEST(DefaultFilter, AllowsWhatOrdinaryProgramsCall) {
  expect_answers(built_in_filter("default"), cases_of(kOrdinary, kAllow));
}

TEST(DefaultFilter, RefusesWhatOnlyMachinesAndAttacksNeed) {
  expect_answers(built_in_filter("default"), cases_of(kRefused, kEperm));
}

TEST(DefaultFilter, SendsCallersOfClone3ToClone) {
  expect_answers(built_in_filter("default"), std::vector<Case>{with("clone3", kEnosys)});
}

TEST(DefaultFilter, AllowsOnlyListedSocketFamilies) {
  const std::set<std::uint64_t> allowed{AF_UNIX, AF_INET, AF_INET6};
  std::vector<Case> cases;
  for (std::uint64_t family = 0; family < 64; ++family) {
    const std::uint32_t expected = allowed.contains(family) ? kAllow : kEafnosupport;
    for (const char* name : {"socket", "socketpair"}) {
      if (family != AF_NETLINK) cases.push_back(with(name, expected, {family, SOCK_STREAM, 0}));
      if (family != AF_NETLINK) cases.push_back(with(name, expected, {family, SOCK_RAW, 6}));
    }
  }
  // The same families as negative and large numbers are no families.
  for (const std::uint64_t family : {0xffffffffu, 0x80000001u, 0x10001u, 0x101u}) {
    cases.push_back(with("socket", kEafnosupport, {family, SOCK_STREAM, 0}));
  }
  expect_answers(built_in_filter("default"), cases);
}

TEST(DefaultFilter, AllowsOnlyTheRouteProtocolOfNetlink) {
  std::vector<Case> cases{
      with("socket", kAllow, {AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE})};
  for (std::uint64_t protocol = 1; protocol < 40; ++protocol) {
    cases.push_back(with("socket", kEafnosupport, {AF_NETLINK, SOCK_RAW, protocol}));
  }
  cases.push_back(with("socket", kEafnosupport, {AF_NETLINK, SOCK_RAW, 0x80000000}));
  expect_answers(built_in_filter("default"), cases);
}

TEST(DefaultFilter, RefusesTerminalInjectionAndLineDisciplines) {
  expect_answers(built_in_filter("default"),
                 std::vector<Case>{
                     with("ioctl", kEperm, {0, TIOCSTI}), with("ioctl", kEperm, {7, TIOCLINUX}),
                     with("ioctl", kEperm, {7, TIOCSETD}), with("ioctl", kAllow, {0, TCGETS}),
                     with("ioctl", kAllow, {1, TIOCGWINSZ}), with("ioctl", kAllow, {1, TIOCSCTTY}),
                     with("ioctl", kAllow, {3, FIONREAD}), with("ioctl", kAllow, {TIOCSTI, 0})});
}

// Process 1 is init: whoever has its user id could take its descriptors and processor time away.
TEST(DefaultFilter, KeepsTheLimitsOfProcess1) {
  expect_answers(
      built_in_filter("default"),
      std::vector<Case>{with("prlimit64", kEperm, {1, RLIMIT_NOFILE}),
                        with("prlimit64", kEperm, {0xffffffff00000001, RLIMIT_CPU}),
                        with("prlimit64", kAllow, {0, RLIMIT_NOFILE}),
                        with("prlimit64", kAllow, {2, RLIMIT_NOFILE}),
                        with("prlimit64", kAllow, {11, 1}), with("setrlimit", kAllow, {1, 1})});
}

TEST(DefaultFilter, RefusesEveryNamespaceFlagOfClone) {
  std::vector<Case> cases{
      with("clone", kAllow, {SIGCHLD}), with("clone", kAllow, {CLONE_VM | CLONE_VFORK | SIGCHLD}),
      // pthread_create of glibc, and LeakSanitizer's tracer.
      with("clone", kAllow, {0x003d0f00}),
      with("clone", kAllow, {CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_UNTRACED})};
  for (const std::uint64_t flag : {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                   CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET}) {
    cases.push_back(with("clone", kEperm, {flag | SIGCHLD}));
    cases.push_back(with("clone", kEperm, {0x003d0f00 | flag}));
  }
  expect_answers(built_in_filter("default"), cases);
}

TEST(DefaultFilter, LetsUnshareOnlyStopSharing) {
  std::vector<Case> cases{with("unshare", kAllow, {0}), with("unshare", kAllow, {CLONE_FILES}),
                          with("unshare", kAllow, {CLONE_FS | CLONE_FILES | CLONE_SYSVSEM})};
  const std::uint64_t allowed = CLONE_FILES | CLONE_FS | CLONE_SYSVSEM;
  for (int bit = 0; bit < 32; ++bit) {
    const std::uint64_t flag = std::uint64_t{1} << bit;
    if ((flag & allowed) != 0) continue;
    cases.push_back(with("unshare", kEperm, {flag}));
    cases.push_back(with("unshare", kEperm, {flag | CLONE_FILES}));
  }
  expect_answers(built_in_filter("default"), cases);
}

TEST(DefaultFilter, AllowsThePlainPersonalities) {
  std::vector<Case> cases;
  for (const std::uint64_t plain : {0u, 8u, 0x20000u, 0x20008u, 0xffffffffu}) {
    cases.push_back(with("personality", kAllow, {plain}));
  }
  for (const std::uint64_t other :
       {std::uint64_t{READ_IMPLIES_EXEC}, std::uint64_t{ADDR_NO_RANDOMIZE}, std::uint64_t{1}}) {
    cases.push_back(with("personality", kEperm, {other}));
  }
  expect_answers(built_in_filter("default"), cases);
}

// A call that Cove's authors know and have not thought about would be refused silently.
TEST(DefaultFilter, ListsEveryKnownCall) {
  std::set<int> listed;
  const auto source = profile_source("seccomp", "default");
  ASSERT_TRUE(source.has_value());
  const auto document = nlohmann::json::parse(*source);
  for (const auto& group : document["groups"]) {
    for (const auto& name : group["syscalls"]) listed.insert(number_of(name.get<std::string>()));
  }
  const std::vector<bool> known = known_syscalls();
  for (std::size_t number = 0; number < known.size(); ++number) {
    EXPECT_TRUE(!known[number] || listed.contains(static_cast<int>(number))) << number;
  }
}

class EveryFilter : public testing::TestWithParam<const char*> {};

TEST_P(EveryFilter, AnswersEnosysToUnknownNumbers) {
  const Filter filter = built_in_filter(GetParam());
  const std::vector<bool> known = known_syscalls();
  std::size_t unknown = 0;
  for (int number = 0; number < 70000; ++number) {
    if (static_cast<std::size_t>(number) < known.size() && known[static_cast<std::size_t>(number)])
      continue;
    ++unknown;
    ASSERT_EQ(answer(filter, call(number)), kEnosys) << number;
  }
  EXPECT_GT(unknown, 69000u);
  for (const std::uint32_t number :
       {0x7fffffffu, 0x80000000u, 0x80000001u, 0xffffffffu, 0xfffffffeu}) {
    EXPECT_EQ(answer(filter, call(static_cast<int>(number))), kEnosys) << number;
  }
}

TEST_P(EveryFilter, AnswersEnosysToX32) {
  const Filter filter = built_in_filter(GetParam());
  for (int number = 0; number < 1024; ++number) {
    ASSERT_EQ(answer(filter, call(number | 0x40000000)), kEnosys) << number;
    ASSERT_EQ(answer(filter, call(number | static_cast<int>(0xc0000000))), kEnosys) << number;
  }
}

TEST_P(EveryFilter, AnswersEnosysToOtherArchitectures) {
  const Filter filter = built_in_filter(GetParam());
  for (const std::uint32_t arch :
       {std::uint32_t{AUDIT_ARCH_I386}, std::uint32_t{AUDIT_ARCH_ARM},
        std::uint32_t{AUDIT_ARCH_X86_64}, std::uint32_t{AUDIT_ARCH_AARCH64},
        std::uint32_t{AUDIT_ARCH_RISCV64}, 0u, 0xffffffffu}) {
    if (arch == seccomp_arch_native()) continue;
    for (int number = -2; number < 600; ++number) {
      seccomp_data data = call(number);
      data.arch = arch;
      ASSERT_EQ(answer(filter, data), kEnosys) << arch << " " << number;
    }
  }
}

TEST_P(EveryFilter, NeverKills) {
  const Filter filter = built_in_filter(GetParam());
  for (const sock_filter& instruction : filter.program) {
    if (instruction.code != (BPF_RET | BPF_K)) continue;
    const std::uint32_t kind = instruction.k & SECCOMP_RET_ACTION_FULL;
    EXPECT_TRUE(kind == SECCOMP_RET_ALLOW || kind == SECCOMP_RET_ERRNO) << instruction.k;
  }
}

INSTANTIATE_TEST_SUITE_P(BuiltIn, EveryFilter,
                         testing::Values("default", "no-setuid-files", "strict"));

TEST(NoSetuidFilesFilter, RefusesTheBitsInEveryModeArgument) {
  struct ModeCall {
    const char* name;
    std::size_t mode;
    Arguments rest;
  };
  const ModeCall calls[] = {{"chmod", 1, {}},
                            {"fchmod", 1, {}},
                            {"fchmodat", 2, {}},
                            {"fchmodat2", 2, {}},
                            {"creat", 1, {}},
                            {"mkdir", 1, {}},
                            {"mkdirat", 2, {}},
                            {"mknod", 1, {}},
                            {"mknodat", 2, {}},
                            {"open", 2, {0, O_CREAT | O_WRONLY}},
                            {"open", 2, {0, O_TMPFILE | O_RDWR}},
                            {"openat", 3, {0, 0, O_CREAT | O_EXCL | O_RDWR}},
                            {"openat", 3, {0, 0, O_TMPFILE | O_WRONLY}}};
  std::vector<Case> cases;
  for (const ModeCall& one : calls) {
    // umode_t has 16 bits; the file type of mknod stands above the mode.
    for (const std::uint64_t above : {0ull, 0ull + S_IFREG, 0x10000ull, 0x80000000ull}) {
      for (std::uint64_t mode = 0; mode <= 07777; mode += 0111) {
        Arguments arguments = one.rest;
        arguments[one.mode] = above | mode;
        cases.push_back(
            with(one.name, (mode & (S_ISUID | S_ISGID)) != 0 ? kEperm : kAllow, arguments));
      }
      Arguments sticky = one.rest;
      sticky[one.mode] = above | S_ISVTX | 0777;
      cases.push_back(with(one.name, kAllow, sticky));
      Arguments setuid = one.rest, setgid = one.rest;
      setuid[one.mode] = above | 04755;
      setgid[one.mode] = above | 02755;
      cases.push_back(with(one.name, kEperm, setuid));
      cases.push_back(with(one.name, kEperm, setgid));
    }
  }
  expect_answers(built_in_filter("no-setuid-files"), cases);
}

TEST(NoSetuidFilesFilter, LooksAtTheModeOfOpenOnlyWhereAFileMayBeMade) {
  expect_answers(
      built_in_filter("no-setuid-files"),
      std::vector<Case>{with("open", kAllow, {0, O_RDONLY, 07777}),
                        with("open", kAllow, {0, O_DIRECTORY | O_RDONLY, 07777}),
                        with("openat", kAllow, {0, 0, O_RDWR | O_TRUNC | O_APPEND, 07777})});
}

TEST(NoSetuidFilesFilter, LeavesNoWayThatHidesTheMode) {
  expect_answers(
      built_in_filter("no-setuid-files"),
      std::vector<Case>{with("openat2", kEnosys), with("io_uring_setup", kEperm),
                        with("io_uring_enter", kEperm), with("io_uring_register", kEperm)});
}

TEST(NoSetuidFilesFilter, AllowsEverythingElse) {
  const Filter filter = built_in_filter("no-setuid-files");
  const std::set<std::string> its_own{
      "chmod",  "fchmod",  "fchmodat",       "fchmodat2",      "creat",
      "mkdir",  "mkdirat", "mknod",          "mknodat",        "open",
      "openat", "openat2", "io_uring_setup", "io_uring_enter", "io_uring_register"};
  std::set<int> numbers;
  for (const std::string& name : its_own) numbers.insert(number_of(name));
  const std::vector<bool> known = known_syscalls();
  for (std::size_t number = 0; number < known.size(); ++number) {
    if (!known[number] || numbers.contains(static_cast<int>(number))) continue;
    EXPECT_EQ(
        answer(filter, call(static_cast<int>(number), {~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull})),
        kAllow)
        << number;
  }
}

TEST(Profiles, AreListedWithTheirSources) {
  std::set<std::string> names;
  for (const ProfileInfo& info : list_profiles()) {
    if (info.kind == "seccomp") names.insert(info.name);
    const auto source = profile_source(info.kind, info.name);
    ASSERT_TRUE(source.has_value()) << info.name;
    const auto document = nlohmann::json::parse(*source, nullptr, false);
    EXPECT_EQ(document.value("description", ""), info.description) << info.name;
    EXPECT_EQ(info.description.find('\n'), std::string::npos);
  }
  EXPECT_EQ(names, (std::set<std::string>{"default", "no-setuid-files", "strict"}));
}

TEST(Profiles, AreNamedWhereOneIsAskedForThatIsNot) {
  const auto source = profile_source("seccomp", "defualt");
  ASSERT_FALSE(source.has_value());
  EXPECT_EQ(source.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(source.error().hint.find("seccomp default"), std::string::npos);
}

}  // namespace
}  // namespace cove
