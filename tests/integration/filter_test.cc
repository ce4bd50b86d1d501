// The kernel's answers to random calls, against the interpreter's (runtime/seccomp/evaluate.h), by
// which everything else about filters is tested.
//
// No call is executed. A guard is loaded first, which refuses everything with an errno of its own;
// then the filter in question. To the kernel an errno goes before "allow", and of two errnos the one
// of the filter that was loaded later counts: so what the filter lets pass comes back as the
// guard's errno, and what it refuses with its own.
#include "runtime/seccomp/filter.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "runtime/seccomp/evaluate.h"
#include "runtime/seccomp/syscall_table.h"
#include "tests/support/files.h"

namespace cove::testing {
namespace {

constexpr std::size_t kCalls = 10000;
constexpr int kPassed = 4000;                // no kernel's errno
constexpr std::uint32_t kByUs = 0x5ec0c0de;  // in the sixth argument: the guard lets it pass

// Of a call: what it was, and errno; 0 where it succeeded.
struct Attempt {
  seccomp_data data;
  int error;
};

// For a child to write into without a system call.
class SharedAttempts {
 public:
  explicit SharedAttempts(std::span<const Attempt> attempts)
      : bytes_(attempts.size_bytes()),
        memory_(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)),
        span_(static_cast<Attempt*>(memory_), attempts.size()) {
    std::copy(attempts.begin(), attempts.end(), span_.begin());
  }
  ~SharedAttempts() { munmap(memory_, bytes_); }
  SharedAttempts(const SharedAttempts&) = delete;
  SharedAttempts& operator=(const SharedAttempts&) = delete;
  std::span<Attempt> span() { return span_; }

 private:
  std::size_t bytes_;
  void* memory_;
  std::span<Attempt> span_;
};

std::vector<sock_filter> guard() {
  constexpr auto kSixth = static_cast<std::uint32_t>(offsetof(seccomp_data, args) + 5 * 8);
  return {{BPF_LD | BPF_W | BPF_ABS, 0, 0, kSixth},
          {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, kByUs},
          {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
          {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | kPassed}};
}

bool load(std::vector<sock_filter>& program) {
  const sock_fprog loaded{static_cast<unsigned short>(program.size()), program.data()};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &loaded, 0, 0, kByUs) == 0;
}

void make_attempts(const Filter& filter, std::span<Attempt> attempts) {
  // Before the fork: there are other threads, and one of them may be inside of malloc.
  std::vector<sock_filter> outer = guard(), inner = filter.program;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(60);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) _exit(2);
    if (!load(outer) || !load(inner)) _exit(3);
    for (Attempt& attempt : attempts) {
      const auto& a = attempt.data.args;
      const long returned = syscall(attempt.data.nr, a[0], a[1], a[2], a[3], a[4], a[5]);
      attempt.error = returned == -1 ? errno : 0;
    }
    syscall(SYS_exit_group, 0, 0, 0, 0, 0, kByUs);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

// What the kernel should say under the guard.
int expected_error(const Filter& filter, const seccomp_data& data) {
  const auto value = evaluate(filter.program, data);
  EXPECT_TRUE(value.has_value());
  if (!value) return -1;
  if ((*value & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO)
    return static_cast<int>(*value & SECCOMP_RET_DATA);
  EXPECT_EQ(*value, SECCOMP_RET_ALLOW);
  return kPassed;
}

class RandomCalls {
 public:
  std::vector<Attempt> attempts() {
    std::vector<Attempt> attempts;
    while (attempts.size() < kCalls) {
      seccomp_data data{};
      data.nr = number();
      data.arch = seccomp_arch_native();
      for (auto& argument : data.args) argument = word();
      // uretprobe and uprobe of x86-64: newer kernels let these past every filter.
      const bool never_filtered = data.nr == 335 || data.nr == 336;
      const bool ours = static_cast<std::uint32_t>(data.args[5]) == kByUs;
      if (!never_filtered && !ours) attempts.push_back({data, -1});
    }
    return attempts;
  }

 private:
  int number() {
    constexpr const char* kConditional[] = {
        "socket", "socketpair", "ioctl", "clone",     "unshare", "personality", "open",  "openat",
        "chmod",  "fchmodat",   "mkdir", "fchmodat2", "mknodat", "prctl",       "clone3"};
    switch (random_() % 8) {
      case 0:
        return static_cast<int>(random_());
      case 1:
        return static_cast<int>(random_() % 700 | 0x40000000);
      case 2:
      case 3:
      case 4:
        return static_cast<int>(random_() % 700);
      default:
        return syscall_number(kConditional[random_() % std::size(kConditional)]).value_or(0);
    }
  }
  std::uint64_t word() {
    constexpr std::uint64_t kValues[] = {
        0,        1,          2,          3,      8,      9,       10,        15,     16,
        17,       36,         38,         39,     40,     41,      47,        04755,  02755,
        06777,    0x20000,    0x20008,    0x5401, 0x5412, 0x541c,  0x541b,    0x5423, 0x40,
        0x400040, 0x10000000, 0x7e020000, 0x400,  0x600,  0x40000, 0xffffffff};
    std::uint64_t value = kValues[random_() % std::size(kValues)];
    if (random_() % 8 == 0) value = random_() & 0xffffffff;
    return random_() % 2 == 0 ? value : value | random_() << 32;
  }

  std::mt19937_64 random_{1};
};

void expect_agreement(const Filter& filter) {
  SharedAttempts shared(RandomCalls().attempts());
  make_attempts(filter, shared.span());
  std::size_t passed = 0, wrong = 0;
  for (const Attempt& attempt : shared.span()) {
    const int expected = expected_error(filter, attempt.data);
    passed += expected == kPassed;
    if (attempt.error == expected) continue;
    if (++wrong <= 10) {
      ADD_FAILURE() << filter.name << ", system call " << attempt.data.nr << ": " << attempt.error
                    << ", not " << expected;
    }
  }
  EXPECT_EQ(wrong, 0u);
  // Agreement is worth something only where both answers came up often.
  EXPECT_GT(passed, kCalls / 20);
  EXPECT_LT(passed, kCalls - kCalls / 20);
}

class Kernel : public ::testing::TestWithParam<const char*> {};

TEST_P(Kernel, AgreesWithTheInterpreterOnTenThousandCalls) {
  const std::string name = GetParam();
  if (name.find('/') != std::string::npos && !exists(name)) GTEST_SKIP() << "needs file " << name;
  const auto filter = find_filter(name, -1, {6, 1, {}});
  ASSERT_TRUE(filter.has_value()) << filter.error().message();
  expect_agreement(*filter);
}

INSTANTIATE_TEST_SUITE_P(Filters, Kernel,
                         ::testing::Values("default", "strict", "no-setuid-files",
                                           COVE_SOURCE_DIR "/tests/fixtures/seccomp/docker.json",
                                           COVE_SOURCE_DIR "/tests/fixtures/seccomp/podman.json",
                                           "/usr/share/containers/seccomp.json"));

}  // namespace
}  // namespace cove::testing
