#include "runtime/seccomp/trace.h"

#include <sys/syscall.h>

#include <random>

#include "runtime/seccomp/compile.h"
#include "tests/unit/seccomp/calls.h"

namespace cove {
namespace {

constexpr std::uint32_t kAsked = SECCOMP_RET_USER_NOTIF;

Filter traced(const Filter& filter) {
  auto program = tracing_filter(filter.program);
  EXPECT_TRUE(program.has_value()) << (program ? "" : program.error().message());
  return {filter.name, program.value_or(std::vector<sock_filter>{}), ""};
}

Filter compiled(std::string_view json) {
  const auto policy = parse_policy(json);
  EXPECT_TRUE(policy.has_value()) << (policy ? "" : policy.error().message());
  const auto program = compile(policy.value_or(Policy{}));
  EXPECT_TRUE(program.has_value());
  return {"test", program.value_or(std::vector<sock_filter>{}), ""};
}

bool passes(std::uint32_t value) { return value == kAllow || value == SECCOMP_RET_LOG; }

// What passes, passes with the same answer; all else is asked about.
void expect_traced(const Filter& filter, const Filter& trace, const seccomp_data& data,
                   std::size_t& asked) {
  const std::uint32_t before = answer(filter, data);
  const std::uint32_t expected = passes(before) ? before : kAsked;
  asked += expected == kAsked;
  ASSERT_EQ(answer(trace, data), expected) << data.nr << " of " << data.arch;
}

class TracingFilter : public testing::TestWithParam<const char*> {};

TEST_P(TracingFilter, AsksAboutExactlyWhatTheFilterRefuses) {
  const auto filter = find_filter(GetParam(), -1, {6, 1, {}});
  ASSERT_TRUE(filter.has_value()) << filter.error().message();
  const Filter trace = traced(*filter);
  std::size_t asked = 0;
  for (const std::uint32_t architecture :
       std::initializer_list<std::uint32_t>{SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_AARCH64}) {
    for (const int bit : {0, 0x40000000}) {
      for (int number = -1; number < 1100; ++number) {
        seccomp_data data = call(number | bit);
        data.arch = architecture;
        expect_traced(*filter, trace, data, asked);
      }
    }
  }
  std::mt19937_64 random{1};
  for (int i = 0; i < 20000; ++i) {
    seccomp_data data = call(static_cast<int>(random() % 470));
    for (auto& argument : data.args) argument = random() >> (random() % 64);
    expect_traced(*filter, trace, data, asked);
  }
  EXPECT_GT(asked, 10000u);
}

INSTANTIATE_TEST_SUITE_P(Filters, TracingFilter,
                         testing::Values("default", "strict", "no-setuid-files",
                                         COVE_SOURCE_DIR "/tests/fixtures/seccomp/docker.json",
                                         COVE_SOURCE_DIR "/tests/fixtures/seccomp/podman.json"));

// One call of each action there is.
constexpr const char* kEveryAction = R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
  {"names": ["sethostname"], "action": "SCMP_ACT_ERRNO", "errnoRet": 33},
  {"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0},
  {"names": ["umount2"], "action": "SCMP_ACT_KILL_PROCESS"},
  {"names": ["swapon"], "action": "SCMP_ACT_KILL_THREAD"},
  {"names": ["swapoff"], "action": "SCMP_ACT_TRAP"},
  {"names": ["reboot"], "action": "SCMP_ACT_TRACE", "errnoRet": 7},
  {"names": ["bpf"], "action": "SCMP_ACT_NOTIFY"},
  {"names": ["getpid"], "action": "SCMP_ACT_LOG"}]})";

TEST(TracingFilterActions, AreAskedAboutUnlessTheyLetTheCallPass) {
  const Filter filter = compiled(kEveryAction);
  const Filter trace = traced(filter);
  const struct {
    const char* syscall;
    std::uint32_t traced;
    const char* name;
  } cases[] = {{"sethostname", kAsked, "EDOM"},     {"mount", kAsked, "errno 0"},
               {"umount2", kAsked, "kill_process"}, {"swapon", kAsked, "kill_thread"},
               {"swapoff", kAsked, "trap"},         {"reboot", kAsked, "ENOSYS"},
               {"bpf", kAsked, "ENOSYS"},           {"getpid", SECCOMP_RET_LOG, "allow"},
               {"getuid", kAllow, "allow"}};
  for (const auto& one : cases) {
    const seccomp_data data = call(number_of(one.syscall));
    EXPECT_EQ(answer(trace, data), one.traced) << one.syscall;
    EXPECT_EQ(answer_name(answer(filter, data)), one.name) << one.syscall;
  }
}

