#include "runtime/host/cgroup_facts.h"

#include <gtest/gtest.h>

#include <map>

namespace cove {
namespace {

constexpr KernelVersion kKernel{6, 1};

// Directories by path; those that are not in it do not exist.
using Tree = std::map<std::string, GroupDirectory>;

GroupReader reader_of(Tree tree) {
  return [tree = std::move(tree)](int, const std::string& directory) {
    const auto found = tree.find(directory);
    return found == tree.end() ? GroupDirectory{} : found->second;
  };
}

GroupDirectory writable(std::string controllers = {}, std::string subtree_control = {}) {
  GroupDirectory directory;
  directory.exists = directory.writable = true;
  directory.procs_writable = directory.control_writable = true;
  directory.has_processes = true;
  directory.controllers = std::move(controllers);
  directory.subtree_control = std::move(subtree_control);
  return directory;
}

GroupDirectory root_group(std::string controllers, std::string subtree_control = {}) {
  GroupDirectory directory = writable(std::move(controllers), std::move(subtree_control));
  directory.hierarchy_root = true;
  return directory;
}

constexpr const char* kPureV2 =
    "25 30 0:23 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"
    "28 25 0:25 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 "
    "rw,nsdelegate,memory_recursiveprot\n";
constexpr const char* kHybrid =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio\n"
    "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n"
    "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
constexpr const char* kHybridOwn =
    "9:name=systemd:/\n8:pids:/\n7:blkio:/\n4:memory:/process_api/6196a1\n1:cpu:/\n0::/\n";

TEST(CgroupMounts, AreReadWithTheirEscapesAndOptions) {
  const auto mounts = parse_cgroup_mounts(
      "1 2 0:3 /a\\040b /mnt/x\\134y\\011z ro,nosuid shared:1 master:2 - cgroup cgroup "
      "rw,cpu,cpuacct\n"
      "1 2 0:4 / /mnt/v2 rw - cgroup2 none ro\n"
      "1 2 0:5 / /mnt/t rw - tmpfs cgroup2 rw\n"
      "broken line\n1 2 - cgroup2\n");
  ASSERT_EQ(mounts.size(), 2u);
  EXPECT_EQ(mounts[0].version, 1);
  EXPECT_EQ(mounts[0].root, "/a b");
  EXPECT_EQ(mounts[0].mount_point, "/mnt/x\\y\tz");
  EXPECT_TRUE(mounts[0].read_only);
  EXPECT_EQ(mounts[0].controllers, (std::vector<std::string>{"rw", "cpu", "cpuacct"}));
  EXPECT_EQ(mounts[1].version, 2);
  EXPECT_TRUE(mounts[1].read_only) << "a read-only superblock is as read-only as a mount";
}

TEST(CgroupMounts, TheLastMountOnAPlaceIsTheOneThatIsSeen) {
  const auto mounts = parse_cgroup_mounts(
      "1 2 0:3 / /sys/fs/cgroup rw - cgroup2 none rw\n"
      "2 2 0:3 /x /sys/fs/cgroup ro - cgroup2 none rw\n");
  ASSERT_EQ(mounts.size(), 1u);
  EXPECT_EQ(mounts[0].root, "/x");
}

TEST(OwnGroups, MayHaveColonsInTheirPath) {
  const auto groups = parse_own_groups("12:cpu,cpuacct:/a:b\n0::/c\nnonsense\n");
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].controllers, (std::vector<std::string>{"cpu", "cpuacct"}));
  EXPECT_EQ(groups[0].path, "/a:b");
  EXPECT_EQ(groups[1].version, 2);
}

