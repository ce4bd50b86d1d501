#include "runtime/seccomp/evaluate.h"

#include <linux/audit.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <vector>

#include "tests/unit/seccomp/calls.h"

namespace cove {
namespace {

using Program = std::vector<sock_filter>;

constexpr sock_filter op(int code, std::uint32_t k = 0, int jt = 0, int jf = 0) {
  return {static_cast<std::uint16_t>(code), static_cast<std::uint8_t>(jt),
          static_cast<std::uint8_t>(jf), k};
}
constexpr sock_filter kReturnA = op(BPF_RET | BPF_A);

void expect_value(const Program& program, std::uint32_t expected) {
  const auto value = evaluate(program, call(7, {0x1122334455667788}));
  ASSERT_TRUE(value.has_value()) << value.error().message();
  EXPECT_EQ(*value, expected);
}

TEST(Evaluate, LoadsTheWordsOfACall) {
  expect_value({op(BPF_LD | BPF_W | BPF_ABS, 0), kReturnA}, 7);
  expect_value({op(BPF_LD | BPF_W | BPF_ABS, 4), kReturnA}, seccomp_arch_native());
  expect_value({op(BPF_LD | BPF_W | BPF_ABS, 16), kReturnA}, 0x55667788);
  expect_value({op(BPF_LD | BPF_W | BPF_ABS, 20), kReturnA}, 0x11223344);
  expect_value({op(BPF_LD | BPF_W | BPF_LEN), kReturnA}, 64);
  expect_value({op(BPF_LDX | BPF_W | BPF_LEN), op(BPF_MISC | BPF_TXA), kReturnA}, 64);
}

TEST(Evaluate, ComputesAsTheKernelDoes) {
  const struct {
    int operation;
    std::uint32_t a, k, result;
  } cases[] = {{BPF_ADD, 0xffffffff, 2, 1},
               {BPF_SUB, 1, 2, 0xffffffff},
               {BPF_MUL, 0x10000, 0x10001, 0x10000},
               {BPF_DIV, 7, 2, 3},
               {BPF_AND, 12, 10, 8},
               {BPF_OR, 12, 10, 14},
               {BPF_XOR, 12, 10, 6},
               {BPF_LSH, 3, 31, 0x80000000},
               {BPF_RSH, 0x80000000, 31, 1},
               {BPF_NEG, 1, 0, 0xffffffff}};
  for (const auto& one : cases) {
    expect_value(
        {op(BPF_LD | BPF_IMM, one.a), op(BPF_ALU | one.operation | BPF_K, one.k), kReturnA},
        one.result);
    expect_value({op(BPF_LDX | BPF_IMM, one.k), op(BPF_LD | BPF_IMM, one.a),
                  op(BPF_ALU | one.operation | BPF_X), kReturnA},
                 one.result);
  }
  expect_value({op(BPF_LDX | BPF_IMM, 0), op(BPF_ALU | BPF_DIV | BPF_X),
                op(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)},
               0);
}

TEST(Evaluate, KeepsRegistersAndMemoryApart) {
  expect_value({op(BPF_LD | BPF_IMM, 5), op(BPF_ST, 15), op(BPF_LDX | BPF_IMM, 9), op(BPF_STX, 0),
                op(BPF_LD | BPF_IMM, 1), op(BPF_MISC | BPF_TAX), op(BPF_LD | BPF_MEM, 15),
                op(BPF_ALU | BPF_ADD | BPF_X), op(BPF_LDX | BPF_MEM, 0),
                op(BPF_ALU | BPF_ADD | BPF_X), kReturnA},
               15);
}

TEST(Evaluate, Jumps) {
  const struct {
    int test;
    std::uint32_t a, k;
    bool taken;
  } cases[] = {{BPF_JEQ, 5, 5, true},  {BPF_JEQ, 5, 6, false},  {BPF_JGT, 6, 5, true},
               {BPF_JGT, 5, 5, false}, {BPF_JGE, 5, 5, true},   {BPF_JGE, 4, 5, false},
               {BPF_JSET, 6, 4, true}, {BPF_JSET, 6, 9, false}, {BPF_JGT, 0x80000000, 1, true}};
  for (const auto& one : cases) {
    for (const int source : {BPF_K, BPF_X}) {
      expect_value({op(BPF_LDX | BPF_IMM, one.k), op(BPF_LD | BPF_IMM, one.a),
                    op(BPF_JMP | one.test | source, source == BPF_K ? one.k : 0, 1, 2),
                    op(BPF_RET | BPF_K, 99), op(BPF_RET | BPF_K, 1), op(BPF_RET | BPF_K, 2)},
                   one.taken ? 1 : 2);
    }
  }
  expect_value({op(BPF_JMP | BPF_JA, 1), op(BPF_RET | BPF_K, 1), op(BPF_RET | BPF_K, 2)}, 2);
}

// In a process of its own: no_new_privs and filters stay for good.
bool kernel_loads(Program program) {
  const pid_t child = fork();
  if (child == 0) {
    const sock_fprog loaded{static_cast<unsigned short>(program.size()), program.data()};
    const bool done = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &loaded) == 0;
    _exit(done ? 0 : 1);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << status;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// What the interpreter refuses, the kernel refuses to load: both are asked.
TEST(Evaluate, RefusesWhatTheKernelWouldNotLoad) {
  const sock_filter end = op(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  const std::vector<Program> programs{{},
                                      {op(BPF_LD | BPF_IMM, 1)},
                                      {op(BPF_LD | BPF_W | BPF_ABS, 2), end},
                                      {op(BPF_LD | BPF_W | BPF_ABS, 64), end},
                                      {op(BPF_LD | BPF_W | BPF_ABS, 0xfffffffc), end},
                                      {op(BPF_LD | BPF_B | BPF_ABS, 0), end},
                                      {op(BPF_LD | BPF_W | BPF_IND, 0), end},
                                      {op(BPF_LD | BPF_MEM, 16), end},
                                      {op(BPF_ST, 16), end},
                                      {op(BPF_ALU | BPF_DIV | BPF_K, 0), end},
                                      {op(BPF_ALU | BPF_MOD | BPF_K, 3), end},
                                      {op(BPF_JMP | BPF_JA, 1), end},
                                      {op(BPF_JMP | BPF_JA, 0xffffffff), end},
                                      {op(BPF_JMP | BPF_JEQ | BPF_K, 7, 1, 1), end},
                                      {op(0xffff), end}};
  for (Program program : programs) {
    EXPECT_FALSE(evaluate(program, call(7)).has_value());
    EXPECT_FALSE(kernel_loads(program));
  }
  EXPECT_TRUE(kernel_loads({end}));
}

// ---- The kernel. ----

struct Attempt {
  seccomp_data data;
  int expected_errno;
  int got_errno;
};

// Runs the calls in a process of their own, under the filters. All of them must be refused.
void make_attempts(const std::vector<Filter>& filters, std::span<Attempt> attempts) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(60);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) _exit(2);
    for (const Filter& filter : filters) {
      sock_fprog program{static_cast<unsigned short>(filter.program.size()),
                         const_cast<sock_filter*>(filter.program.data())};
      if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) _exit(3);
    }
    for (Attempt& attempt : attempts) {
      const auto& a = attempt.data.args;
      const long returned = syscall(attempt.data.nr, a[0], a[1], a[2], a[3], a[4], a[5]);
      attempt.got_errno = returned == -1 ? errno : 0;
    }
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

class SharedAttempts {
 public:
  explicit SharedAttempts(std::size_t count)
      : bytes_(count * sizeof(Attempt)),
        memory_(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)),
        span_(static_cast<Attempt*>(memory_), count) {}
  ~SharedAttempts() { munmap(memory_, bytes_); }
  SharedAttempts(const SharedAttempts&) = delete;
  SharedAttempts& operator=(const SharedAttempts&) = delete;
  std::span<Attempt> span() { return span_; }

