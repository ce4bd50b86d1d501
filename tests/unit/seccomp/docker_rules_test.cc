#include "runtime/seccomp/docker_rules.h"

#include <algorithm>
#include <fstream>
#include <random>

#include "runtime/seccomp/argument_width.h"
#include "runtime/seccomp/compile.h"
#include "runtime/seccomp/docker_policy.h"
#include "tests/unit/seccomp/calls.h"
#include "tests/unit/seccomp/libseccomp_filter.h"

namespace cove {
namespace {

constexpr Action kAllowIt{ActionKind::allow, 0};
constexpr Action error_of(int number) { return {ActionKind::error, number}; }

using Op = DockerOperator;

std::vector<sock_filter> compiled(const DockerProfile& profile) {
  const auto program = compile(policy_of(profile));
  EXPECT_TRUE(program.has_value()) << (program ? "" : program.error().message());
  return program.value_or(std::vector<sock_filter>{});
}

std::uint32_t answer(const std::vector<sock_filter>& program, const seccomp_data& data) {
  const auto result = evaluate(program, data);
  EXPECT_TRUE(result.has_value());
  return result.value_or(0xdeadbeef);
}

// ---- Against libseccomp. ----

int newest_of(const DockerProfile& profile) {
  int newest = 0;
  for (const DockerRule& rule : profile.rules)
    newest = std::max(newest, syscall_number(rule.syscall).value_or(0));
  return newest;
}

// libseccomp's answer, behind the ENOSYS that runc puts before it.
class Reference {
 public:
  explicit Reference(const DockerProfile& profile)
      : program_(libseccomp_filter(profile)), newest_(newest_of(profile)) {
    const ActionKind kind = profile.default_action.kind;
    lets_newer_pass_ =
        kind == ActionKind::allow || kind == ActionKind::log || kind == ActionKind::trace;
  }
  explicit operator bool() const { return program_.has_value(); }
  std::uint32_t answer_to(const seccomp_data& data) const {
    if (data.nr > newest_ && !lets_newer_pass_) return refused(ENOSYS);
    return answer(*program_, data);
  }

 private:
  std::optional<std::vector<sock_filter>> program_;
  int newest_;
  bool lets_newer_pass_;
};

class Profiles {
 public:
  explicit Profiles(unsigned seed) : random_(seed) {}

  // With rules that libseccomp gets right: where a call has several, either each has one condition
  // or all compare for equality only.
  DockerProfile profile() {
    DockerProfile profile;
    profile.default_action = action();
    for (const char* name : kNames) {
      const int rules = below(5);
      const int most = below(2) == 0 ? 1 : 3;
      for (int i = 0; i < rules; ++i)
        profile.rules.push_back(rule(name, 1 + below(most), most == 1 || rules == 1));
    }
    std::shuffle(profile.rules.begin(), profile.rules.end(), random_);
    return profile;
  }

  seccomp_data data() {
    const char* name = kNames[static_cast<std::size_t>(below(static_cast<int>(kNames.size())))];
    seccomp_data data = call(number_of(name));
    for (auto& argument : data.args) argument = static_cast<std::uint64_t>(below(8));
    return data;
  }

  int below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }

 private:
  static constexpr std::array<const char*, 8> kNames{"socket", "ioctl", "clone", "personality",
                                                     "mmap",   "read",  "chmod", "faccessat2"};

  Action action() {
    switch (below(6)) {
      case 0:
      case 1:
        return kAllowIt;
      case 2:
        return error_of(EPERM);
      case 3:
        return error_of(below(3));
      default:
        return {static_cast<ActionKind>(below(8)), 0};
    }
  }
  DockerRule rule(const char* name, int conditions, bool any_operator) {
    DockerRule rule{name, action(), {}};
    if (below(8) == 0) return rule;
    for (int i = 0; i < conditions; ++i) rule.conditions.push_back(condition(any_operator));
    return rule;
  }
  DockerCondition condition(bool any_operator) {
    DockerCondition condition;
    condition.index = static_cast<unsigned>(below(3));
    condition.value = static_cast<std::uint64_t>(below(6));
    condition.op = any_operator ? static_cast<Op>(below(7)) : Op::equal;
    if (!any_operator && below(2) == 0) condition.op = Op::masked_equal;
    if (condition.op != Op::masked_equal) return condition;
    condition.value = static_cast<std::uint64_t>(1 + below(7));
    condition.value_two = static_cast<std::uint64_t>(below(8));
    return condition;
  }