TEST(Cgroups, OfAHybridHostAreDrivenWhereEachSits) {
  const CgroupFacts facts =
      describe_cgroups({kHybrid, kHybridOwn}, "", kKernel,
                       reader_of({{"/sys/fs/cgroup/unified", root_group("hugetlb\n")},
                                  {"/sys/fs/cgroup/memory/process_api/6196a1", writable()},
                                  {"/sys/fs/cgroup/cpu", writable()},
                                  {"/sys/fs/cgroup/pids", writable()}}));
  EXPECT_TRUE(facts.hybrid);
  EXPECT_TRUE(facts.v2_usable);
  EXPECT_TRUE(facts.v2_kill);
  EXPECT_EQ(facts.v2_mount_point, "/sys/fs/cgroup/unified");
  EXPECT_EQ(facts.v2_group, "/");
  const ControllerFacts& memory = facts.controllers.at("memory");
  EXPECT_EQ(memory.version, 1);
  EXPECT_TRUE(memory.usable) << memory.reason;
  EXPECT_EQ(memory.group, "/process_api/6196a1");
  EXPECT_EQ(facts.controllers.at("pids").group, "/");
  EXPECT_TRUE(facts.controllers.at("cpu").usable);
  EXPECT_FALSE(facts.controllers.at("io").usable);
}

TEST(Cgroups, OfPureV2AtTheRootMayAlwaysBeDivided) {
  const CgroupFacts facts =
      describe_cgroups({kPureV2, "0::/\n"}, "", kKernel,
                       reader_of({{"/sys/fs/cgroup", root_group("cpuset cpu io memory pids\n")}}));
  EXPECT_FALSE(facts.hybrid);
  for (const char* name : {"memory", "cpu", "pids", "io"}) {
    EXPECT_TRUE(facts.controllers.at(name).usable) << name << facts.controllers.at(name).reason;
    EXPECT_EQ(facts.controllers.at(name).version, 2);
  }
}

TEST(Cgroups, OfV2WithProcessesMayNotBeDivided) {
  const std::string own = "/sys/fs/cgroup/system.slice/ssh.service";
  const CgroupFacts facts =
      describe_cgroups({kPureV2, "0::/system.slice/ssh.service\n"}, "", kKernel,
                       reader_of({{own, writable("cpu memory pids\n", "pids\n")}}));
  EXPECT_TRUE(facts.v2_usable) << "groups without controllers can still be made";
  const ControllerFacts& memory = facts.controllers.at("memory");
  EXPECT_FALSE(memory.usable);
  EXPECT_NE(memory.reason.find(own + " holds processes"), std::string::npos) << memory.reason;
  for (const std::uint32_t uid : {0u, 1000u}) {
    EXPECT_NE(cure_for_cgroup(memory.reason, uid).find("to a group below it"), std::string::npos);
  }
  EXPECT_TRUE(facts.controllers.at("pids").usable) << "it is handed down already";
  const ControllerFacts& io = facts.controllers.at("io");
  EXPECT_FALSE(io.usable);
  EXPECT_NE(io.reason.find("io is not among the controllers of"), std::string::npos) << io.reason;
}

// A login session of root's on a systemd host: its own group cannot be divided, the top of the
// hierarchy can.
TEST(Cgroups, AFullGroupOfRootsGivesWayToTheTopOfTheHierarchy) {
  const Tree tree{{"/sys/fs/cgroup/user.slice/s.scope", writable("cpu memory pids\n")},
                  {"/sys/fs/cgroup", root_group("cpu io memory pids\n", "memory pids\n")}};
  const CgroupFacts facts =
      describe_cgroups({kPureV2, "0::/user.slice/s.scope\n"}, "", kKernel, reader_of(tree));
  EXPECT_TRUE(facts.controllers.at("memory").usable) << facts.controllers.at("memory").reason;
  EXPECT_EQ(facts.controllers.at("memory").group, "/");
  EXPECT_EQ(facts.v2_group, "/");
}

TEST(Cgroups, AFullGroupStaysWhereTheTopMayNotBeWritten) {
  GroupDirectory top = root_group("cpu io memory pids\n");
  top.writable = false;
  const Tree tree{{"/sys/fs/cgroup/user.slice/s.scope", writable("cpu memory pids\n")},
                  {"/sys/fs/cgroup", top}};
  const CgroupFacts facts =
      describe_cgroups({kPureV2, "0::/user.slice/s.scope\n"}, "", kKernel, reader_of(tree));
  EXPECT_FALSE(facts.controllers.at("memory").usable);
  EXPECT_EQ(facts.v2_group, "/user.slice/s.scope");
}

