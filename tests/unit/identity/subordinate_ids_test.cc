#include "runtime/identity/subordinate_ids.h"

#include <gtest/gtest.h>

namespace cove {
namespace {

TEST(SubordinateIdLines, AreFoundByNameOrNumber) {
  constexpr const char* kText = "bob:100000:65536\nada:165536:65536\n1003:300000:65535\n";
  EXPECT_EQ(first_subordinate_id(kText, "ada", 1001), 165536u);
  EXPECT_EQ(first_subordinate_id(kText, "", 1003), 300000u);
  EXPECT_EQ(first_subordinate_id(kText, "eve", 1004), std::nullopt);
  EXPECT_EQ(first_subordinate_id("", "ada", 1001), std::nullopt);
}
TEST(SubordinateIdLines, OfTooFewIdsAreSkipped) {
  EXPECT_EQ(first_subordinate_id("ada:100000:1000\nada:200000:65536\n", "ada", 1001), 200000u);
  EXPECT_EQ(first_subordinate_id("ada:100000:65534\n", "ada", 1001), std::nullopt);
}
TEST(SubordinateIdLines, ThatAreMalformedAreSkipped) {
  for (const char* text :
       {"ada", "ada:", "ada:1", "ada:x:65536", "ada:1:65536:", "ada:-1:65536", ":100000:65536",
        "ada:4294967295:65536", "ada: 100000:65536", "ada:99999999999:65536"}) {
    EXPECT_EQ(first_subordinate_id(text, "ada", 1001), std::nullopt) << text;
    EXPECT_EQ(first_subordinate_id(text, "", 1001), std::nullopt) << text;
  }
}
TEST(UserNameOf, IsTheFirstWithThatUid) {
  constexpr const char* kPasswd =
      "root:x:0:0::/root:/bin/sh\nada:x:1001:5:A:/h:\nbob:x:1001:5::/h:\n";
  EXPECT_EQ(user_name_of(kPasswd, 1001), "ada");
  EXPECT_EQ(user_name_of(kPasswd, 0), "root");
  EXPECT_EQ(user_name_of(kPasswd, 5), "");
  EXPECT_EQ(user_name_of("broken\n:::\n", 0), "");
}
TEST(SubordinateMap, CoversAllIdsOnce) {
  std::uint32_t next = 0;
  for (const IdRange& range : same_subordinate_ids()) {
    EXPECT_EQ(range.inside, next);
    EXPECT_EQ(range.outside, next);
    next += range.count;
  }
  EXPECT_EQ(next, kMappedIds);
}

}  // namespace
}  // namespace cove
