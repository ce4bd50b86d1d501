// Times as `cove image ls` and `prune` read and show them.
#include "images/commands/age.h"

#include <gtest/gtest.h>

namespace cove {
namespace {

using std::chrono::seconds;

TEST(Age, IsANumberAndAUnit) {
  EXPECT_EQ(parse_age("90s"), seconds(90));
  EXPECT_EQ(parse_age("5m"), seconds(300));
  EXPECT_EQ(parse_age("36h"), seconds(36 * 3600));
  EXPECT_EQ(parse_age("7d"), seconds(7 * 86400));
  EXPECT_EQ(parse_age("2w"), seconds(14 * 86400));
  EXPECT_EQ(parse_age("0s"), seconds(0));
  EXPECT_TRUE(parse_age("100w"));
}

TEST(Age, RefusesAllElse) {
  for (const char* text : {"", "7", "d", "-7d", "+7d", " 7d", "7d ", "7 d", "1.5d", "7D", "7y",
                           "1d2h", "101000d", "99999999999s"}) {
    const auto age = parse_age(text);
    ASSERT_FALSE(age) << text;
    EXPECT_EQ(age.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(age.error().message().find("\"" + std::string(text) + "\""), std::string::npos);
  }
}

TEST(Age, IsToldInWords) {
  EXPECT_EQ(age_text(seconds(-5)), "just now");
  EXPECT_EQ(age_text(seconds(0)), "just now");
  EXPECT_EQ(age_text(seconds(1)), "1 second ago");
  EXPECT_EQ(age_text(seconds(59)), "59 seconds ago");
  EXPECT_EQ(age_text(seconds(60)), "About a minute ago");
  EXPECT_EQ(age_text(seconds(125)), "2 minutes ago");
  EXPECT_EQ(age_text(seconds(3600)), "About an hour ago");
  EXPECT_EQ(age_text(seconds(47 * 3600)), "47 hours ago");
  EXPECT_EQ(age_text(std::chrono::days(2)), "2 days ago");
  EXPECT_EQ(age_text(std::chrono::days(13)), "13 days ago");
  EXPECT_EQ(age_text(std::chrono::days(22)), "3 weeks ago");
  EXPECT_EQ(age_text(std::chrono::days(60)), "2 months ago");
  EXPECT_EQ(age_text(std::chrono::days(365)), "12 months ago");
  EXPECT_EQ(age_text(std::chrono::days(2 * 366)), "2 years ago");
}

TEST(Rfc3339, IsReadWithItsOffset) {
  const auto time = parse_rfc3339("2026-01-31T12:00:00Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(rfc3339_text(*time), "2026-01-31T12:00:00Z");
  EXPECT_EQ(parse_rfc3339("2026-01-31T12:00:00.123456789Z"), time);
  EXPECT_EQ(parse_rfc3339("2026-01-31T14:30:00+02:30"), time);
  EXPECT_EQ(parse_rfc3339("2026-01-31t04:00:00-08:00"), time);
  EXPECT_EQ(rfc3339_text(*parse_rfc3339("1970-01-01T00:00:00Z")), "1970-01-01T00:00:00Z");
}

TEST(Rfc3339, RefusesAllElse) {
  for (const char* text :
       {"", "2026", "2026-01-31", "2026-01-31T12:00:00", "2026-02-30T12:00:00Z",
        "2026-01-31T24:00:00Z", "2026-01-31T12:60:00Z", "2026-01-31T12:00:00.Z5",
        "x026-01-31T12:00:00Z", "2026-01-31T12:00:00+2:30", "2026-01-31T12:00:00Zjunk",
        "2026-01-31T12:00:00+99:00", "0000-00-00T00:00:00Z", "2026-01-31T12:00:00.123",
        "2026-01-31T-1:00:00Z"})
    EXPECT_FALSE(parse_rfc3339(text)) << text;
}

}  // namespace
}  // namespace cove
