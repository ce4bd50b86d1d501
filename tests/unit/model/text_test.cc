#include "runtime/text/text.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace cove {
namespace {

TEST(Utf8, IsToldFromOtherBytes) {
  for (const char* good : {"", "abc", "\u00e9", "\u20ac", "\U0001F600", "\uFFFF", "\uD7FF",
                           "\uE000", "eight by", "nine bytes\u00e9"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const char* bad :
       {"\x80", "\xc3", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe2\x82", "\xed\xa0\x80",
        "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "eight by\xc3",
        "\xc3"
        "a",
        "12345678901234\xfe"}) {
    EXPECT_FALSE(is_utf8(bad)) << in_quotes(bad);
    EXPECT_TRUE(is_utf8(to_utf8(bad))) << in_quotes(bad);
  }
  EXPECT_EQ(to_utf8("a\xff\u00e9\xc3"), "a\uFFFD\u00e9\uFFFD");
}

TEST(Quoted, IsFitForAMessage) {
  EXPECT_EQ(in_quotes("a\"b\\"), "\"a\\\"b\\\\\"");
  EXPECT_EQ(in_quotes("\x1b[2J\n"), "\"\\x1b[2J\\x0a\"");
  EXPECT_EQ(in_quotes("\u00e9\xff"), "\"\u00e9\\xff\"");
  EXPECT_EQ(in_quotes(std::string(1000, 'x')).size(), 65U);
  EXPECT_TRUE(is_utf8(in_quotes(std::string(59, 'x') + "\U0001F600\U0001F600")));
  EXPECT_EQ(printable("a\tb\x7f\u00e9"), "a\\x09b\\x7f\u00e9");
}

// The vectors of RFC 4648.
TEST(Base64, KnowsTheTestVectors) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"},
                                                         {"\xff\xfe\xfd", "//79"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(to_base64(bytes), text);
    EXPECT_EQ(from_base64(text), bytes);
  }
}

TEST(Base64, ComesBackForAnyBytes) {
  std::mt19937 engine(7);
  for (std::size_t size = 0; size < 300; ++size) {
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(engine());
    EXPECT_EQ(from_base64(to_base64(bytes)), bytes);
  }
}

TEST(Base64, IsStrict) {
  for (const char* bad : {"Z", "Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm9v\n",
                          "Zm 9", "Zm9_", "Zm9-", "=m9v", "Zg==Zg==", "Z=g=", "\xff\xff\xff\xff"}) {
    EXPECT_EQ(from_base64(bad), std::nullopt) << in_quotes(bad);
  }
}

TEST(DecimalSeconds, AreExact) {
  using std::chrono::nanoseconds;
  EXPECT_EQ(decimal_seconds(nanoseconds(0)), "0");
  EXPECT_EQ(decimal_seconds(nanoseconds(1)), "0.000000001");
  EXPECT_EQ(decimal_seconds(nanoseconds(1'500'000'000)), "1.5");
  EXPECT_EQ(decimal_seconds(nanoseconds(-2'000'000'000)), "-2");
  EXPECT_EQ(decimal_seconds(nanoseconds(315'359'999'999'999'999)), "315359999.999999999");
  EXPECT_EQ(decimal_seconds(nanoseconds(std::numeric_limits<std::int64_t>::min())),
            "-9223372036.854775808");
}

}  // namespace
}  // namespace cove
