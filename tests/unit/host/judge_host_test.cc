#include <gtest/gtest.h>
#include <linux/capability.h>

#include "runtime/host/host_facts.h"
#include "runtime/host/kernel_version.h"
#include "runtime/identity/own_id_map.h"

namespace cove {
namespace {

constexpr const char* kInitialMap = "         0          0 4294967295\n";

std::uint64_t capabilities(std::initializer_list<int> numbers) {
  std::uint64_t set = 0;
  for (const int number : numbers) set |= std::uint64_t{1} << number;
  return set;
}

HostTexts root_host() {
  HostTexts texts;
  texts.kernel_release = "6.1.0-18-amd64";
  texts.capabilities = ~std::uint64_t{0};
  texts.uid_map = texts.gid_map = kInitialMap;
  texts.max_user_namespaces = "63000\n";
  texts.seccomp_actions = "kill_process kill_thread trap errno user_notif trace log allow\n";
  texts.filesystems = "nodev\tproc\nnodev\toverlay\n\text4\n";
  texts.memory_total = 16384 * 1024;
  texts.swap_total = 2048 * 1024;
  return texts;
}

HostTexts user_host() {
  HostTexts texts = root_host();
  texts.uid = texts.gid = 1000;
  texts.capabilities = 0;
  return texts;
}

HostFacts judge(const HostTexts& texts) {
  return judge_host(texts, [](int, const std::string&) { return GroupDirectory{}; });
}

HostTexts user_with_subordinate_ids() {
  HostTexts texts = user_host();
  texts.login_name = "ada";
  texts.subuid = "bob:100000:65536\nada:200000:65536\n";
  texts.subgid = "ada:300000:65536\n";
  texts.id_helpers = true;
  return texts;
}

TEST(JudgedHost, KnowsAPlainUsersSubordinateIds) {
  EXPECT_EQ(judge(user_with_subordinate_ids()).subordinate_ids, (SubordinateIds{200000, 300000}));
  HostTexts root = user_with_subordinate_ids();
  root.uid = 0;
  root.capabilities = ~std::uint64_t{0};
  EXPECT_FALSE(judge(root).subordinate_ids);
  EXPECT_EQ(judge(root).subordinate_ids_reason, "");
}

TEST(JudgedHost, SaysWhyAPlainUserHasNoSubordinateIds) {
  const auto reason = [](auto change) {
    HostTexts texts = user_with_subordinate_ids();
    change(texts);
    const HostFacts host = judge(texts);
    EXPECT_FALSE(host.subordinate_ids);
    return host.subordinate_ids_reason;
  };
  EXPECT_EQ(reason([](HostTexts& t) { t.subuid = ""; }), "/etc/subuid gives uid 1000 no 65535 ids");
  EXPECT_EQ(reason([](HostTexts& t) { t.subgid = "ada:300000:65534\n"; }),
            "/etc/subgid gives uid 1000 no 65535 ids");
  EXPECT_NE(reason([](HostTexts& t) { t.id_helpers = false; }).find("newuidmap"),
            std::string::npos);
  EXPECT_NE(reason([](HostTexts& t) { t.no_new_privs = true; }).find("no_new_privs"),
            std::string::npos);
  // In a container, say: what it says of subordinate ids is not what its namespace was given.
  EXPECT_NE(reason([](HostTexts& t) {
              t.gid_map = "0 100000 65536\n";
            }).find("user namespace does not have"),
            std::string::npos);
}

TEST(KernelVersionOf, ReadsReleases) {
  EXPECT_EQ(parse_kernel_version("6.18.44-fc-v595"), (KernelVersion{6, 18}));
  EXPECT_EQ(parse_kernel_version("5.10"), (KernelVersion{5, 10}));
  EXPECT_LT(parse_kernel_version("5.9.1"), parse_kernel_version("5.10.1"));
  for (const char* release : {"", "6", "6.", "x.1", "6-1"}) {
    EXPECT_EQ(parse_kernel_version(release), (KernelVersion{})) << release;
  }
}

TEST(IdMap, TellsWhoAnIdIsOutside) {
  const char* map = "         0       1001          1\n         1     100000      65536\n";
  EXPECT_EQ(id_in_parent(map, 0), 1001u);
  EXPECT_EQ(id_in_parent(map, 5), 100004u);
  EXPECT_EQ(id_in_parent(map, 70000), 70000u) << "nobody's";
  EXPECT_EQ(id_in_parent("0 0 4294967295\n", 1000), 1000u);
}

TEST(IdMap, OfTheInitialNamespaceIsKnown) {
  EXPECT_TRUE(is_initial_id_map(kInitialMap));
  EXPECT_TRUE(maps_slot_ids(kInitialMap));
  for (const char* map : {"0 100000 65536\n", "0 1000 1\n", "", "0 0\n", "0 0 1000\n"}) {
    EXPECT_FALSE(is_initial_id_map(map)) << map;
    EXPECT_FALSE(maps_slot_ids(map)) << map;
  }
  EXPECT_TRUE(maps_slot_ids("0 100000 65536\n65536 200000 4000000000\n"));
  EXPECT_TRUE(maps_ids("0 100000 65536\n", 1, 65535));
  EXPECT_FALSE(maps_ids("0 100000 65536\n", 2, 65535));
  EXPECT_FALSE(maps_ids("0 1000 1\n1 100000 65535\n", 0, 65535)) << "in two lines";
}

TEST(Host, IsPrivilegedWithAllThatRangesNeed) {
  EXPECT_TRUE(judge(root_host()).privileged);
  EXPECT_TRUE(judge(root_host()).can_mknod);
  EXPECT_FALSE(judge(user_host()).privileged);
  for (const int missing : {CAP_SYS_ADMIN, CAP_SETUID, CAP_SETGID, CAP_CHOWN}) {
    HostTexts texts = root_host();
    texts.capabilities &= ~capabilities({missing});
    EXPECT_FALSE(judge(texts).privileged) << missing;
  }
  HostTexts container = root_host();
  container.uid_map = container.gid_map = "0 100000 65536\n";
  EXPECT_FALSE(judge(container).privileged);
  EXPECT_FALSE(judge(container).can_mknod);
}

TEST(Host, SaysWhyItHasNoUserNamespaces) {
  struct Case {
    std::string HostTexts::*file;
    const char* text;
    const char* reason;  // for a user; empty: available
    bool root_too;
  };
  const Case cases[] = {
      {&HostTexts::max_user_namespaces, "0\n", "user.max_user_namespaces is 0", true},
      {&HostTexts::max_user_namespaces, "", "built without", true},
      {&HostTexts::unprivileged_userns_clone, "0\n", "kernel.unprivileged_userns_clone is 0",
       false},
      {&HostTexts::unprivileged_userns_clone, "1\n", "", false},
      {&HostTexts::apparmor_restriction, "1\n", "apparmor_restrict_unprivileged_userns is 1",
       false},
      {&HostTexts::apparmor_restriction, "0\n", "", false},
  };
  for (const Case& c : cases) {
    HostTexts user = user_host(), root = root_host();
    user.*c.file = root.*c.file = c.text;
    const HostFacts facts = judge(user);
    EXPECT_EQ(facts.user_namespaces, std::string_view(c.reason).empty()) << c.text;
    EXPECT_NE(facts.user_namespaces_reason.find(c.reason), std::string::npos);
    EXPECT_EQ(judge(root).user_namespaces, !c.root_too) << c.reason;
  }
}

TEST(Host, IsAllowedByAnAppArmorProfileOfItsOwn) {
  HostTexts texts = user_host();
  texts.apparmor_restriction = "1\n";
  texts.apparmor_label = "unconfined\n";
  EXPECT_FALSE(judge(texts).user_namespaces);
  texts.apparmor_label = "cove (unconfined)\n";
  EXPECT_TRUE(judge(texts).user_namespaces);
}

TEST(Host, HasOverlayWhereTheModuleCanBeLoaded) {
  HostTexts texts = root_host();
  EXPECT_TRUE(judge(texts).overlay);
  texts.filesystems = "nodev\toverlayfs2\nnodev\tnot-overlay\n";
  EXPECT_FALSE(judge(texts).overlay);
  texts.overlay_module = true;
  EXPECT_TRUE(judge(texts).overlay);
}

TEST(Host, ReadsTheRest) {
  HostTexts texts = root_host();
  HostFacts facts = judge(texts);
  EXPECT_EQ(facts.memory_total, mebibytes(16));
  EXPECT_EQ(facts.swap_total, mebibytes(2));
  EXPECT_TRUE(facts.seccomp);
  EXPECT_FALSE(facts.tmpfs_user_xattr);
  texts.kernel_release = "6.6.0";
  texts.seccomp_actions = "";
  facts = judge(texts);
  EXPECT_TRUE(facts.tmpfs_user_xattr);
  EXPECT_FALSE(facts.seccomp);
}

}  // namespace
}  // namespace cove
