#include <gtest/gtest.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>

#include "cove/host.h"

namespace cove {
namespace {

TEST(GatherHostFacts, DescribesThisHost) {
  const Result<HostFacts> host = gather_host_facts();
  ASSERT_TRUE(host) << host.error().message();
  utsname name{};
  uname(&name);
  EXPECT_EQ(host->kernel_release, name.release);
  EXPECT_EQ(host->uid, geteuid());
  EXPECT_GT(host->cpu_count, 0);
  EXPECT_GT(host->memory_total.count, 0u);
  EXPECT_GT(host->open_files_hard, 0u);
  EXPECT_EQ(host->cgroup.controllers.size(), 4u);
  for (const auto& [controller, facts] : host->cgroup.controllers) {
    EXPECT_EQ(facts.usable, facts.reason.empty()) << controller;
  }
}

TEST(GatherHostFacts, CopiesAllowedVariablesOnly) {
  setenv("COVE_TEST_SEEN", "1", 1);
  setenv("COVE_TEST_UNSEEN", "1", 1);
  const Result<HostFacts> host = gather_host_facts({}, {"COVE_TEST_SEEN", "COVE_TEST_UNSET"});
  ASSERT_TRUE(host);
  EXPECT_EQ(host->environment, (std::map<std::string, std::string>{{"COVE_TEST_SEEN", "1"}}));
}

TEST(GatherHostFacts, RefusesACgroupParentThatClimbs) {
  for (const char* parent : {"..", "/../etc", "/a/../b", "a/.."}) {
    const Result<HostFacts> host = gather_host_facts(parent);
    ASSERT_FALSE(host) << parent;
    EXPECT_EQ(host.error().code, ErrorCode::invalid_argument);
  }
}

TEST(GatherHostFacts, SaysThatACgroupParentIsMissing) {
  const Result<HostFacts> host = gather_host_facts("/no/such/group");
  ASSERT_TRUE(host);
  EXPECT_FALSE(host->cgroup.v2_usable);
  for (const auto& [controller, facts] : host->cgroup.controllers) {
    EXPECT_FALSE(facts.usable) << controller;
  }
}

}  // namespace
}  // namespace cove
