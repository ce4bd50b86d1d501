// The binary form: that it loses nothing, and that no bytes whatever do harm. Run these with
// COVE_SANITIZE=address,undefined to see the second.
#include "runtime/model/wire.h"

#include <gtest/gtest.h>

#include <random>

#include "cove/json.h"
#include "tests/unit/model/sample.h"

namespace cove {
namespace {

template <class T>
void expect_comes_back(const T& value) {
  const Result<T> again = decode<T>(encode(value));
  ASSERT_TRUE(again);
  EXPECT_EQ(to_json(*again), to_json(value));
  EXPECT_EQ(encode(*again), encode(value));
}

TEST(Wire, LosesNothing) {
  expect_comes_back(full_spec());
  expect_comes_back(full_result());
  expect_comes_back(full_host_facts());
  expect_comes_back(full_image_facts());
  expect_comes_back(full_source_facts());
  expect_comes_back(full_plan());
  expect_comes_back(full_error());
  expect_comes_back(Plan{});
  expect_comes_back(SandboxSpec{});
  expect_comes_back(SandboxResult{});
}

TEST(Wire, HoldsTheExtremesOfEveryNumber) {
  const auto same = []<class T>(T value) {
    const Result<T> again = decode<T>(encode(value));
    ASSERT_TRUE(again);
    EXPECT_EQ(*again, value);
  };
  same(std::numeric_limits<std::int64_t>::min());
  same(std::numeric_limits<std::int64_t>::max());
  same(std::numeric_limits<std::uint64_t>::max());
  same(std::uint64_t{0});
  same(std::uint64_t{127});
  same(std::uint64_t{128});
  same(std::numeric_limits<int>::min());
  same(-1);
  same(-0.5);
  same(std::numeric_limits<double>::infinity());
  same(std::string(300, '\0'));
  same(std::pair<std::string, int>{"a", 2});
  same(Duration::min());
}

std::string with_version(std::string_view bytes) { return kWireVersion + std::string(bytes); }

TEST(Wire, RefusesWhatEncodeDoesNotWrite) {
  using namespace std::string_literals;
  EXPECT_FALSE(decode<bool>(""));
  EXPECT_FALSE(decode<bool>("\x7f\x01"));  // version
  EXPECT_FALSE(decode<bool>(with_version("\x02")));
  EXPECT_FALSE(decode<bool>(with_version("\x01\x01")));            // more behind it
  EXPECT_FALSE(decode<std::uint64_t>(with_version("\x80\x00"s)));  // longer than needed
  EXPECT_FALSE(decode<std::uint64_t>(with_version("\x80")));       // ends
  EXPECT_FALSE(decode<std::uint64_t>(with_version("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")));
  EXPECT_FALSE(decode<std::uint64_t>(with_version("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x01")));
  EXPECT_FALSE(decode<std::uint32_t>(encode(std::uint64_t{1} << 32)));
  EXPECT_FALSE(decode<int>(encode(std::int64_t{1} << 31)));
  EXPECT_FALSE(decode<std::string>(with_version("\x02x")));
  EXPECT_FALSE(decode<std::string>(encode(~std::uint64_t{0})));
  EXPECT_FALSE(decode<std::vector<std::string>>(encode(std::uint64_t{1} << 40)));
  EXPECT_FALSE(decode<Requirement>(encode(3)));
  EXPECT_FALSE(decode<StdinSpec>(with_version("\x03")));
  const std::map<std::string, bool> map{{"a", true}, {"b", false}};
  EXPECT_TRUE((decode<std::map<std::string, bool>>(encode(map))));
  EXPECT_FALSE(
      (decode<std::map<std::string, bool>>(with_version("\x02\x01"
                                                        "b\x01\x01"
                                                        "a\x01"))));
  EXPECT_FALSE(
      (decode<std::map<std::string, bool>>(with_version("\x02\x01"
                                                        "a\x01\x01"
                                                        "a\x01"))));
}

// Each level of Error::more costs a few bytes: without a bound a message could overflow the stack.
TEST(Wire, BoundsTheDepthOfErrors) {
  Error error;
  for (int depth = 1; depth < kDeepestWire; ++depth) {
    Error outer;
    outer.more.push_back(std::move(error));
    error = std::move(outer);
  }
  EXPECT_TRUE(decode<Error>(encode(error)));
  Error deeper;
  deeper.more.push_back(error);
  EXPECT_FALSE(decode<Error>(encode(deeper)));

  std::string endless(1, kWireVersion);
  for (int i = 0; i < 1'000'000; ++i) endless += std::string("\0\0\0\0\0\0\1", 7);
  EXPECT_FALSE(decode<Error>(endless));
}

TEST(Wire, RefusesEveryTruncation) {
  const std::string plan = encode(full_plan());
  for (std::size_t size = 0; size < plan.size(); ++size) {
    EXPECT_FALSE(decode<Plan>(std::string_view(plan).substr(0, size))) << size;
  }
  const std::string result = encode(full_result());
  for (std::size_t size = 0; size < result.size(); ++size) {
    EXPECT_FALSE(decode<SandboxResult>(std::string_view(result).substr(0, size))) << size;
  }
}

// What is accepted must be something that encode writes: exactly these bytes.
template <class T>
void expect_unharmed_by_mutations(const T& value, unsigned seed) {
  std::mt19937 engine(seed);
  const std::string good = encode(value);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = good;
    for (unsigned n = 1 + engine() % 4; n > 0; --n) {
      const std::size_t at = engine() % bytes.size();
      switch (engine() % 4) {
        case 0:
          bytes[at] = static_cast<char>(engine());
          break;
        case 1:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << engine() % 8));
          break;
        case 2:
          bytes.insert(at, 1 + engine() % 9, static_cast<char>(engine()));
          break;
        default:
          bytes.erase(at, 1 + engine() % 9);
      }
      if (bytes.empty()) break;
    }
    const Result<T> read = decode<T>(bytes);
    if (read) {
      EXPECT_EQ(encode(*read), bytes);
      EXPECT_FALSE(to_json(*read).empty());
    } else {
      EXPECT_EQ(read.error().code, ErrorCode::internal);
    }
  }
}

TEST(Wire, IsUnharmedByMutations) {
  expect_unharmed_by_mutations(full_plan(), 1);
  expect_unharmed_by_mutations(full_spec(), 2);
  expect_unharmed_by_mutations(full_result(), 3);
  expect_unharmed_by_mutations(full_host_facts(), 4);
}

TEST(Wire, IsSmallForAPlan) {
  EXPECT_LT(encode(full_plan()).size(), to_json(full_plan()).size() / 3);
}

}  // namespace
}  // namespace cove
