#include "cli/command_line.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace cove::cli {
namespace {

constexpr OptionText kTable[] = {
    {"all", 'a', "", "First", "everything"},
    {"size", 's', "SIZE", "First", "how much"},
    {"a-name-that-is-rather-long", 0, "VALUE", "Second", "something"},
};

CommandLine parse(const std::vector<std::string>& words) {
  return parse_command_line(kTable, words);
}

TEST(CommandLine, KeepsTheOrderOfOptionsOfDifferentNames) {
  const CommandLine line = parse({"-s", "1", "-a", "--size=2", "-as3", "rest"});
  std::string seen;
  for (const GivenOption& given : line.options)
    seen += std::string(kTable[given.index].name) + "=" + given.value + " ";
  EXPECT_EQ(seen, "size=1 all=true size=2 all=true size=3 ");
  EXPECT_EQ(line.operands, std::vector<std::string>{"rest"});
  EXPECT_TRUE(line.mistakes.empty());
}

TEST(CommandLine, ASingleDashIsAnOperand) {
  const CommandLine line = parse({"-a", "-", "-a"});
  EXPECT_EQ(line.options.size(), 1u);
  EXPECT_EQ(line.operands, (std::vector<std::string>{"-", "-a"}));
}

TEST(CommandLine, OddWordsAreMistakesAndNothingWorse) {
  for (const char* word : {"-=", "---", "--=", "--=x", "--al", "-x", "-\n", "-!", "--!", "-1"}) {
    const CommandLine line = parse({word, "rest"});
    EXPECT_EQ(line.mistakes.size(), 1u) << word;
    EXPECT_TRUE(line.options.empty()) << word;
    EXPECT_EQ(line.operands, std::vector<std::string>{"rest"}) << word;
  }
}

TEST(CommandLine, WhatFollowsAMistypedNameIsItsValue) {
  const CommandLine line = parse({"--siez", "3", "-x", "rest"});
  EXPECT_EQ(line.mistakes.size(), 2u);
  EXPECT_EQ(line.operands, std::vector<std::string>{"rest"});
  EXPECT_EQ(parse({"--siez=3", "rest"}).operands, std::vector<std::string>{"rest"});
  EXPECT_EQ(parse({"--al", "rest"}).operands, std::vector<std::string>{"rest"});
}

TEST(CommandLine, AMissingValueDoesNotHideWhatStoodBefore) {
  const CommandLine line = parse({"-a", "--bogus", "-s"});
  ASSERT_EQ(line.options.size(), 1u);
  EXPECT_EQ(kTable[line.options[0].index].name, "all");
  ASSERT_EQ(line.mistakes.size(), 2u);
}

TEST(Nearest, FindsTyposAndLeavesStrangersAlone) {
  constexpr std::array<std::string_view, 3> kNames = {"memory", "memory-swap", "cpus"};
  EXPECT_EQ(nearest("memroy", kNames), "memory");
  EXPECT_EQ(nearest("memory-swp", kNames), "memory-swap");
  EXPECT_EQ(nearest("cpu", kNames), "cpus");
  EXPECT_EQ(nearest("rnu", std::array<std::string_view, 2>{"plan", "run"}), "run");
  EXPECT_EQ(nearest("publish", kNames), std::nullopt);
  EXPECT_EQ(nearest("", kNames), std::nullopt);
}

TEST(DescribeOptions, PutsOptionsUnderTheirSections) {
  EXPECT_EQ(describe_options(kTable),
            "First:\n"
            "  -a, --all                     everything\n"
            "  -s, --size SIZE               how much\n"
            "\n"
            "Second:\n"
            "      --a-name-that-is-rather-long VALUE\n"
            "                                something\n");
}

}  // namespace
}  // namespace cove::cli
