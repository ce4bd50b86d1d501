// CVE-2024-25621 (containerd): directories of the runtime's state were open to other users. Ours
// names what is killed and removed, so it must be the caller's alone.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

// What an engine in that place answers to a run.
std::string outcome_in(const std::string& directory) {
  EngineOptions options;
  options.state_directory = directory;
  auto engine = Engine::create(std::move(options));
  if (!engine) {
    SandboxResult result;
    result.error = engine.error();
    return refusal(result);
  }
  return refusal(engine->run(Attack("print x").spec));
}

TEST(Escape, Cve202425621AStateDirectoryThatOthersMayEnterIsRefused) {
  const TempDirectory place;
  ASSERT_EQ(mkdir((place / "state").c_str(), 0700), 0);
  EXPECT_EQ(outcome_in(place / "state"), "ran: x\n");
  for (const mode_t mode : {0755, 0750, 0711, 0701, 0770}) {
    ASSERT_EQ(chmod((place / "state").c_str(), mode), 0);
    EXPECT_EQ(outcome_in(place / "state"), "permission_denied, state, 0") << std::oct << mode;
  }
}
TEST(Escape, Cve202425621AStateDirectoryThatIsALinkIsRefused) {
  const TempDirectory place;
  ASSERT_EQ(mkdir((place / "state").c_str(), 0700), 0);
  ASSERT_EQ(symlink("state", (place / "link").c_str()), 0);
  EXPECT_EQ(outcome_in(place / "state"), "ran: x\n");
  EXPECT_EQ(outcome_in(place / "link"), "setup_failed, state, ENOTDIR");
}
TEST(Escape, Cve202425621AStateDirectoryOfAnotherUserIsRefused) {
  COVE_NEEDS_ROOT("to give a directory away");
  const TempDirectory place;
  ASSERT_EQ(mkdir((place / "state").c_str(), 0700), 0);
  EXPECT_EQ(outcome_in(place / "state"), "ran: x\n");
  ASSERT_EQ(chown((place / "state").c_str(), 60123, 60123), 0);
  EXPECT_EQ(outcome_in(place / "state"), "permission_denied, state, 0");
}
TEST(Escape, Cve202425621OursIsMadeForTheCallerAlone) {
  const TempDirectory place;
  const mode_t before = umask(0);
  EXPECT_EQ(outcome_in(place / "state"), "ran: x\n");
  umask(before);
  for (const char* name : {"state", "state/sandboxes", "state/seccomp"}) {
    struct stat status {};
    ASSERT_EQ(stat((place / name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 07777, 0700u) << name;
  }
}

}  // namespace
}  // namespace cove::testing