// DelegateSubgroup= of systemd, or a script that has moved itself out of the way.
TEST(Cgroups, AFullGroupGivesWayToAnEmptyOneAroundIt) {
  GroupDirectory around = writable("cpu memory pids\n", "memory pids\n");
  around.has_processes = false;
  const Tree tree{{"/sys/fs/cgroup/system.slice/ci.service/main", writable("memory pids\n")},
                  {"/sys/fs/cgroup/system.slice/ci.service", around}};
  const CgroupFacts facts = describe_cgroups({kPureV2, "0::/system.slice/ci.service/main\n"}, "",
                                             kKernel, reader_of(tree));
  EXPECT_EQ(facts.v2_group, "/system.slice/ci.service");
  EXPECT_TRUE(facts.controllers.at("memory").usable) << facts.controllers.at("memory").reason;
  EXPECT_TRUE(facts.controllers.at("cpu").usable) << facts.controllers.at("cpu").reason;
}

TEST(Cgroups, AFullGroupStaysWhereTheOneAroundItIsNotOurs) {
  GroupDirectory full = writable("memory\n"), closed = writable("memory\n");
  closed.has_processes = closed.procs_writable = false;
  GroupDirectory slice = writable("memory\n");
  slice.has_processes = false;
  struct Case {
    const char* around;
    GroupDirectory directory;
  };
  for (const Case& c : {Case{"/a", full}, Case{"/a", closed}, Case{"/app.slice", slice}}) {
    const std::string own = std::string(c.around) + "/leaf";
    const Tree tree{{"/sys/fs/cgroup" + own, full},
                    {std::string("/sys/fs/cgroup") + c.around, c.directory}};
    const std::string line = "0::" + own + "\n";
    const CgroupFacts facts = describe_cgroups({kPureV2, line}, "", kKernel, reader_of(tree));
    EXPECT_EQ(facts.v2_group, own);
    EXPECT_FALSE(facts.controllers.at("memory").usable);
  }
}

// ---- a plain user's login session ----

constexpr const char* kSession = "0::/user.slice/user-1000.slice/session-2.scope\n";
constexpr const char* kBus = "unix:path=/run/user/1000/bus";
constexpr const char* kManager = "/user.slice/user-1000.slice/user@1000.service";

Tree session_tree() {
  GroupDirectory session;
  session.exists = session.has_processes = true;
  session.controllers = "cpu memory pids\n";
  GroupDirectory manager = writable("cpu memory pids\n", "memory pids\n");
  manager.has_processes = false;
  return {{"/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope", session},
          {std::string("/sys/fs/cgroup") + kManager, manager}};
}

UserManager user_manager() { return {1000, kBus, {}}; }

TEST(Cgroups, OfALoginSessionComeInAScopeOfTheUsersManager) {
  const CgroupFacts facts =
      describe_cgroups({kPureV2, kSession, user_manager()}, "", kKernel, reader_of(session_tree()));
  EXPECT_EQ(facts.scope_bus, kBus);
  EXPECT_EQ(facts.scope_reason, "");
  EXPECT_TRUE(facts.v2_usable) << facts.v2_reason;
  EXPECT_EQ(facts.v2_group, kManager);
  for (const char* name : {"cpu", "memory", "pids"}) {
    EXPECT_TRUE(facts.controllers.at(name).usable) << facts.controllers.at(name).reason;
    EXPECT_EQ(facts.controllers.at(name).group, kManager);
  }
  const ControllerFacts& io = facts.controllers.at("io");
  EXPECT_FALSE(io.usable);
  EXPECT_NE(cure_for_cgroup(io.reason, 1000).find("Delegate=yes in a drop-in of user@.service"),
            std::string::npos);
}

