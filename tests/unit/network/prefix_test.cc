#include "runtime/network/prefix.h"

#include <gtest/gtest.h>

namespace cove {
namespace {

TEST(Prefix, OfBothVersionsIsRead) {
  const auto prefixes =
      parse_prefixes({"10.0.0.0/8", "192.0.2.1", "fe80::/10", "::ffff:1.2.3.4", "0.0.0.0/0"});
  ASSERT_TRUE(prefixes) << prefixes.error().message();
  ASSERT_EQ(prefixes->size(), 5u);
  EXPECT_EQ((*prefixes)[0].version, IpVersion::four);
  EXPECT_EQ((*prefixes)[0].length, 8u);
  EXPECT_EQ((*prefixes)[0].address[0], 10);
  EXPECT_EQ((*prefixes)[1].length, 32u);
  EXPECT_EQ((*prefixes)[1].address[3], 1);
  EXPECT_EQ((*prefixes)[2].version, IpVersion::six);
  EXPECT_EQ((*prefixes)[2].length, 10u);
  EXPECT_EQ((*prefixes)[3].version, IpVersion::six);
  EXPECT_EQ((*prefixes)[3].length, 128u);
  EXPECT_EQ((*prefixes)[4].length, 0u);
}

TEST(Prefix, IsRefusedWhereItCouldMeanTwoThings) {
  for (const char* text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/8x", "10/8",
                           "10.0.0.1/8", "fe80::1/10", "10.0.0.0/-1", "host/8", "10.0.0.0/ 8"}) {
    const auto prefixes = parse_prefixes({"127.0.0.0/8", text});
    ASSERT_FALSE(prefixes) << text;
    EXPECT_EQ(prefixes.error().code, ErrorCode::internal);
    EXPECT_EQ(prefixes.error().step, "network");
    EXPECT_EQ(prefixes.error().where, text);
  }
}

}  // namespace
}  // namespace cove
