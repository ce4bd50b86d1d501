#include "runtime/seccomp/compile.h"

#include <algorithm>
#include <map>
#include <random>

#include "runtime/seccomp/policy.h"
#include "tests/unit/seccomp/calls.h"

namespace cove {
namespace {

std::uint32_t value_of(const Action& action) {
  const auto data = static_cast<std::uint32_t>(action.data);
  switch (action.kind) {
    case ActionKind::allow:
      return 0x7fff0000;
    case ActionKind::log:
      return 0x7ffc0000;
    case ActionKind::trace:
      return 0x7ff00000 | data;
    case ActionKind::notify:
      return 0x7fc00000;
    case ActionKind::error:
      return 0x00050000 | data;
    case ActionKind::trap:
      return 0x00030000;
    case ActionKind::kill_thread:
      return 0;
    case ActionKind::kill_process:
      return 0x80000000;
  }
  return 0xdeadbeef;
}

bool holds(const Condition& condition, const seccomp_data& data) {
  std::uint64_t argument = data.args[condition.argument];
  if (condition.width == ArgumentWidth::bits32) argument &= 0xffffffff;
  switch (condition.comparison) {
    case Comparison::any_bit:
      return (argument & condition.mask) != 0;
    case Comparison::only_bits:
      return (argument & ~condition.mask) == 0;
    default:
      break;
  }
  argument &= condition.mask;
  const auto& values = condition.values;
  const bool listed = std::count(values.begin(), values.end(), argument) > 0;
  switch (condition.comparison) {
    case Comparison::is_not:
      return !listed;
    case Comparison::less:
      return argument < values[0];
    case Comparison::less_or_equal:
      return argument <= values[0];
    case Comparison::greater:
      return argument > values[0];
    case Comparison::greater_or_equal:
      return argument >= values[0];
    default:
      return listed;
  }
}

// What policy.h says in words.
std::uint32_t decide(const Policy& policy, const seccomp_data& data) {
  for (const SyscallGroup& group : policy.groups) {
    if (std::count(group.numbers.begin(), group.numbers.end(), data.nr) == 0) continue;
    for (const Rule& rule : group.rules) {
      if (std::all_of(rule.conditions.begin(), rule.conditions.end(),
                      [&](const Condition& one) { return holds(one, data); })) {
        return value_of(rule.action);
      }
    }
    return value_of(group.otherwise);
  }
  const std::vector<bool> known = known_syscalls();
  const auto index = static_cast<std::size_t>(data.nr);
  return index < known.size() && known[index] ? value_of(policy.default_action) : refused(ENOSYS);
}

class RandomPolicies {
 public:
  explicit RandomPolicies(unsigned seed) : random_(seed) {}

  Policy policy() {
    Policy policy;
    policy.default_action = action();
    std::vector<int> numbers(480);
    for (std::size_t i = 0; i < numbers.size(); ++i)
      numbers[i] = static_cast<int>(i) + (i >= 475 ? 500 : 0);
    std::shuffle(numbers.begin(), numbers.end(), random_);
    for (int i = below(12); i >= 0; --i) {
      SyscallGroup group;
      for (int j = below(30); j >= 0; --j) {
        group.numbers.push_back(numbers.back());
        numbers.pop_back();
      }
      for (int j = below(4); j > 0; --j) group.rules.push_back(rule());
      group.otherwise = action();
      policy.groups.push_back(group);
    }
    return policy;
  }

  // Near what the policy's conditions speak of.
  seccomp_data data(const Policy& policy) {
    const auto& group =
        policy.groups[static_cast<std::size_t>(below(static_cast<int>(policy.groups.size())))];
    seccomp_data data = call(
        group.numbers[static_cast<std::size_t>(below(static_cast<int>(group.numbers.size())))]);
    for (auto& argument : data.args) argument = word();
    for (const Rule& rule : group.rules) {
      for (const Condition& condition : rule.conditions) {
        if (below(4) == 0) continue;
        auto& argument = data.args[condition.argument];
        if (condition.comparison == Comparison::any_bit) argument &= ~condition.mask;
        if (condition.comparison == Comparison::only_bits) argument &= condition.mask;
        if (!condition.values.empty()) argument = condition.values[0];
        if (below(3) == 0) argument ^= std::uint64_t{1} << below(64);
        if (below(4) == 0) argument += static_cast<std::uint64_t>(below(3) - 1);
      }
    }
    return data;
  }

  int below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }

 private:
  std::uint64_t word() {
    return (random_() << 32 | (random_() & 0xffffffff)) & (below(2) == 0 ? ~0ull : 0xffull);
  }
  Action action() {
    const auto kind = static_cast<ActionKind>(below(8));
    if (kind == ActionKind::error) return {kind, below(2) == 0 ? EPERM : below(4096)};
    return {kind, kind == ActionKind::trace ? below(65536) : 0};
  }
  Rule rule() {
    Rule rule{{}, action()};
    for (int i = below(3); i >= 0; --i) rule.conditions.push_back(condition());
    return rule;
  }
  Condition condition() {
    Condition condition;
    condition.argument = static_cast<unsigned>(below(6));
    condition.width = below(2) == 0 ? ArgumentWidth::bits32 : ArgumentWidth::bits64;
    condition.comparison = static_cast<Comparison>(below(8));
    const std::uint64_t all = condition.width == ArgumentWidth::bits32 ? 0xffffffff : ~0ull;
    condition.mask = word() & all;
    if (condition.comparison == Comparison::any_bit) return condition;
    if (condition.comparison == Comparison::only_bits) return condition;
    if (below(2) == 0) condition.mask = all;
    const bool several =
        condition.comparison == Comparison::is || condition.comparison == Comparison::is_not;
    for (int i = several ? below(5) : 0; i >= 0; --i)
      condition.values.push_back(word() & condition.mask);
    return condition;
  }

  std::mt19937_64 random_;
};

TEST(Compile, AgreesWithThePolicyOnRandomPoliciesAndCalls) {
  std::map<std::uint32_t, std::size_t> by_kind;
  for (unsigned seed = 0; seed < 60; ++seed) {
    RandomPolicies random(seed);
    const Policy policy = random.policy();
    const auto program = compile(policy);
    ASSERT_TRUE(program.has_value()) << seed << ": " << program.error().message();
    for (int i = 0; i < 500; ++i) {
      const seccomp_data data = random.data(policy);
      const std::uint32_t expected = decide(policy, data);
      const auto got = evaluate(*program, data);
      ASSERT_TRUE(got.has_value());
      ASSERT_EQ(*got, expected) << "seed " << seed << ", system call " << data.nr;
      ++by_kind[expected & SECCOMP_RET_ACTION_FULL];
    }
  }
  // The comparison is worth something only where all answers came up often.
  EXPECT_EQ(by_kind.size(), 8u);
  for (const auto& [kind, count] : by_kind) EXPECT_GT(count, 1000u) << kind;
}

TEST(Compile, LetsAListedNumberOfANewerKernelThroughAndNoOther) {
  Policy policy;
  policy.default_action = {ActionKind::error, EPERM};
  policy.groups.push_back({"", {335, 1000, 65535}, {}, {ActionKind::allow, 0}});
  const auto program = compile(policy);
  ASSERT_TRUE(program.has_value()) << program.error().message();
  for (const int listed : {335, 1000, 65535})
    EXPECT_EQ(*evaluate(*program, call(listed)), kAllow) << listed;
  for (const int other : {336, 999, 1001, 65534, 65536, 335 | 0x40000000}) {
    EXPECT_EQ(*evaluate(*program, call(other)), refused(ENOSYS)) << other;
  }
  EXPECT_EQ(*evaluate(*program, call(number_of("read"))), refused(EPERM));
}

TEST(Compile, CannotBePassedByTheHighHalfOfAnArgument) {
  Policy policy;
  policy.default_action = {ActionKind::allow, 0};
  policy.groups.push_back(
      {"",
       {number_of("socket")},
       {{{{0, ArgumentWidth::bits32, Comparison::is, 0xffffffff, {16}}},
         {ActionKind::error, EPERM}},
        {{{1, ArgumentWidth::bits64, Comparison::is, ~0ull, {16}}}, {ActionKind::error, EIO}}},
       {ActionKind::allow, 0}});
  const auto program = compile(policy);
  ASSERT_TRUE(program.has_value());
  const int number = number_of("socket");
  EXPECT_EQ(*evaluate(*program, call(number, {16})), refused(EPERM));
  EXPECT_EQ(*evaluate(*program, call(number, {16 | 1ull << 32})), refused(EPERM));
  EXPECT_EQ(*evaluate(*program, call(number, {0, 16})), refused(EIO));
  EXPECT_EQ(*evaluate(*program, call(number, {0, 16 | 1ull << 32})), kAllow);
}

TEST(Compile, RefusesAPolicyThatNoFilterHolds) {
  Policy far, many;
  Condition condition{0, ArgumentWidth::bits32, Comparison::is, 0xffffffff, {}};
  for (std::uint64_t value = 0; value < 300; ++value) condition.values.push_back(value);
  far.groups.push_back(
      {"", {0}, {{{condition}, {ActionKind::error, EPERM}}}, {ActionKind::allow, 0}});
  condition.values.resize(200);
  for (int number = 0; number < 30; ++number) {
    many.groups.push_back(
        {"", {number}, {{{condition}, {ActionKind::error, EPERM}}}, {ActionKind::allow, 0}});
  }
  for (const Policy& policy : {far, many}) {
    const auto program = compile(policy);
    ASSERT_FALSE(program.has_value());
    EXPECT_EQ(program.error().code, ErrorCode::invalid_argument) << program.error().message();
    EXPECT_FALSE(program.error().hint.empty());
  }
}

// Bounds the price of a launch: loading takes time in proportion.
TEST(Compile, MakesShortBuiltInFilters) {
  EXPECT_LT(built_in_filter("default").program.size(), 200u);
  EXPECT_LT(built_in_filter("no-setuid-files").program.size(), 80u);
  EXPECT_LT(built_in_filter("strict").program.size(), 300u);
}

}  // namespace
}  // namespace cove