// A scope that somebody else was given holds its processes, so that nobody can divide it.
TEST(Cgroups, OfAFullScopeComeInOneOfTheirOwn) {
  Tree tree = session_tree();
  const std::string own = std::string(kManager) + "/app.slice/run-r5.scope";
  tree["/sys/fs/cgroup" + own] = writable("cpu memory pids\n");
  const std::string line = "0::" + own + "\n";
  const CgroupFacts facts =
      describe_cgroups({kPureV2, line, user_manager()}, "", kKernel, reader_of(tree));
  EXPECT_EQ(facts.v2_group, kManager);
  EXPECT_EQ(facts.scope_bus, kBus);
}

TEST(Cgroups, WithoutAScopeSayWhy) {
  struct Case {
    UserManager manager;
    bool running;
    const char *reason, *cure;
  };
  const Case cases[] = {
      {user_manager(), false, "no user manager of systemd's runs", "loginctl enable-linger"},
      {{1000, "", {}},
       true,
       "no bus leads to systemd's user manager",
       "XDG_RUNTIME_DIR to /run/user/1000"},
      {{1000, kBus, "Access denied"},
       true,
       "systemd's user manager gives no scope: Access denied",
       "systemctl --user status"},
  };
  for (const Case& c : cases) {
    Tree tree = session_tree();
    if (!c.running) tree.erase(std::string("/sys/fs/cgroup") + kManager);
    const CgroupFacts facts =
        describe_cgroups({kPureV2, kSession, c.manager}, "", kKernel, reader_of(tree));
    EXPECT_EQ(facts.scope_bus, "");
    EXPECT_NE(facts.scope_reason.find(c.reason), std::string::npos) << facts.scope_reason;
    EXPECT_FALSE(facts.v2_usable);
    EXPECT_EQ(facts.v2_group, "/user.slice/user-1000.slice/session-2.scope");
    for (const std::string& reason : {facts.v2_reason, facts.controllers.at("memory").reason}) {
      EXPECT_NE(reason.find("session-2.scope may not be written by this user; "), std::string::npos)
          << reason;
      EXPECT_NE(reason.find(c.reason), std::string::npos) << reason;
      EXPECT_NE(cure_for_cgroup(reason, 1000).find(c.cure), std::string::npos) << reason;
    }
  }
}

TEST(Cgroups, NeedNoScopeWhereTheCallerHasAPlaceOrHasNamedOne) {
  Tree tree = session_tree();
  GroupDirectory empty = writable("cpu memory pids\n");
  empty.has_processes = false;
  tree["/sys/fs/cgroup/user.slice/user-1000.slice"] = writable();
  tree["/sys/fs/cgroup/user.slice/user-1000.slice/given"] = empty;
  const CgroupFacts named =
      describe_cgroups({kPureV2, kSession, user_manager()}, "/user.slice/user-1000.slice/given",
                       kKernel, reader_of(tree));
  EXPECT_EQ(named.scope_bus, "");
  EXPECT_EQ(named.v2_group, "/user.slice/user-1000.slice/given");
  EXPECT_TRUE(named.controllers.at("memory").usable);

  const CgroupFacts of_root =
      describe_cgroups({kPureV2, kSession, {}}, "", kKernel, reader_of(session_tree()));
  EXPECT_EQ(of_root.scope_bus, "");
  EXPECT_EQ(of_root.scope_reason, "") << "root's manager is not looked for";
}

TEST(Cgroups, AnEmptyDelegatedParentIsUsable) {
  GroupDirectory empty = writable("cpu memory pids\n");
  empty.has_processes = false;
  const Tree tree{{"/sys/fs/cgroup/u/cove", empty}, {"/sys/fs/cgroup/u", writable()}};
  for (const char* parent : {"/u/cove", "u/cove", "//u//cove/"}) {
    const CgroupFacts facts =
        describe_cgroups({kPureV2, "0::/u/session\n"}, parent, kKernel, reader_of(tree));
    EXPECT_TRUE(facts.controllers.at("memory").usable) << facts.controllers.at("memory").reason;
    EXPECT_EQ(facts.controllers.at("memory").group, "/u/cove");
    EXPECT_EQ(facts.v2_group, "/u/cove");
  }
}

