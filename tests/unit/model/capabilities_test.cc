#include "runtime/model/capabilities.h"

#include <gtest/gtest.h>
#include <sys/capability.h>

#include <algorithm>

#include "cove/json.h"

namespace cove {
namespace {

using Strings = std::vector<std::string>;

// The table, against libcap's.
TEST(Capabilities, HaveTheKernelsNumbers) {
  for (cap_value_t number = 0; number <= CAP_LAST_CAP; ++number) {
    char* libcaps = cap_to_name(number);
    ASSERT_NE(libcaps, nullptr);
    const auto name = capability_name(libcaps);
    cap_free(libcaps);
    ASSERT_TRUE(name.has_value()) << number;
    EXPECT_EQ(capability_mask({*name}), std::uint64_t{1} << number) << *name;
  }
  EXPECT_EQ(grantable_capabilities().size(), static_cast<std::size_t>(CAP_LAST_CAP) + 1 - 2);
}

TEST(Capabilities, AreListedOnceInTheirOrder) {
  EXPECT_EQ(granted_capabilities({"net_raw", "CAP_CHOWN", "NET_RAW"}),
            (Strings{"chown", "net_raw"}));
  EXPECT_EQ(granted_capabilities({}), Strings{});
  EXPECT_EQ(granted_capabilities({"sys_admin", "nonsense"}), Strings{});
  const Strings all = granted_capabilities({"chown", "All"});
  EXPECT_TRUE(std::ranges::equal(all, grantable_capabilities()));
  EXPECT_EQ(capability_mask(all) & (capability_mask({"sys_admin", "sys_boot"})), 0u);
}

TEST(Capabilities, OfASpecAreChecked) {
  const auto spec = spec_from_json(
      R"({"image": "i", "capabilities": ["CHOWN", "CHWON", "CAP_SYS_ADMIN", "sys_boot", "", "ALL"]})");
  ASSERT_FALSE(spec.has_value());
  const Error& first = spec.error();
  EXPECT_EQ(first.where, "$.capabilities[1]");
  EXPECT_EQ(first.what, "\"CHWON\" is not a capability");
  ASSERT_EQ(first.more.size(), 3u);
  EXPECT_EQ(first.more[0].where, "$.capabilities[2]");
  EXPECT_EQ(first.more[0].what, "\"CAP_SYS_ADMIN\" is given to no program");
  EXPECT_EQ(first.more[1].where, "$.capabilities[3]");
  EXPECT_EQ(first.more[2].where, "$.capabilities[4]");
  for (const Error& error : first.more) EXPECT_EQ(error.code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace cove