 private:
  std::size_t bytes_;
  void* memory_;
  std::span<Attempt> span_;
};

// uretprobe (335) and uprobe (336) of x86-64: trampolines of the kernel's own, which newer ones let
// past every filter. Another caller gets SIGILL from the one and ENXIO from the other (seen
// on 6.18). No filter can say anything there.
bool never_filtered(int number) { return number == 335 || number == 336; }

// Zero where the filter lets the call pass: then it must not be tried.
int refused_with(const Filter& filter, const seccomp_data& data) {
  const std::uint32_t value = answer(filter, data);
  if ((value & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_ERRNO) return 0;
  return static_cast<int>(value & SECCOMP_RET_DATA);
}

std::uint64_t interesting_argument(std::mt19937& random) {
  constexpr std::uint64_t kValues[] = {0,          1,     2,       10,        16,      17,
                                       38,         40,    0x5412,  0x541c,    0x5423,  0x40,
                                       0x400040,   04755, 02755,   06777,     0x20000, 0x10000000,
                                       0x7e020000, 0x400, 0x40000, 0xffffffff};
  const std::uint64_t value = kValues[random() % std::size(kValues)];
  return random() % 2 == 0 ? value : value | (std::uint64_t{random()} << 32);
}

TEST(Evaluate, AgreesWithTheKernelOnRefusedCalls) {
  for (const char* name : {"default", "no-setuid-files"}) {
    const Filter filter = built_in_filter(name);
    std::mt19937 random(20);
    std::vector<Attempt> attempts;
    while (attempts.size() < 600) {
      constexpr const char* kConditional[] = {
          "socket", "socketpair", "ioctl",    "clone",     "unshare", "personality", "open",
          "openat", "chmod",      "fchmodat", "fchmodat2", "mknodat", "mkdir"};
      int number = static_cast<int>(random() % 520);
      if (random() % 2 == 0) number = number_of(kConditional[random() % std::size(kConditional)]);
      if (number < 0 || never_filtered(number)) continue;
      Arguments arguments;
      for (auto& argument : arguments) argument = interesting_argument(random);
      const seccomp_data data = call(number, arguments);
      if (const int error = refused_with(filter, data)) attempts.push_back({data, error, -1});
    }
    SharedAttempts shared(attempts.size());
    std::copy(attempts.begin(), attempts.end(), shared.span().begin());
    make_attempts({filter}, shared.span());
    for (const Attempt& attempt : shared.span()) {
      EXPECT_EQ(attempt.got_errno, attempt.expected_errno)
          << name << ", system call " << attempt.data.nr;
    }
  }
}

TEST(Evaluate, AgreesWithTheKernelOnX32AndUnknownNumbers) {
  const Filter filter = built_in_filter("default");
  SharedAttempts shared(300);
  for (std::size_t i = 0; i < 300; ++i) {
    const int number = i < 150 ? static_cast<int>(i * 3) | 0x40000000 : static_cast<int>(i) + 187;
    const seccomp_data data = call(i < 150 || number < 424 ? number : number + 60);
    shared.span()[i] = {data, refused_with(filter, data), -1};
    ASSERT_EQ(shared.span()[i].expected_errno, ENOSYS) << data.nr;
  }
  make_attempts({filter}, shared.span());
  for (const Attempt& attempt : shared.span())
    EXPECT_EQ(attempt.got_errno, ENOSYS) << attempt.data.nr;
}

// Stacked as a launch stacks them, a setuid file cannot be made by any call, and other files can.
TEST(BuiltInFilters, KeepSetuidFilesFromBeingMadeInTheKernel) {
  char directory[] = "/tmp/seccomp-test-XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  const std::string file = std::string(directory) + "/file";
  const auto path = reinterpret_cast<std::uint64_t>(file.c_str());
  const auto at = static_cast<std::uint64_t>(-100);  // AT_FDCWD
  const std::uint64_t create = 0101;                 // O_CREAT | O_WRONLY
  const std::uint64_t high = std::uint64_t{1} << 32;
  const Attempt attempts[] = {
      {call(SYS_openat, {at, path, create, 0755}), 0,
       -1},  // makes the file, as descriptor 3 or above
      {call(SYS_openat, {at, path, create, 04755}), EPERM, -1},
      {call(SYS_openat, {at, path, create | high, 04755 | high}), EPERM, -1},
      {call(SYS_fchmodat, {at, path, 06755}), EPERM, -1},
      {call(452, {at, path, 06755, 0}), EPERM, -1},
      {call(SYS_mknodat, {at, path, 0100000 | 04755}), EPERM, -1},
      {call(SYS_openat2, {at, path, 0, 0}), ENOSYS, -1},
      {call(SYS_fchmodat, {at, path, 0700}), 0, -1}};
  SharedAttempts shared(std::size(attempts));
  std::copy(std::begin(attempts), std::end(attempts), shared.span().begin());
  make_attempts({built_in_filter("default"), built_in_filter("no-setuid-files")}, shared.span());
  for (const Attempt& attempt : shared.span())
    EXPECT_EQ(attempt.got_errno, attempt.expected_errno) << attempt.data.nr;
  EXPECT_EQ(unlink(file.c_str()), 0);
  EXPECT_EQ(rmdir(directory), 0);
}

#ifdef __x86_64__
// int 0x80 enters as i386, whose numbers mean other calls: 20 is getpid there, writev here.
TEST(BuiltInFilters, CloseThe32BitEntry) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto filter = find_filter("default", -1);
    if (!filter || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) _exit(1);
    const sock_fprog program{static_cast<unsigned short>(filter->program.size()),
                             const_cast<sock_filter*>(filter->program.data())};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) _exit(2);
    long returned = 20;
    asm volatile("int $0x80" : "+a"(returned) : : "memory", "r8", "r9", "r10", "r11");
    _exit(static_cast<int>(returned) == -ENOSYS ? 0 : 3);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  // A kernel without the entry ends the program with SIGSEGV instead.
  EXPECT_TRUE((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
              (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV))
      << status;
}
#endif

}  // namespace
}  // namespace cove
