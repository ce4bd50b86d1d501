#include "tests/unit/plan/plan_fixture.h"

namespace cove {
namespace {

using Strings = std::vector<std::string>;

TEST(CapabilityPlan, IsEmptyUnlessTheSpecNamesSome) {
  Planning planning;
  EXPECT_EQ(planning.plan().capabilities, Strings{});
  EXPECT_EQ(enforced_text(planning.plan(), Protection::capabilities), "empty-sets");
  planning.spec.capabilities = Strings{};
  EXPECT_EQ(enforced_text(planning.plan(), Protection::capabilities), "empty-sets");
  planning.spec.capabilities = {"net_raw", "CAP_CHOWN"};
  EXPECT_EQ(planning.plan().capabilities, (Strings{"chown", "net_raw"}));
  EXPECT_EQ(enforced_text(planning.plan(), Protection::capabilities), "only:chown,net_raw");
}

TEST(CapabilityPlan, GivesNobodyWhatUndoesTheSandbox) {
  for (const char* name : {"SYS_ADMIN", "sys_boot"}) {
    Planning planning;
    planning.spec.capabilities = {name};
    expect_error(planning.refusal(), ErrorCode::invalid_argument, "$.capabilities[0]",
                 "is given to no program");
  }
}

TEST(CapabilityPlan, RefusesWhatLeavesPrivilegedFilesOnTheHost) {
  for (const char* name : {"setfcap", "all"}) {
    Planning planning;
    planning.spec.capabilities = {name};
    planning.plan();
    planning.add_bind("/h", "/data", true);
    planning.plan();
    planning.add_bind("/i", "/data2", false);
    expect_error(planning.refusal(), ErrorCode::invalid_argument, "$.capabilities",
                 "beside a writable bind mount");
    planning.spec.require[Protection::setuid_files] = Requirement::off;
    planning.plan();
  }
  Planning harmless;
  harmless.spec.capabilities = {"chown", "dac_override", "fsetid", "net_admin"};
  harmless.add_bind("/h", "/data", false);
  harmless.plan();
}

TEST(CapabilityPlan, RefusesWhatOpensASysctlThatHolds) {
  Planning planning;
  planning.spec.capabilities = {"sys_resource"};
  planning.plan();
  planning.spec.require[Protection::masked_paths] = Requirement::off;
  expect_error(planning.refusal(), ErrorCode::invalid_argument, "$.capabilities",
               "nested user namespaces");
  planning.spec.require[Protection::nested_user_namespaces] = Requirement::off;
  planning.plan();
}

TEST(CapabilityPlan, CountsNoProcessesByUserWhereTheUserCanChange) {
  Planning planning("container_read_only");
  planning.host.privileged = true;
  planning.spec.require[Protection::memory] = Requirement::off;
  EXPECT_EQ(enforced_text(planning.plan(), Protection::pids), "rlimit");
  planning.spec.capabilities = {"setuid"};
  EXPECT_TRUE(is_degraded(planning.plan(), Protection::pids));
  planning.host.privileged = false;
  planning.host.uid = 1000;
  EXPECT_EQ(enforced_text(planning.plan(), Protection::pids), "rlimit") << "one id is mapped";
}

TEST(CapabilityPlan, TellsWhetherTheFilterForbidsNamespacesToo) {
  Planning planning;
  EXPECT_EQ(enforced_text(planning.plan(), Protection::nested_user_namespaces), "sysctl+filter");
  planning.spec.seccomp = "./docker.json";
  EXPECT_EQ(enforced_text(planning.plan(), Protection::nested_user_namespaces), "sysctl");
}

}  // namespace
}  // namespace cove
