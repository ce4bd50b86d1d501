#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <random>

#include "tests/unit/seccomp/calls.h"

namespace cove {
namespace {

constexpr std::uint32_t kEperm = refused(EPERM);
constexpr std::uint32_t kEnosys = refused(ENOSYS);

void expect_all(const char* const* begin, const char* const* end, std::uint32_t expected) {
  const Filter filter = built_in_filter("strict");
  for (const char* const* name = begin; name != end; ++name)
    EXPECT_EQ(answer(filter, call(number_of(*name))), expected) << *name;
}

TEST(StrictFilter, AllowsWhatComputationAndFilesNeed) {
  constexpr const char* kCalls[] = {
      "read",          "write",      "openat",          "openat2",    "close",          "mmap",
      "mprotect",      "brk",        "futex",           "execve",     "fork",           "vfork",
      "wait4",         "waitid",     "pipe2",           "epoll_wait", "eventfd2",       "poll",
      "clock_gettime", "getrandom",  "sched_yield",     "prlimit64",  "rt_sigaction",   "kill",
      "pidfd_open",    "membarrier", "copy_file_range", "sendfile",   "sendmsg",        "recvmsg",
      "fchmodat2",     "rename",     "setsid",          "exit_group", "set_robust_list"};
  expect_all(std::begin(kCalls), std::end(kCalls), kAllow);
}

TEST(StrictFilter, KeepsTheLimitsOfProcess1) {
  const Filter filter = built_in_filter("strict");
  EXPECT_EQ(answer(filter, call(number_of("prlimit64"), {1})), kEperm);
  EXPECT_EQ(answer(filter, call(number_of("prlimit64"), with_high_bits({1}))), kEperm);
  EXPECT_EQ(answer(filter, call(number_of("prlimit64"), {2})), kAllow);
}

TEST(StrictFilter, RefusesWhatReachesBeyondTheProcess) {
  constexpr const char* kCalls[] = {"ptrace",
                                    "process_vm_readv",
                                    "process_vm_writev",
                                    "kcmp",
                                    "pidfd_getfd",
                                    "keyctl",
                                    "add_key",
                                    "request_key",
                                    "unshare",
                                    "setns",
                                    "mount",
                                    "chroot",
                                    "bpf",
                                    "perf_event_open",
                                    "setuid",
                                    "setgroups",
                                    "capset",
                                    "connect",
                                    "bind",
                                    "listen",
                                    "accept4",
                                    "shmget",
                                    "semget",
                                    "msgget",
                                    "mq_open",
                                    "io_setup",
                                    "io_submit",
                                    "modify_ldt",
                                    "fanotify_init",
                                    "inotify_init1",
                                    "name_to_handle_at",
                                    "open_by_handle_at",
                                    "process_madvise",
                                    "syslog"};
  expect_all(std::begin(kCalls), std::end(kCalls), kEperm);
}

TEST(StrictFilter, TellsCallersToGoOnWithout) {
  constexpr const char* kCalls[] = {"clone3",         "seccomp",       "landlock_create_ruleset",
                                    "get_mempolicy",  "set_mempolicy", "mbind",
                                    "splice",         "vmsplice",      "tee",
                                    "io_uring_setup", "userfaultfd",   "memfd_secret"};
  expect_all(std::begin(kCalls), std::end(kCalls), kEnosys);
}

TEST(StrictFilter, LooksAtArguments) {
  expect_answers(built_in_filter("strict"),
                 std::vector<Case>{{"socketpair", {AF_UNIX, SOCK_STREAM}, kAllow},
                                   {"socketpair", {AF_INET, SOCK_STREAM}, refused(EAFNOSUPPORT)},
                                   {"socket", {AF_UNIX, SOCK_STREAM}, refused(EAFNOSUPPORT)},
                                   {"socket", {AF_INET, SOCK_STREAM}, refused(EAFNOSUPPORT)},
                                   {"ioctl", {0, TCGETS}, kAllow},
                                   {"ioctl", {0, FIONBIO}, kAllow},
                                   {"ioctl", {0, TIOCSTI}, refused(ENOTTY)},
                                   {"ioctl", {0, TIOCSCTTY}, refused(ENOTTY)},
                                   {"ioctl", {0, 0x12345678}, refused(ENOTTY)},
                                   {"prctl", {PR_SET_NAME}, kAllow},
                                   {"prctl", {PR_SET_SECCOMP}, refused(EINVAL)},
                                   {"prctl", {PR_CAP_AMBIENT}, refused(EINVAL)},
                                   {"prctl", {PR_SET_PTRACER}, refused(EINVAL)},
                                   {"prctl", {PR_SET_MM}, refused(EINVAL)},
                                   {"clone", {CLONE_VM | CLONE_VFORK | SIGCHLD}, kAllow},
                                   {"clone", {CLONE_NEWUSER | SIGCHLD}, kEperm},
                                   {"personality", {0xffffffff}, kAllow},
                                   {"personality", {0x0040000}, kEperm}});
}

// Whoever changes from default to strict gains nothing.
TEST(StrictFilter, AllowsNothingThatTheDefaultRefuses) {
  const Filter strict = built_in_filter("strict"), usual = built_in_filter("default");
  std::mt19937_64 random(3);
  std::size_t allowed = 0;
  for (int i = 0; i < 200000; ++i) {
    seccomp_data data = call(static_cast<int>(random() % 520));
    for (auto& argument : data.args) {
      constexpr std::uint64_t kValues[] = {0,      1,          2,       3,         4,      10,
                                           15,     16,         36,      0x5401,    0x5412, 0x541b,
                                           0x5421, 0x10000000, 0x20000, 0xffffffff};
      argument = kValues[random() % std::size(kValues)];
      if (random() % 3 == 0) argument |= random() << 32;
    }
    if (answer(strict, data) != kAllow) continue;
    ++allowed;
    ASSERT_EQ(answer(usual, data), kAllow) << data.nr << " " << data.args[0] << " " << data.args[1];
  }
  EXPECT_GT(allowed, 50000u);
}

}  // namespace
}  // namespace cove
