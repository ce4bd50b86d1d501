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