TEST(TracingFilterActions, OfUnknownNumbersAndErrnosHaveNames) {
  EXPECT_EQ(answer_name(SECCOMP_RET_ERRNO | 4000), "errno 4000");
  EXPECT_EQ(answer_name(0x12340000), "kill_process");
}

// The listener's way up.
TEST(UnaskedCalls, PassEvenAFilterThatRefusesEverything) {
  const Filter trace = traced(compiled(R"({"defaultAction": "SCMP_ACT_KILL_PROCESS"})"));
  EXPECT_EQ(answer(trace, call(SYS_sendmsg, {5, 6, 7, kUnasked})), kAllow);
  EXPECT_EQ(answer(trace, call(SYS_close, {5, 0, 0, kUnasked})), kAllow);
}

TEST(UnaskedCalls, AreOnlyTheTwoWithTheWholeMark) {
  const Filter trace = traced(compiled(R"({"defaultAction": "SCMP_ACT_KILL_PROCESS"})"));
  for (int bit = 0; bit < 64; ++bit) {
    const std::uint64_t other = kUnasked ^ std::uint64_t{1} << bit;
    EXPECT_EQ(answer(trace, call(SYS_sendmsg, {5, 6, 7, other})), kAsked) << bit;
  }
  for (int number = 0; number < 500; ++number) {
    if (number == SYS_sendmsg || number == SYS_close) continue;
    EXPECT_EQ(answer(trace, call(number, {5, 6, 7, kUnasked})), kAsked) << number;
  }
  seccomp_data foreign = call(SYS_close, {5, 0, 0, kUnasked});
  foreign.arch = SCMP_ARCH_X86;
  EXPECT_EQ(answer(trace, foreign), kAsked);
}

TEST(TracingFilterSize, IsTheKernelsLimit) {
  std::vector<sock_filter> program(BPF_MAXINSNS - 20, {BPF_LD | BPF_W | BPF_ABS, 0, 0, 0});
  program.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
  EXPECT_TRUE(tracing_filter(program).has_value());
  program.insert(program.begin(), 19, {BPF_LD | BPF_W | BPF_ABS, 0, 0, 0});
  ASSERT_EQ(program.size(), std::size_t{BPF_MAXINSNS});
  const auto refused = tracing_filter(program);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(refused.error().step, "seccomp");
}

TEST(TracingFilterSize, OfAComputedAnswerIsRefused) {
  const std::vector<sock_filter> program{{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
                                         {BPF_RET | BPF_A, 0, 0, 0}};
  const auto refused = tracing_filter(program);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
}

TEST(SyscallNames, AreThoseOfTheCallsArchitecture) {
  const struct {
    std::uint32_t architecture;
    int number;
    const char* name;
    const char* shown;
  } cases[] = {{SCMP_ARCH_X86_64, 0, "read", "x86_64"},
               {SCMP_ARCH_X86_64, 469, "file_setattr", "x86_64"},  // newer than libseccomp
               {SCMP_ARCH_X86_64, 400, "400", "x86_64"},
               {SCMP_ARCH_X86_64, -1, "-1", "x86_64"},
               {SCMP_ARCH_X86_64, 0x40000000, "read", "x32"},
               {SCMP_ARCH_X86_64, 0x40000000 + 5000, "1073746824", "x32"},
               {SCMP_ARCH_X86, 3, "read", "i386"},
               {SCMP_ARCH_AARCH64, 63, "read", "aarch64"},
               {0x12345678, 3, "3", "0x12345678"}};
  for (const auto& one : cases) {
    const SyscallName name = name_syscall(one.architecture, one.number);
    EXPECT_EQ(name.name, one.name) << one.number;
    EXPECT_EQ(name.architecture, one.shown) << one.number;
  }
}

}  // namespace
}  // namespace cove
