// CVE-2021-30465 (runc): a volume's directory became a link between the check of a mount's target and
// the mount, which then went wherever the link led on the host. CVE-2024-45310: the same with the
// directories that are made for a target. CVE-2024-42472 and CVE-2024-1753: with sources.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::MatchesRegex;

bool is_directory(const std::string& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

class SymlinkSwap : public ::testing::Test {
 protected:
  void SetUp() override { COVE_NEEDS_IDMAPPED_BINDS(); }

  // Launches over and over, and returns what came of it, each kind once. Goes on for a while, until
  // each of `wanted` was among it.
  static std::set<std::string> outcomes_of(const SandboxSpec& spec, int count,
                                           const std::vector<std::string>& wanted) {
    std::set<std::string> outcomes;
    const double end = seconds_now() + 10 * slowness();
    const auto missing = [&](const std::string& outcome) { return !outcomes.contains(outcome); };
    for (int left = attempts(count);
         left > 0 || (std::any_of(wanted.begin(), wanted.end(), missing) && seconds_now() < end);
         --left)
      outcomes.insert(refusal(run(spec)));
    for (const std::string& outcome : wanted)
      EXPECT_TRUE(outcomes.contains(outcome)) << outcome << ::testing::PrintToString(outcomes);
    return outcomes;
  }

  const TempDirectory victim_;
};

TEST_F(SymlinkSwap, Cve202130465OfATargetInAVolume) {
  const TempDirectory volume, given;
  put_file(given / "given", "");
  put_file(victim_ / "secret", "secret");
  ASSERT_EQ(mkdir((volume / "sub").c_str(), 0755), 0);
  ASSERT_EQ(symlink(victim_.path().c_str(), (volume / "other").c_str()), 0);
  const Swapper swapper(volume / "sub", volume / "other");
  EXPECT_TRUE(race_is_lost([&] { return is_directory(volume / "sub"); },
                           [&] { return exists(volume / "sub/secret"); }));

  SandboxSpec spec = Attack("list /data/sub").spec;
  spec.mounts = {bind_of(volume.path(), "/data"), read_only_bind_of(given.path(), "/data/sub")};
  const std::size_t mounts = mount_count();
  const std::set<std::string> outcomes = outcomes_of(spec, 150, {"ran: given\n"});
  for (const std::string& outcome : outcomes) {
    // The name that is listed may by then be the link, which leads nowhere inside, or the directory
    // without the mount, which went to the other one.
    EXPECT_THAT(outcome, MatchesRegex("ran: (given\n|list: ENOENT\n)?|"
                                      "setup_failed, mount [0-9]+ on /data/sub, [A-Z]+"));
  }
  EXPECT_GT(outcomes.size(), 1u) << "the race was never met";
  EXPECT_THAT(names_in(victim_.path()), ::testing::ElementsAre("secret"));
  EXPECT_EQ(mount_count(), mounts);
}

TEST_F(SymlinkSwap, Cve202445310OfDirectoriesThatAreMadeForATarget) {
  const TempDirectory given;
  put_file(given / "given", "");
  for (const std::string& target : {victim_.path(), "../../../../../../../.." + victim_.path()}) {
    const AttackerRoot root;
    root.make_directory("/srv/place", 0777);  // anybody's: as root it is not idmapped
    root.link("/srv/link", target);
    std::filesystem::create_directories(root.outside("/srv/link/naive"));  // who makes them by path
    ASSERT_THAT(names_in(victim_.path()), ::testing::ElementsAre("naive"));
    ASSERT_EQ(rmdir((victim_ / "naive").c_str()), 0);

    SandboxSpec spec = Attack("list /srv/place/made/deep", root).spec;
    spec.mounts = {read_only_bind_of(given.path(), "/srv/place/made/deep")};
    const Swapper swapper(root.outside("/srv/place"), root.outside("/srv/link"));
    const std::set<std::string> outcomes = outcomes_of(spec, 100, {"ran: given\n"});
    for (const std::string& outcome : outcomes) {
      EXPECT_THAT(outcome,
                  MatchesRegex("ran: (given\n|list: ENOENT\n)?|"
                               "setup_failed, mount [0-9]+ on /srv/place/made/deep, [A-Z]+"));
    }
    EXPECT_THAT(names_in(victim_.path()), IsEmpty()) << target;
  }
}

// What was looked at is what is mounted. A link to a procfs is refused, whenever it is seen.
TEST_F(SymlinkSwap, Cve202442472OfASource) {
  const TempDirectory place;
  ASSERT_EQ(mkdir((place / "source").c_str(), 0755), 0);
  put_file(place / "source/given", "");
  ASSERT_EQ(symlink("/proc", (place / "other").c_str()), 0);
  const Swapper swapper(place / "source", place / "other");
  EXPECT_TRUE(race_is_lost(
      [&] {
        struct statfs filesystem {};
        return statfs((place / "source").c_str(), &filesystem) == 0 &&
               filesystem.f_type != PROC_SUPER_MAGIC;
      },
      [&] { return exists(place / "source/self/comm"); }));

  SandboxSpec spec = Attack("list /data").spec;
  spec.mounts = {read_only_bind_of(place / "source", "/data")};
  const std::set<std::string> outcomes =
      outcomes_of(spec, 300, {"ran: given\n", "invalid_argument, mount 0, 0"});
  for (const std::string& outcome : outcomes) {
    // A plain user's is found again by its path: it may have been replaced meanwhile.
    EXPECT_THAT(outcome, MatchesRegex("ran: given\n|invalid_argument, mount 0, 0|"
                                      "setup_failed, mount, (ELOOP|ESTALE|ENOENT)"));
  }
}

// A link with ".." is followed while anything on the machine is renamed: the kernel cannot always say
// that it stays in the root, and asks to be asked again. A launch did not, and failed.
TEST_F(SymlinkSwap, AnotherProcesssRenamesDoNotFailALaunch) {
  const TempDirectory given, elsewhere;
  put_file(given / "given", "");
  for (const char* name : {"one", "other"}) ASSERT_EQ(mkdir((elsewhere / name).c_str(), 0755), 0);
  const AttackerRoot root;
  root.make_directory("/srv/x");
  root.link("/link", "srv/../srv/../srv/../srv/../srv/../srv");
  SandboxSpec spec = Attack("list /srv/x", root).spec;
  spec.mounts = {read_only_bind_of(given.path(), "/link/x")};
  const Swapper swapper(elsewhere / "one", elsewhere / "other");
  EXPECT_THAT(outcomes_of(spec, 200, {}), ::testing::ElementsAre("ran: given\n"));
}

}  // namespace
}  // namespace cove::testing
