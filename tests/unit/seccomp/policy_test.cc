#include "runtime/seccomp/policy.h"

#include <algorithm>

#include "tests/unit/seccomp/calls.h"

namespace cove {
namespace {

std::string policy_with(const std::string& groups, const std::string& more = {}) {
  return R"({"version": 1, "description": "a test", "default": "EPERM", )" + more +
         R"("groups": [)" + groups + "]}";
}

std::string group_with_condition(const std::string& condition) {
  return policy_with(R"({"reason": "r", "syscalls": ["socket"], "action": "EPERM",
      "rules": [{"when": [)" +
                     condition + R"(], "action": "allow"}]})");
}

// "where: what" of every mistake.
std::vector<std::string> mistakes(const std::string& json) {
  const auto policy = parse_policy(json);
  if (policy) return {};
  std::vector<std::string> all{policy.error().where + ": " + policy.error().what};
  for (const Error& error : policy.error().more) all.push_back(error.where + ": " + error.what);
  EXPECT_EQ(policy.error().code, ErrorCode::invalid_argument);
  return all;
}

void expect_mistake(const std::string& json, const std::string& mistake) {
  const auto all = mistakes(json);
  EXPECT_TRUE(std::find(all.begin(), all.end(), mistake) != all.end())
      << mistake << "\n  not in:\n"
      << testing::PrintToString(all);
}

TEST(PolicyParser, ReadsEveryPart) {
  const auto policy = parse_policy(policy_with(R"(
      {"reason": "first", "syscalls": ["read", 452], "action": "kill_process"},
      {"reason": "second", "syscalls": ["socket"], "action": "EAFNOSUPPORT", "rules": [
        {"reason": "why", "when": [{"argument": 5, "width": 64, "mask": "0xff00000000", "is": {"A": "0x100000000"}},
                                   {"argument": 0, "any_bit": {"B": "0o17", "C": 32}}], "action": "allow"},
        {"when": [{"argument": 1, "width": 32, "only_bits": {"D": 1, "E": 2}}], "action": "ENOSYS"}]})"));
  ASSERT_TRUE(policy.has_value()) << policy.error().message();
  EXPECT_EQ(policy->description, "a test");
  EXPECT_EQ(policy->default_action, (Action{ActionKind::error, EPERM}));
  ASSERT_EQ(policy->groups.size(), 2u);
  EXPECT_EQ(policy->groups[0].numbers, (std::vector<int>{number_of("read"), 452}));
  EXPECT_EQ(policy->groups[0].otherwise.kind, ActionKind::kill_process);
  EXPECT_EQ(policy->groups[1].otherwise, (Action{ActionKind::error, EAFNOSUPPORT}));
  const std::vector<Rule> expected{
      {{{5, ArgumentWidth::bits64, Comparison::is, 0xff00000000, {0x100000000}},
        {0, ArgumentWidth::bits32, Comparison::any_bit, 017 | 32, {}}},
       {ActionKind::allow, 0}},
      {{{1, ArgumentWidth::bits32, Comparison::only_bits, 3, {}}}, {ActionKind::error, ENOSYS}}};
  EXPECT_EQ(policy->groups[1].rules, expected);
}

TEST(PolicyParser, ReportsAllMistakesAtOnceWithTheirPaths) {
  const auto all =
      mistakes(R"({"version": 2, "description": "", "default": "deny", "extra": 1, "groups": [
      7,
      {"reason": "r", "syscalls": ["raed", -1, 65536, 1.5, "read", 0], "action": "EPERMM"},
      {"syscalls": [], "action": "allow", "rules": {}},
      {"reason": "r", "syscalls": ["write"], "action": 1, "rules": [{"when": [{}]}]}]})");
  const std::vector<std::string> expected{
      "$.extra: is not a field of a seccomp policy",
      "$.version: must be 1",
      "$.description: must be one line of text",
      "$.default: is not an action",
      "$.groups[0]: must be an object",
      "$.groups[1].action: is not an action",
      "$.groups[1].syscalls[0]: \"raed\" is not a system call that this build knows",
      "$.groups[1].syscalls[1]: must be the name of a system call, or its number (0 to 65535)",
      "$.groups[1].syscalls[2]: must be the name of a system call, or its number (0 to 65535)",
      "$.groups[1].syscalls[3]: must be the name of a system call, or its number (0 to 65535)",
      "$.groups[1].syscalls[5]: names a system call that is listed already, at "
      "$.groups[1].syscalls[4]",
      "$.groups[2].reason: is missing",
      "$.groups[2].syscalls: must be a list that is not empty",
      "$.groups[2].rules: must be a list that is not empty",
      "$.groups[3].action: is not an action",
      "$.groups[3].rules[0].action: is missing",
      "$.groups[3].rules[0].when[0].argument: is missing",
      "$.groups[3].rules[0].when[0]: compares the argument with nothing"};
  EXPECT_EQ(all, expected);
}

TEST(PolicyParser, RefusesConditionsThatCannotBeMeant) {
  const std::string at = "$.groups[0].rules[0].when[0]";
  expect_mistake(group_with_condition(R"({"argument": 6, "is": {"A": 1}})"),
                 at + ".argument: must be a number from 0 to 5: the first argument is 0");
  expect_mistake(group_with_condition(R"({"argument": 0, "is": {"A": 4294967296}})"),
                 at + ".is.A: does not fit into 32 bits");
  expect_mistake(group_with_condition(R"({"argument": 0, "is": {"A": -1}})"),
                 at + ".is.A: is not a number");
  expect_mistake(group_with_condition(R"({"argument": 0, "is": {"A": "0x"}})"),
                 at + ".is.A: is not a number");
  expect_mistake(group_with_condition(R"({"argument": 0, "is": {"A": "12"}})"),
                 at + ".is.A: is not a number");
  expect_mistake(group_with_condition(R"({"argument": 0, "is": {"A": "0x1g"}})"),
                 at + ".is.A: is not a number");
  expect_mistake(group_with_condition(R"({"argument": 0, "is": {"A": "0x10000000000000000"}})"),
                 at + ".is.A: is not a number");
  expect_mistake(group_with_condition(R"({"argument": 0, "is": {}})"),
                 at + ".is: must be an object of named values");
  expect_mistake(group_with_condition(R"({"argument": 0, "is": [1]})"),
                 at + ".is: must be an object of named values");
  expect_mistake(group_with_condition(R"({"argument": 0, "width": 16, "is": {"A": 1}})"),
                 at + ".width: must be 32 or 64");
  expect_mistake(group_with_condition(R"({"argument": 0, "mask": 2, "is": {"A": 1}})"),
                 at + ".is: has a value with bits outside the mask, which can never be met");
  expect_mistake(group_with_condition(R"({"argument": 0, "mask": 2, "any_bit": {"A": 2}})"),
                 at + ".mask: belongs to is alone");
  expect_mistake(group_with_condition(R"({"argument": 0, "is": {"A": 1}, "only_bits": {"A": 2}})"),
                 at + ".only_bits: cannot stand beside is");
}

TEST(PolicyParser, SeesNamesThatAreGivenTwice) {
  expect_mistake(
      policy_with(R"({"reason": "r", "syscalls": ["read"], "action": "EPERM", "action": "allow"})"),
      "$.groups[0].action: is given twice");
  expect_mistake(policy_with(R"({"reason": "r", "syscalls": ["read"], "action": "allow"},
                                {"reason": "r", "syscalls": ["socket"], "action": "EPERM", "rules": [
                                 {"when": [{"argument": 0, "is": {"A": 1, "A": 2}}], "action": "allow"}]})"),
                 "$.groups[1].rules[0].when[0].is.A: is given twice");
  expect_mistake(policy_with(R"({"reason": "r", "syscalls": ["read"], "action": "allow"})",
                             R"("version": 1, )"),
                 "$.version: is given twice");
}

TEST(PolicyParser, RefusesWhatIsNotOneJsonDocument) {
  const std::string good =
      policy_with(R"({"reason": "r", "syscalls": ["read"], "action": "allow"})");
  EXPECT_TRUE(parse_policy(good).has_value());
  for (const std::string& bad :
       {std::string(), good + "x", good + good, good.substr(0, good.size() - 1), "\xff" + good,
        std::string("[1,]")}) {
    const auto all = mistakes(bad);
    ASSERT_EQ(all.size(), 1u) << bad;
    EXPECT_TRUE(all[0].starts_with("$: is not JSON: parse error at line ")) << all[0];
  }
  EXPECT_EQ(mistakes("[]"), std::vector<std::string>{"$: must be an object"});
  EXPECT_EQ(mistakes("null"), std::vector<std::string>{"$: must be an object"});
}

// A megabyte of brackets: neither the stack nor time runs out.
TEST(PolicyParser, RefusesDeepNesting) {
  EXPECT_EQ(mistakes(std::string(1 << 20, '[')),
            std::vector<std::string>{"$: is nested deeper than 64"});
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  EXPECT_EQ(mistakes(objects), std::vector<std::string>{"$: is nested deeper than 64"});
}

TEST(PolicyParser, SkipsCallsOfOtherArchitectures) {
  const auto policy = parse_policy(
      policy_with(R"({"reason": "r", "syscalls": ["socketcall", "read"], "action": "allow"})"));
  ASSERT_TRUE(policy.has_value());
  const bool has_socketcall = number_of("socketcall") != kNotOnThisArchitecture;
  EXPECT_EQ(policy->groups[0].numbers.size(), has_socketcall ? 2u : 1u);
}

}  // namespace
}  // namespace cove
