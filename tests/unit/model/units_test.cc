#include "cove/units.h"

#include <gtest/gtest.h>

#include <clocale>

namespace cove {
namespace {

struct BytesCase {
  const char* text;
  std::uint64_t count;
};

TEST(ParseBytes, ReadsWhatDockerReads) {
  constexpr BytesCase kCases[] = {
      {"0", 0},
      {"4096", 4096},
      {"4096b", 4096},
      {"4096B", 4096},
      {"64k", 65536},
      {"64K", 65536},
      {"64kb", 65536},
      {"64KiB", 65536},
      {"512m", 536870912},
      {"100MB", 104857600},
      {"1.5g", 1610612736},
      {"1GiB", 1073741824},
      {"1t", 1099511627776},
      {"2TiB", 2199023255552},
      {"0.5k", 512},
      {".5k", 512},
      {"1.k", 1024},
      {"00001", 1},
      {"9223372036854775807", 9223372036854775807U},
      {"8388607t", 9223370937343148032U},
  };
  for (const BytesCase& c : kCases) {
    const Result<Bytes> parsed = parse_bytes(c.text);
    ASSERT_TRUE(parsed) << c.text << ": " << parsed.error().message();
    EXPECT_EQ(parsed->count, c.count) << c.text;
  }
}

TEST(ParseBytes, RefusesEverythingElseWithAHint) {
  for (const char* text : {"",
                           " ",
                           "m",
                           "-1",
                           "+1",
                           "1 m",
                           " 1",
                           "1m ",
                           "1x",
                           "1mm",
                           "1mib1",
                           "0.1k",
                           "1.5",
                           "1.1g",
                           "1..5k",
                           ".",
                           ".k",
                           "1e3",
                           "0x10",
                           "inf",
                           "nan",
                           "1,5g",
                           "9223372036854775808",
                           "8388608t",
                           "99999999999999999999999999",
                           "\xff",
                           "1\xff"}) {
    const Result<Bytes> parsed = parse_bytes(text);
    ASSERT_FALSE(parsed) << text << " was read as " << parsed->count;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(parsed.error().what.empty());
    EXPECT_FALSE(parsed.error().hint.empty());
  }
  EXPECT_FALSE(parse_bytes(std::string(100000, '9')));
  EXPECT_LT(parse_bytes(std::string(100000, '9')).error().what.size(), 200U);
  EXPECT_FALSE(parse_bytes(std::string("1\0", 2)));
}

TEST(BytesText, IsTheShortestExactOne) {
  EXPECT_EQ(to_string(mebibytes(512)), "512 MiB");
  EXPECT_EQ(to_string(gibibytes(1)), "1 GiB");
  EXPECT_EQ(to_string(gibibytes(2048)), "2 TiB");
  EXPECT_EQ(to_string(kibibytes(3)), "3 KiB");
  EXPECT_EQ(to_string(Bytes{1000}), "1000 bytes");
  EXPECT_EQ(to_string(Bytes{1}), "1 byte");
  EXPECT_EQ(to_string(Bytes{0}), "0 bytes");
}

struct DurationCase {
  const char* text;
  std::int64_t nanoseconds;
};

TEST(ParseDuration, ReadsSecondsAndUnits) {
  constexpr DurationCase kCases[] = {
      {"0", 0},
      {"1.5", 1'500'000'000},
      {"1.5s", 1'500'000'000},
      {"200ms", 200'000'000},
      {"7us", 7'000},
      {"2m", 120'000'000'000},
      {"1h", 3'600'000'000'000},
      {"0.1", 100'000'000},
      {"0.000000001", 1},
      {".25", 250'000'000},
      {"315359999.999999999", 315'359'999'999'999'999},
      {"315360000", 315'360'000'000'000'000},
  };
  for (const DurationCase& c : kCases) {
    const Result<Duration> parsed = parse_duration(c.text);
    ASSERT_TRUE(parsed) << c.text << ": " << parsed.error().message();
    EXPECT_EQ(parsed->count(), c.nanoseconds) << c.text;
  }
}

TEST(ParseDuration, RefusesEverythingElseWithAHint) {
  for (const char* text : {"", "s", "-1", "+1", "1 s", "1S", "1sec", "1d", "1e3", "inf", "nan",
                           "1:30", "1m30s", "315360001", "87601h", "1..2"}) {
    const Result<Duration> parsed = parse_duration(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(parsed.error().hint.empty());
  }
}

// to_string went through a double: "1e-07 s", and no nanoseconds beyond some months.
TEST(DurationText, IsDecimalAndExact) {
  EXPECT_EQ(to_string(Duration(100)), "0.0000001 s");
  EXPECT_EQ(to_string(std::chrono::milliseconds(1500)), "1.5 s");
  EXPECT_EQ(to_string(std::chrono::hours(24)), "86400 s");
  EXPECT_EQ(to_string(Duration(315'359'999'999'999'999)), "315359999.999999999 s");
}

TEST(Units, DoNotDependOnTheCallersLocale) {
  const std::string before = std::setlocale(LC_ALL, nullptr);
  if (!std::setlocale(LC_ALL, "de_DE.UTF-8")) GTEST_SKIP() << "needs the locale de_DE.UTF-8";
  const Result<Bytes> bytes = parse_bytes("1.5g");
  const Result<Duration> duration = parse_duration("1.5s");
  std::setlocale(LC_ALL, before.c_str());
  ASSERT_TRUE(bytes);
  ASSERT_TRUE(duration);
  EXPECT_EQ(bytes->count, 1610612736U);
  EXPECT_EQ(duration->count(), 1'500'000'000);
}

}  // namespace
}  // namespace cove