  std::mt19937_64 random_;
};

TEST(DockerRules, AreWhatLibseccompMakesOfRandomOnes) {
  std::size_t compared = 0, refused_by_libseccomp = 0;
  std::map<std::uint32_t, std::size_t> answers;
  for (unsigned seed = 0; seed < 400; ++seed) {
    Profiles random(seed);
    const DockerProfile profile = random.profile();
    const Reference reference(profile);
    if (!reference) {
      ++refused_by_libseccomp;
      continue;
    }
    const std::vector<sock_filter> ours = compiled(profile);
    for (int i = 0; i < 400; ++i) {
      const seccomp_data data = random.data();
      const std::uint32_t expected = reference.answer_to(data);
      ASSERT_EQ(answer(ours, data), expected)
          << "seed " << seed << ", system call " << data.nr << " " << data.args[0] << " "
          << data.args[1] << " " << data.args[2];
      ++answers[expected & SECCOMP_RET_ACTION_FULL];
      ++compared;
    }
  }
  EXPECT_GT(compared, 60000u);
  EXPECT_LT(refused_by_libseccomp, 200u);
  EXPECT_EQ(answers.size(), 8u);
}

DockerProfile published(const std::string& file, const Circumstances& circumstances) {
  std::ifstream stream(COVE_SOURCE_DIR "/tests/fixtures/seccomp/" + file);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  DocumentReader document;
  const auto json = document.parse(text);
  EXPECT_TRUE(json.has_value()) << file;
  if (!json) return {};
  DockerProfile profile = read_docker_profile(document, *json, circumstances);
  EXPECT_FALSE(document.mistakes().has_value()) << document.mistakes()->message();
  return profile;
}

// The values that the published profiles speak of, and their neighbours.
std::uint64_t argument(std::mt19937_64& random) {
  constexpr std::uint64_t kValues[] = {0,          1,          2,          8,   9,       16,
                                       38,         39,         40,         41,  0x20000, 0x20008,
                                       0xffffffff, 0x7e020000, 0x10000000, 0x11};
  const std::uint64_t near = random() % 5 == 0 ? random() % 3 - 1 : 0;
  return (kValues[random() % std::size(kValues)] + near) & 0xffffffff;
}

class PublishedRules : public testing::TestWithParam<const char*> {};

TEST_P(PublishedRules, ProfileIsWhatLibseccompMakesOfIt) {
  const std::vector<std::vector<std::string>> held{
      {}, {"sys_ptrace", "net_admin"}, {"sys_chroot"}, {"sys_admin", "audit_write", "syslog"}};
  for (const auto& capabilities : held) {
    const DockerProfile profile = published(GetParam(), {6, 1, capabilities});
    const Reference reference(profile);
    ASSERT_TRUE(reference);
    const std::vector<sock_filter> ours = compiled(profile);
    const std::vector<bool> known = known_syscalls();
    std::mt19937_64 random(7);
    for (int i = 0; i < 20000; ++i) {
      seccomp_data data = call(static_cast<int>(random() % known.size()));
      constexpr const char* kConditional[] = {"socket", "personality", "clone"};
      if (i % 2 == 0) data.nr = number_of(kConditional[random() % 3]);
      if (!known[static_cast<std::size_t>(data.nr)]) continue;
      for (auto& each : data.args) each = argument(random);
      const std::uint32_t expected = reference.answer_to(data);
      ASSERT_EQ(answer(ours, data), expected) << data.nr << " " << data.args[0];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(DockerRules, PublishedRules,
                         testing::Values("docker.json", "docker-old-format.json", "podman.json"));

// ---- The width of arguments. ----

// What the kernel does not look at must not change the answer.
TEST(DockerRules, AnswerAsIfBitsThatTheKernelIgnoresWereClear) {
  constexpr const char* kNames[] = {"socket", "personality", "clone",  "ioctl", "mmap",
                                    "chmod",  "openat",      "ptrace", "read",  "prctl"};
  std::mt19937_64 random(11);
  std::size_t changed = 0;
  for (int round = 0; round < 250; ++round) {
    const char* name = kNames[random() % std::size(kNames)];
    const auto op = static_cast<Op>(random() % 7);
    const unsigned index = static_cast<unsigned>(random() % 5);
    const std::uint64_t value = random() % 4 + (random() % 3 == 0 ? 0x7e020000 : 0);
    const DockerProfile profile{error_of(EPERM),
                                {{name, kAllowIt, {{index, op, value, random() % 4 & value}}}}};
    const auto reference = libseccomp_filter(profile);
    ASSERT_TRUE(reference.has_value());
    const std::vector<sock_filter> ours = compiled(profile);
    for (int i = 0; i < 80; ++i) {
      seccomp_data clear = call(number_of(name)), dirty = clear;
      for (unsigned at = 0; at < 6; ++at) {
        const std::uint64_t seen = bits_seen_by_kernel(name, at);
        clear.args[at] = (random() % 6 + (random() % 4 == 0 ? 0x7e020000 : 0)) & seen;
        dirty.args[at] = clear.args[at] | (random() & ~seen);
      }
      const std::uint32_t expected = answer(*reference, clear);
      ASSERT_EQ(answer(ours, dirty), expected) << name << " " << index;
      if (answer(*reference, dirty) != expected) ++changed;
    }
  }
  EXPECT_GT(changed, 500u);  // libseccomp's own filter would have been passed, or was too strict
}

TEST(DockerRules, CannotBePassedByTheHighHalfOfAnInt) {
  // Docker 20.10.19 on: every family but AF_VSOCK. Docker 29: neither AF_ALG.
  const DockerProfile profile{error_of(EPERM),
                              {{"socket", kAllowIt, {{0, Op::less, 38, 0}}},
                               {"socket", kAllowIt, {{0, Op::equal, 39, 0}}},
                               {"socket", kAllowIt, {{0, Op::greater, 40, 0}}}}};
  const std::vector<sock_filter> program = compiled(profile);
  for (const std::uint64_t high : {0ull, 1ull << 32, 0xffffffffull << 32, 1ull << 63}) {
    for (const std::uint64_t family : {38ull, 40ull}) {
      EXPECT_EQ(answer(program, call(number_of("socket"), {family | high})), refused(EPERM));
    }
    for (const std::uint64_t family : {1ull, 2ull, 10ull, 16ull, 39ull, 41ull}) {
      EXPECT_EQ(answer(program, call(number_of("socket"), {family | high})), kAllow);
    }
  }
}

TEST(DockerRules, CompareAModeAs16Bits) {
  const DockerProfile profile{kAllowIt, {{"chmod", error_of(EPERM), {{1, Op::equal, 04755, 0}}}}};
  const std::vector<sock_filter> program = compiled(profile);
  for (const std::uint64_t above : {0ull, 0x10000ull, 0xfffffffffffff000ull & ~0xffffull}) {
    EXPECT_EQ(answer(program, call(number_of("chmod"), {0, 04755 | above})), refused(EPERM));
  }
  EXPECT_EQ(answer(program, call(number_of("chmod"), {0, 0755})), kAllow);
}

TEST(DockerRules, CompareSizesAndAddressesAs64Bits) {
  const DockerProfile profile{error_of(EPERM),
                              {{"mmap", kAllowIt, {{1, Op::less_or_equal, 4096, 0}}}}};
  const std::vector<sock_filter> program = compiled(profile);
  EXPECT_EQ(answer(program, call(number_of("mmap"), {0, 4096})), kAllow);
  EXPECT_EQ(answer(program, call(number_of("mmap"), {0, 4096 | 1ull << 32})), refused(EPERM));
}

TEST(DockerRules, TakeNegativeNumbersForWhatTheKernelSees) {
  const std::uint64_t minus_one = ~0ull, minus_hundred = static_cast<std::uint64_t>(-100);
  const DockerProfile profile{error_of(EPERM),
                              {{"personality", kAllowIt, {{0, Op::equal, minus_one, 0}}},
                               {"openat", kAllowIt, {{0, Op::masked_equal, ~0ull, minus_hundred}}},
                               {"kill", kAllowIt, {{0, Op::greater_or_equal, minus_hundred, 0}}}}};
  const std::vector<sock_filter> program = compiled(profile);
  for (const std::uint64_t high : {0ull, 0xffffffffull << 32, 1ull << 40}) {
    EXPECT_EQ(answer(program, call(number_of("personality"), {0xffffffff | high})), kAllow);
    EXPECT_EQ(answer(program, call(number_of("openat"), {0xffffff9c | high})), kAllow);
    EXPECT_EQ(answer(program, call(number_of("kill"), {0xffffffff | high})), kAllow);
  }
  EXPECT_EQ(answer(program, call(number_of("openat"), {3})), refused(EPERM));
  EXPECT_EQ(answer(program, call(number_of("kill"), {1})), refused(EPERM));
}

// A value with bits that the kernel never sees: no argument equals it, every one is below it.
TEST(DockerRules, KnowWhatNoArgumentCanBe) {
  const std::uint64_t beyond = std::uint64_t{1} << 32 | 1;
  const struct {
    Op op;
    bool holds;
  } cases[] = {{Op::equal, false},        {Op::not_equal, true}, {Op::less, true},
               {Op::less_or_equal, true}, {Op::greater, false},  {Op::greater_or_equal, false},
               {Op::masked_equal, false}};
  for (const auto& one : cases) {
    const bool masked = one.op == Op::masked_equal;
    const DockerProfile profile{
        error_of(EPERM),
        {{"socket", kAllowIt, {{0, one.op, masked ? ~0ull : beyond, masked ? beyond : 0}}}}};
    const std::vector<sock_filter> program = compiled(profile);
    for (const std::uint64_t family : {std::uint64_t{0}, std::uint64_t{1}, beyond, beyond - 1}) {
      EXPECT_EQ(answer(program, call(number_of("socket"), {family})),
                one.holds ? kAllow : refused(EPERM))
          << static_cast<int>(one.op) << " " << family;
    }
  }
  const DockerProfile high_mask{
      error_of(EPERM), {{"socket", kAllowIt, {{0, Op::masked_equal, 0xffffffffull << 32, 0}}}}};
  EXPECT_EQ(answer(compiled(high_mask), call(number_of("socket"), {1ull << 32 | 2})), kAllow);
}

// ---- Several rules of one call. ----

TEST(DockerRules, WithoutConditionsWinOverThoseWithThem) {
  const DockerRule any{"ioctl", kAllowIt, {}};
  const DockerRule one{"ioctl", error_of(EIO), {{1, Op::equal, 0x5412, 0}}};
  for (const auto& rules : {std::vector{any, one}, std::vector{one, any}}) {
    const std::vector<sock_filter> program = compiled({error_of(EPERM), rules});
    EXPECT_EQ(answer(program, call(number_of("ioctl"), {0, 0x5412})), kAllow);
  }
}

TEST(DockerRules, ThatSayTheDefaultAreDropped) {
  const DockerRule redundant{"socket", error_of(EPERM), {{0, Op::equal, 16, 0}}};
  const DockerRule also_redundant{"socket", error_of(EPERM), {}};
  const DockerRule most{"socket", kAllowIt, {{0, Op::not_equal, 40, 0}}};
  const std::vector<sock_filter> program =
      compiled({error_of(EPERM), {redundant, most, also_redundant}});
  EXPECT_EQ(answer(program, call(number_of("socket"), {16})), kAllow);
  EXPECT_EQ(answer(program, call(number_of("socket"), {40})), refused(EPERM));
}

TEST(DockerRules, ThatNameAnArgumentTwiceHoldWhereEitherConditionDoes) {
  const DockerProfile profile{
      error_of(EPERM),
      {{"socket", kAllowIt, {{0, Op::equal, 1, 0}, {0, Op::equal, 2, 0}, {1, Op::equal, 7, 0}}}}};
  const std::vector<sock_filter> program = compiled(profile);
  EXPECT_EQ(answer(program, call(number_of("socket"), {1, 0})), kAllow);
  EXPECT_EQ(answer(program, call(number_of("socket"), {2, 0})), kAllow);
  EXPECT_EQ(answer(program, call(number_of("socket"), {3, 7})), kAllow);
  EXPECT_EQ(answer(program, call(number_of("socket"), {3, 0})), refused(EPERM));
}

// libseccomp 2.5.4 lets socket(0, 4) pass under these rules, and answers the default to calls that
// rules allow under others; with a third such rule it may never return.
TEST(DockerRules, HoldAlsoWhereLibseccompMixesThemUp) {
  const DockerProfile profile{
      error_of(EPERM),
      {{"socket", kAllowIt, {{2, Op::equal, 3, 0}, {1, Op::not_equal, 1, 0}}},
       {"socket", kAllowIt, {{2, Op::not_equal, 2, 0}, {1, Op::not_equal, 4, 0}}}}};
  const std::vector<sock_filter> program = compiled(profile);
  for (std::uint64_t type = 0; type < 6; ++type) {
    for (std::uint64_t protocol = 0; protocol < 6; ++protocol) {
      const bool allowed = (protocol == 3 && type != 1) || (protocol != 2 && type != 4);
      EXPECT_EQ(answer(program, call(number_of("socket"), {0, type, protocol})),
                allowed ? kAllow : refused(EPERM))
          << type << " " << protocol;
    }
  }
}

TEST(DockerRules, PassOverNamesThatAreNotKnown) {
  const std::vector<sock_filter> program = compiled(
      {error_of(EPERM),
       {{"no_such_call", kAllowIt, {}}, {"socketcall", kAllowIt, {}}, {"read", kAllowIt, {}}}});
  EXPECT_EQ(answer(program, call(number_of("read"))), kAllow);
  EXPECT_EQ(answer(program, call(number_of("pause"))), refused(ENOSYS)) << "newer than read";
}

TEST(DockerRules, AnswerEnosysToWhatIsNewerThanTheProfile) {
  const DockerRule openat2{"openat2", kAllowIt, {}};
  const std::vector<sock_filter> strict = compiled({error_of(EPERM), {openat2}});
  EXPECT_EQ(answer(strict, call(number_of("open"))), refused(EPERM));
  EXPECT_EQ(answer(strict, call(number_of("faccessat2"))), refused(ENOSYS));
  EXPECT_EQ(answer(strict, call(number_of("fchmodat2"))), refused(ENOSYS));
  // What only logs or asks lets pass, also what is newer; what nobody knows stays unknown.
  const DockerRule denied{"openat2", error_of(EPERM), {}};
  const std::vector<sock_filter> open = compiled({kAllowIt, {denied}});
  EXPECT_EQ(answer(open, call(number_of("fchmodat2"))), kAllow);
  EXPECT_EQ(answer(open, call(9999)), refused(ENOSYS));
}

// ---- The table of widths. ----

TEST(ArgumentWidth, IsTheKernelsOwn) {
  constexpr std::uint64_t kAll = ~0ull, kInt = 0xffffffff, kMode = 0xffff;
  const struct {
    const char* syscall;
    std::vector<std::uint64_t> seen;
  } cases[] = {{"socket", {kInt, kInt, kInt, kAll}},
               {"personality", {kInt}},
               {"clone", {kInt, kAll, kAll, kAll, kAll}},
               {"ioctl", {kInt, kInt, kAll}},
               {"prctl", {kInt, kAll, kAll}},
               {"mmap", {kAll, kAll, kInt, kInt, kInt, kAll}},
               {"openat", {kInt, kAll, kInt, kMode}},
               {"chmod", {kAll, kMode}},
               {"ptrace", {kAll, kInt, kAll}},
               {"unshare", {kAll}},
               {"read", {kInt, kAll, kAll}},
               {"no_such_call", {kAll}}};
  for (const auto& one : cases) {
    for (unsigned index = 0; index < one.seen.size(); ++index)
      EXPECT_EQ(bits_seen_by_kernel(one.syscall, index), one.seen[index]) << one.syscall << index;
  }
}

}  // namespace
}  // namespace cove