TEST(Cgroups, MovingNeedsTheCommonAncestor) {
  GroupDirectory ancestor = writable();
  ancestor.procs_writable = false;
  GroupDirectory empty = writable("memory\n");
  empty.has_processes = false;
  const CgroupFacts facts = describe_cgroups(
      {kPureV2, "0::/u/session\n"}, "/u/cove", kKernel,
      reader_of({{"/sys/fs/cgroup/u/cove", empty}, {"/sys/fs/cgroup/u", ancestor}}));
  EXPECT_FALSE(facts.v2_usable);
  EXPECT_NE(facts.v2_reason.find("/sys/fs/cgroup/u/cgroup.procs may not be written"),
            std::string::npos)
      << facts.v2_reason;
  EXPECT_FALSE(facts.controllers.at("memory").usable);
}

TEST(Cgroups, SayWhyTheyCannotBeUsed) {
  struct Case {
    const char* mountinfo;
    const char* own;
    const char* parent;
    Tree tree;
    const char* reason;
  };
  GroupDirectory closed = writable("memory\n");
  closed.writable = false;
  const Case cases[] = {
      {"1 2 0:3 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n",
       "0::/\n",
       "",
       {{"/sys/fs/cgroup", writable("memory\n")}},
       "/sys/fs/cgroup is mounted read-only"},
      {kPureV2,
       "0::/x\n",
       "",
       {{"/sys/fs/cgroup/x", closed}},
       "/sys/fs/cgroup/x may not be written by this user"},
      {kPureV2, "0::/x\n", "/gone", {}, "/sys/fs/cgroup/gone does not exist"},
      {kPureV2, "0::/../x\n", "", {}, "lies outside of what is mounted at /sys/fs/cgroup"},
      {"1 2 0:3 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
       "0::/other\n",
       "",
       {},
       "lies outside of what is mounted at /sys/fs/cgroup"},
      {"1 2 0:3 / /proc rw - proc proc rw\n", "0::/\n", "", {}, "no cgroup2 hierarchy is mounted"},
  };
  for (const Case& c : cases) {
    const CgroupFacts facts =
        describe_cgroups({c.mountinfo, c.own}, c.parent, kKernel, reader_of(c.tree));
    EXPECT_FALSE(facts.v2_usable);
    EXPECT_NE(facts.v2_reason.find(c.reason), std::string::npos) << facts.v2_reason;
    EXPECT_FALSE(facts.controllers.at("memory").usable) << c.reason;
    EXPECT_FALSE(facts.controllers.at("memory").reason.empty());
    EXPECT_FALSE(cure_for_cgroup(facts.v2_reason, 0).empty());
  }
}

TEST(Cgroups, ABindMountShowsAPartOfTheHierarchy) {
  // Docker on v1 without a cgroup namespace.
  const CgroupFacts facts =
      describe_cgroups({"1 2 0:3 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
                        "4:memory:/docker/abc/inner\n"},
                       "", kKernel, reader_of({{"/sys/fs/cgroup/memory/inner", writable()}}));
  EXPECT_EQ(facts.controllers.at("memory").group, "/inner");
  EXPECT_TRUE(facts.controllers.at("memory").usable);
  EXPECT_FALSE(facts.v2_mounted);
  EXPECT_EQ(facts.controllers.at("cpu").reason, "no cgroup hierarchy is mounted that has it");
}

TEST(Cgroups, HaveKillSince5_14) {
  const auto kill = [](KernelVersion kernel) {
    return describe_cgroups({kPureV2, "0::/\n"}, "", kernel,
                            reader_of({{"/sys/fs/cgroup", root_group("memory\n")}}))
        .v2_kill;
  };
  EXPECT_FALSE(kill({5, 13}));
  EXPECT_TRUE(kill({5, 14}));
}

}  // namespace
}  // namespace cove
