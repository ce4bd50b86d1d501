#include "runtime/identity/passwd.h"

#include <gtest/gtest.h>

namespace cove {
namespace {

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/bash\n"
    "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
    "app:x:1001:1002:The App,,,:/home/app:/bin/sh\n"
    "short:x:1003:1003\n"
    "nohome:x:1004:1004::relative/home:\n"
    "app:x:0:0:second of its name:/root:/bin/sh\n";
constexpr const char* kGroup =
    "root:x:0:\n"
    "app:x:1002:app\n"
    "video:x:44:app,other\n"
    "audio:x:29:other\n"
    "docker:x:999:other,app\n"
    "video:x:44:app\n";

UserIdentity found(std::string_view spec) {
  const Result<UserIdentity> user = find_user(spec, kPasswd, kGroup);
  EXPECT_TRUE(user) << spec << ": " << user.error().message();
  return user.value_or(UserIdentity{~0u, ~0u, {}, {}});
}

TEST(FindUser, TakesEachFormOfTheSpec) {
  struct Case {
    const char* spec;
    std::uint32_t uid, gid;
    const char* home;
    std::vector<std::uint32_t> groups;
  };
  const Case cases[] = {
      {"app", 1001, 1002, "/home/app", {44, 999}},
      {"1001", 1001, 1002, "/home/app", {44, 999}},
      {"app:audio", 1001, 29, "/home/app", {}},
      {"app:29", 1001, 29, "/home/app", {}},
      {"1001:0", 1001, 0, "/home/app", {}},
      {"0", 0, 0, "/root", {}},
      {"root", 0, 0, "/root", {}},
      {"short", 1003, 1003, "", {}},
      {"nohome", 1004, 1004, "", {}},
      {"65535:65535", 65535, 65535, "", {}},
  };
  for (const Case& c : cases) {
    const UserIdentity user = found(c.spec);
    EXPECT_EQ(user.uid, c.uid) << c.spec;
    EXPECT_EQ(user.gid, c.gid) << c.spec;
    EXPECT_EQ(user.home, c.home) << c.spec;
    EXPECT_EQ(user.groups, c.groups) << c.spec;
  }
}

TEST(FindUser, GivesAnUnknownUidTheGidOfTheSameNumberAndNeverGroupZero) {
  const UserIdentity user = found("4321");
  EXPECT_EQ(user.uid, 4321u);
  EXPECT_EQ(user.gid, 4321u);
  EXPECT_TRUE(user.groups.empty());
  EXPECT_TRUE(user.home.empty());
}

// CVE-2024-40635: containerd took an overflowing number for a name, found none, and ran as root.
TEST(FindUser, Cve2024_40635RefusesWhatIsAlmostANumber) {
  const std::string_view specs[] = {"2147483648+", "4294967296",   "18446744073709551616",
                                    "65536",       "-1",           "+1",
                                    "1000garbage", "1000:garbage", "1000:1000x",
                                    "0x0",         "010",          "00",
                                    "1000 ",       "1e3",          "1000:",
                                    ":1000",       "1000:1:2",     "",
                                    ":",           "app:-1",       "99999999999999999999999999"};
  for (const std::string_view spec : specs) {
    const Result<UserIdentity> user = find_user(spec, kPasswd, kGroup);
    ASSERT_FALSE(user) << spec;
    EXPECT_EQ(user.error().code, ErrorCode::invalid_argument) << spec;
  }
  EXPECT_FALSE(find_user(std::string_view("0\0", 2), kPasswd, kGroup));
  EXPECT_FALSE(find_user(" root", kPasswd, kGroup));
  EXPECT_FALSE(find_user("root\n", kPasswd, kGroup));
}

TEST(FindUser, NamesWhatIsKnown) {
  const Result<UserIdentity> user = find_user("ap", kPasswd, kGroup);
  ASSERT_FALSE(user);
  EXPECT_NE(user.error().what.find("\"ap\""), std::string::npos);
  EXPECT_NE(user.error().hint.find("root, daemon, app"), std::string::npos);
  const Result<UserIdentity> group = find_user("app:vide", kPasswd, kGroup);
  ASSERT_FALSE(group);
  EXPECT_NE(group.error().hint.find("video"), std::string::npos);
}

TEST(FindUser, SkipsLinesThatBreakTheFormat) {
  const std::string passwd = std::string(
      "\n:x:0:0::/:/bin/sh\n"
      "evil\n"
      "evil:x\n"
      "evil:x:0\n"
      "evil:x::0::/:\n"
      "evil:x:-1:0::/:\n"
      "evil:x:4294967296:0::/:\n"
      "evil:x:0 :0::/:\n"
      "evil:x:0:70000::/:\n"
      "evil:x:0:0:::sh:more\n"
      "evil\r:x:0:0::/:\n"
      "+::0:0::/:\n"
      "evil:x:7:7:\033[2J:/h:\n"
      "evil:x:1005:1005::/home/evil:/bin/sh");
  const Result<UserIdentity> user = find_user("evil", passwd, "");
  ASSERT_TRUE(user) << user.error().message();
  EXPECT_EQ(user->uid, 1005u);
  EXPECT_EQ(user->home, "/home/evil");
  EXPECT_FALSE(find_user("+", passwd, ""));
}

TEST(FindUser, IsNotFooledByANulInTheFile) {
  using namespace std::string_literals;
  const std::string passwd = "app:x:0:0::/root:\0\napp:x:1001:1001::/home/app:"s;
  const Result<UserIdentity> user = find_user("app", passwd, "");
  ASSERT_TRUE(user);
  EXPECT_EQ(user->uid, 1001u);
}

TEST(FindUser, NeverShowsControlCharactersOfAnImage) {
  const Result<UserIdentity> user = find_user("x", "\033[31mred:x:5:5::/:\nok:x:6:6::/:\n", "");
  ASSERT_FALSE(user);
  EXPECT_EQ(user.error().message().find('\033'), std::string::npos);
  EXPECT_NE(user.error().hint.find("ok"), std::string::npos);
  const Result<UserIdentity> spec = find_user("\033[31mx", kPasswd, kGroup);
  ASSERT_FALSE(spec);
  EXPECT_EQ(spec.error().message().find('\033'), std::string::npos);
}

TEST(FindUser, BoundsTheSupplementaryGroups) {
  std::string group;
  for (int i = 2000; i < 3000; ++i) {
    const std::string number = std::to_string(i);
    group.append("g").append(number).append(":x:").append(number).append(":app\n");
  }
  const Result<UserIdentity> user = find_user("app", kPasswd, group);
  ASSERT_TRUE(user);
  EXPECT_EQ(user->groups.size(), 64u);
}

}  // namespace
}  // namespace cove
