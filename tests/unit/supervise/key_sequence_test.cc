#include "runtime/supervise/key_sequence.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

namespace cove {
namespace {

// What goes on, key by key, with a bar where the sequence was complete.
std::string typed(const std::string& sequence, const std::string& keys) {
  KeySequence watched(sequence);
  std::string passed;
  for (const char key : keys) {
    passed += watched.pass(std::string(1, key));
    if (watched.complete()) return passed + "|";
  }
  return passed;
}

TEST(KeySequence, PassesEverythingElse) {
  EXPECT_EQ(typed("pq", "hello"), "hello");
  EXPECT_EQ(typed("pq", "qqq"), "qqq");
}
TEST(KeySequence, IsFoundAndKeptBack) {
  EXPECT_EQ(typed("pq", "abpq"), "ab|");
  EXPECT_EQ(typed("p", "abp"), "ab|");
}
TEST(KeySequence, HoldsItsBeginningUntilTheNextKey) {
  EXPECT_EQ(typed("pq", "ap"), "a");
  EXPECT_EQ(typed("pq", "apx"), "apx");
  EXPECT_EQ(typed("pq", "ppq"), "p|");
}
TEST(KeySequence, IsFoundWhereItOverlapsItself) {
  EXPECT_EQ(typed("aab", "aaab"), "a|");
  EXPECT_EQ(typed("abac", "ababac"), "ab|");
  EXPECT_EQ(typed("aaa", "aabaaa"), "aab|");
}
TEST(KeySequence, OfNoKeysIsNeverComplete) {
  EXPECT_EQ(typed("", "pq"), "pq");
  EXPECT_FALSE(KeySequence("").complete());
}
TEST(KeySequence, DropsWhatStandsBehindIt) {
  KeySequence watched("pq");
  EXPECT_EQ(watched.pass("abpqrest"), "ab");
  EXPECT_TRUE(watched.complete());
}
TEST(KeySequence, AgreesWithASearchForItInWhateverIsTyped) {
  std::mt19937 random(7);
  const auto text = [&](std::size_t length) {
    std::string keys;
    while (keys.size() < length) keys += static_cast<char>('a' + random() % 2);
    return keys;
  };
  for (int round = 0; round < 20000; ++round) {
    const std::string sequence = text(1 + random() % 5), keys = text(random() % 20);
    const std::size_t at = keys.find(sequence);
    const std::string passed = typed(sequence, keys);
    if (at != std::string::npos) {
      ASSERT_EQ(passed, keys.substr(0, at) + "|") << sequence << " in " << keys;
    } else {
      // Only a beginning of the sequence may still be held.
      ASSERT_TRUE(keys.starts_with(passed)) << sequence << " in " << keys;
      ASSERT_TRUE(sequence.starts_with(keys.substr(passed.size()))) << sequence << " in " << keys;
    }
  }
}

}  // namespace
}  // namespace cove
