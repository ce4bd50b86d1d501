// CVE-2022-29162 (runc), CVE-2022-27650 (crun), CVE-2022-24769 (moby): containers were started with
// inheritable capabilities, which a file with inheritable ones of its own then raised.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <array>
#include <cstdint>

#include "cove/json.h"
#include "tests/support/attack.h"

namespace cove::testing {
namespace {

constexpr std::array<const char*, 5> kSets{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
constexpr const char* kNone = "0000000000000000";

std::vector<std::string> whose_capabilities_are_raised(const std::vector<std::string>& argv) {
  std::vector<std::string> whole{attacker_path(), "raise-inheritable", ";", "exec"};
  whole.insert(whole.end(), argv.begin(), argv.end());
  return whole;
}

TEST(Escape, Cve202229162NothingIsInheritedFromTheCaller) {
  Attack attack("read-file /proc/self/status");
  const Attack naive("raise-inheritable ; exec /bin/attacker read-file /proc/self/status");
  const std::string kept = naive.in_naive_container({}, Capabilities::kept);
  EXPECT_NE(line_after(kept, "CapInh:\t"), kNone) << kept;
  EXPECT_NE(line_after(kept, "CapAmb:\t"), kNone) << kept;

  for (const char* user : {"1000", "root"}) {
    const CommandOutcome outcome = run_command(whose_capabilities_are_raised(
        {command_path(), "run", "--user", user, "--rootfs", *attack.spec.rootfs, "--",
         "/bin/attacker", "read-file", "/proc/self/status"}));
    attack.spec.user = user;
    for (const std::string& status : {outcome.out, attack.inside()}) {
      for (const char* set : kSets)
        EXPECT_EQ(line_after(status, std::string(set) + ":\t"), kNone) << set << " of " << user;
    }
  }
  EXPECT_EQ(Attack("caps").inside(), "bounding:\nambient:\n");
}

// The file that they are for: cap_chown and cap_sys_admin, permitted, inheritable and effective.
TEST(Escape, Cve202229162AFileWithCapabilitiesGivesNone) {
  COVE_NEEDS_ROOT("to give a file capabilities");
  const AttackerRoot root;
  root.put("/bin/capable", contents_of(attacker_path()), 0755);
  constexpr std::uint32_t kRevision2AndEffective = 0x02000001, kSome = 1u | 1u << 21;
  const std::array<std::uint32_t, 5> data{kRevision2AndEffective, kSome, kSome, 0, 0};
  const std::string file = root.outside("/bin/capable");
  ASSERT_EQ(setxattr(file.c_str(), "security.capability", data.data(), sizeof data, 0), 0);
  CommandOptions as_another;
  as_another.in_child = [] {
    if (setgid(60123) != 0 || setuid(60123) != 0) _exit(70);
  };
  const CommandOutcome outside = run_command({file, "read-file", "/proc/self/status"}, as_another);
  EXPECT_NE(line_after(outside.out, "CapEff:\t"), kNone) << outside.err;

  Attack attack("exec /bin/capable read-file /proc/self/status", root);
  for (const char* user : {"1000", "root"}) {
    attack.spec.user = user;
    const std::string status = attack.without({Protection::seccomp});
    for (const char* set : kSets)
      EXPECT_EQ(line_after(status, std::string(set) + ":\t"), kNone) << set << " of " << user;
    EXPECT_EQ(line_after(status, "NoNewPrivs:\t"), "1");
  }
}

}  // namespace
}  // namespace cove::testing
