#include "tests/unit/plan/plan_fixture.h"

namespace cove {
namespace {

TEST(IdentityPlan, ChoosesTheUser) {
  struct Case {
    const char* spec;   // nullptr: unset
    const char* image;  // its USER
    std::uint32_t uid, gid;
    const char* home;
  };
  const Case cases[] = {
      {nullptr, "", 1000, 1000, "/workspace"},      {nullptr, "root", 1000, 1000, "/workspace"},
      {nullptr, "0:0", 1000, 1000, "/workspace"},   {nullptr, "admin", 1000, 1000, "/workspace"},
      {nullptr, "app", 1001, 1002, "/home/app"},    {nullptr, "1001", 1001, 1002, "/home/app"},
      {nullptr, "7777", 7777, 7777, "/workspace"},  {"root", "app", 0, 0, "/root"},
      {"app:video", "root", 1001, 44, "/home/app"}, {"1000", "app", 1000, 1000, "/workspace"},
  };
  for (const Case& c : cases) {
    Planning planning;
    if (c.spec) planning.spec.user = c.spec;
    planning.image.config.user = c.image;
    const IdentityPlan identity = planning.plan().identity;
    EXPECT_EQ(identity.uid, c.uid) << c.image;
    EXPECT_EQ(identity.gid, c.gid) << c.image;
    EXPECT_EQ(identity.home, c.home) << c.image;
  }
}

TEST(IdentityPlan, LetsRootBeAskedForWithoutAPasswdFile) {
  Planning planning;
  planning.image.passwd = planning.image.group = "";
  planning.spec.user = "root";
  EXPECT_EQ(planning.plan().identity.uid, 0u);
  EXPECT_EQ(planning.plan().identity.home, "/root");
  planning.spec.user.reset();
  planning.image.config.user = "root";
  EXPECT_EQ(planning.plan().identity.uid, 1000u);
}

TEST(IdentityPlan, HasOneIdAndNoGroupsForAPlainUser) {
  Planning planning("user_delegated");
  planning.image.config.user = "app";
  const IdentityPlan identity = planning.plan().identity;
  EXPECT_EQ(identity.mapping, IdMapping::single);
  EXPECT_TRUE(identity.groups.empty());
  planning.host = recorded_host("debian12_root");
  EXPECT_EQ(planning.plan().identity.mapping, IdMapping::range);
  EXPECT_EQ(planning.plan().identity.groups, std::vector<std::uint32_t>{44});
}

constexpr SubordinateIds kLent{100000, 200000};

Planning user_with_subordinate_ids() {
  Planning planning("user_delegated");
  planning.host.subordinate_ids = kLent;
  planning.image.layer_ids = LayerIds::subordinate;
  planning.image.subordinate_ids = kLent;
  return planning;
}

TEST(IdentityPlan, HasManyIdsAndGroupsForAPlainUserWithSubordinateOnes) {
  Planning planning = user_with_subordinate_ids();
  planning.image.config.user = "app";
  const Plan plan = planning.plan();
  EXPECT_EQ(plan.identity.mapping, IdMapping::subordinate);
  EXPECT_EQ(plan.identity.uid, 1001u);
  EXPECT_EQ(plan.identity.groups, std::vector<std::uint32_t>{44});
  EXPECT_EQ(plan.enforced.at(Protection::supplementary_groups), "setgroups");
  EXPECT_TRUE(is_degraded(plan, Protection::uid_separation));
  EXPECT_FALSE(plan.root.idmapped);
}

TEST(IdentityPlan, MapsAsTheStoreWasMade) {
  Planning planning = user_with_subordinate_ids();
  planning.image.layer_ids = LayerIds::caller;
  planning.image.subordinate_ids.reset();
  EXPECT_EQ(planning.plan().identity.mapping, IdMapping::single);
  planning.image.layer_ids = LayerIds::host;
  EXPECT_EQ(planning.plan().identity.mapping, IdMapping::subordinate);
}

TEST(IdentityPlan, RefusesAStoreOfSubordinateIdsThatAreGone) {
  Planning planning = user_with_subordinate_ids();
  planning.host.subordinate_ids = SubordinateIds{100001, 200000};
  Error error = planning.refusal();
  EXPECT_EQ(error.code, ErrorCode::image_invalid);
  EXPECT_EQ(error.where, "demo:latest");
  planning.host.subordinate_ids.reset();
  planning.host.subordinate_ids_reason = "newuidmap is gone";
  error = planning.refusal();
  EXPECT_EQ(error.code, ErrorCode::image_invalid);
  EXPECT_NE(error.what.find("newuidmap is gone"), std::string::npos);
}

TEST(IdentityPlan, RefusesToRunAPlainUsersStoreAsRoot) {
  Planning planning;
  for (const LayerIds ids : {LayerIds::caller, LayerIds::subordinate}) {
    planning.image.layer_ids = ids;
    EXPECT_EQ(planning.refusal().code, ErrorCode::image_invalid);
  }
}

TEST(IdentityPlan, HasTmpForHomeWhereTheWorkdirIsNotOurs) {
  Planning planning;
  planning.spec.workdir = "/srv";
  EXPECT_EQ(planning.plan().identity.home, "/tmp");
}

TEST(IdentityPlan, TellsTheCallersMistakeFromTheImages) {
  Planning planning;
  planning.spec.user = "nobody-here";
  expect_error(planning.refusal(), ErrorCode::invalid_argument, "$.user", "app");
  planning.spec.user.reset();
  planning.image.config.user = "2147483648+";
  expect_error(planning.refusal(), ErrorCode::image_invalid, "the image's USER", "--user");
}

}  // namespace
}  // namespace cove
