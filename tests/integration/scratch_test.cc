// A plain user's scratch on disk: what is written there, and that it goes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/host.h"
#include "tests/support/plain_user.h"
#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Linux 6.6 has user xattrs on tmpfs, where TMPDIR may lie; disks have always had them.
class DiskScratch : public ::testing::Test {
 protected:
  void SetUp() override {
    COVE_NEEDS_PRIVILEGE();
    ASSERT_EQ(chmod(base_.path().c_str(), 0700), 0);
    ASSERT_EQ(chown(base_.path().c_str(), kPlainUser, kPlainUser), 0);
    root_.make_directory("/image-directory");
    root_.put("/image-directory/file", "of the image");
    root_.put("/srv/file", "of the image");
    for (const char* name : {"", "/image-directory", "/image-directory/file", "/srv", "/srv/file"})
      ASSERT_EQ(chown(root_.outside(name).c_str(), kPlainUser, kPlainUser), 0) << name;
  }
  std::vector<std::string> command(const std::string& commands,
                                   const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{"--scratch", base_.path()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return cove_run(arguments, commands, root_);
  }
  // The launcher removes it behind the end of the command.
  std::vector<std::string> left(double seconds = 2) const {
    const double end = seconds_now() + seconds;
    while (!names_in(base_.path()).empty() && seconds_now() < end) usleep(2000);
    return names_in(base_.path());
  }

  const TempDirectory base_, runtime_;
  const RootDirectory root_;
};

TEST_F(DiskScratch, HoldsWhatIsChangedInTheRootAndIsGoneAfterwards) {
  const CommandOutcome outcome = run_command(
      command("put /made x ; unlink /image-directory/file ; mkdir /image-directory/sub ; "
              "unlink /srv/file ; read-file /made"),
      as_plain_user(runtime_));
  EXPECT_EQ(outcome.out, "put: ok\nunlink: ok\nmkdir: ok\nunlink: ok\nx") << outcome.err;
  EXPECT_THAT(outcome.err,
              HasSubstr("degraded: disk: what is changed in the root lies in " + base_.path()));
  EXPECT_THAT(left(), IsEmpty());
  EXPECT_EQ(contents_of(root_.outside("/image-directory/file")), "of the image");
}
TEST_F(DiskScratch, OfManyIdsIsGoneAfterwards) {
  COVE_NEEDS_PROGRAM("/usr/bin/newuidmap");
  const TempDirectory lies;
  const CommandOutcome outcome = run_command(
      command("mkdir /made 0700 ; chown /made 1001 ; mkdir /roots 0 ; read-file /proc/self/uid_map",
              {"--user", "root", "--cap-add", "chown"}),
      as_plain_user_with_many_ids(runtime_, lies));
  EXPECT_THAT(outcome.out, ::testing::StartsWith("mkdir: ok\nchown: ok\nmkdir: ok\n"))
      << outcome.err;
  EXPECT_THAT(left(), IsEmpty());
}
TEST_F(DiskScratch, ThatAKilledLauncherLeavesIsRemovedByTheNext) {
  RunningCommand run(command("put /made x ; print ready ; sleep 60"), as_plain_user(runtime_));
  ASSERT_TRUE(run.wait_for_output("ready\n"));
  std::vector<pid_t> all = descendants_of(run.pid());
  ASSERT_THAT(all, ::testing::Not(IsEmpty()));
  for (const pid_t pid : all) ::kill(pid, SIGKILL);
  run.kill(SIGKILL);
  run.wait();
  ASSERT_THAT(names_in(base_.path()), SizeIs(1)) << "or this test tests nothing";
  // What is killed may take a moment to let go of its locks.
  const double end = seconds_now() + 5;
  do {
    EXPECT_EQ(run_command(command("print hello"), as_plain_user(runtime_)).out, "hello\n");
  } while (!left(0.5).empty() && seconds_now() < end);
  EXPECT_THAT(left(0), IsEmpty());
}
TEST_F(DiskScratch, InUseIsNotRemovedByAnother) {
  RunningCommand run(command("put /made x ; print ready ; sleep 1 ; read-file /made"),
                     as_plain_user(runtime_));
  ASSERT_TRUE(run.wait_for_output("ready\n"));
  EXPECT_EQ(run_command(command("print hello"), as_plain_user(runtime_)).out, "hello\n");
  EXPECT_THAT(names_in(base_.path()), SizeIs(::testing::Ge(1u)));
  EXPECT_EQ(run.wait().out, "put: ok\nready\nx");
  EXPECT_THAT(left(), IsEmpty());
}
TEST_F(DiskScratch, LeavesWhatTheCallerHasInTheDirectoryAlone) {
  const std::string like_ours(26, '0');
  for (const std::string& name : {std::string("of-the-caller"), like_ours}) {
    ASSERT_EQ(mkdir((base_ / name).c_str(), 0755), 0);
    put_file(base_ / name + "/file", "precious");
    ASSERT_EQ(chown((base_ / name).c_str(), kPlainUser, kPlainUser), 0);
  }
  EXPECT_EQ(run_command(command("print hello"), as_plain_user(runtime_)).out, "hello\n");
  EXPECT_EQ(run_command(command("print hello"), as_plain_user(runtime_)).out, "hello\n");
  EXPECT_EQ(contents_of(base_ / "of-the-caller/file"), "precious");
  EXPECT_EQ(contents_of(base_ / like_ours + "/file"), "precious");
}
TEST_F(DiskScratch, IsNoPlaceForANamedLimitOfDisk) {
  const CommandOutcome outcome =
      run_command(command("exit 0", {"--disk", "16m"}), as_plain_user(runtime_));
  EXPECT_EQ(outcome.status, 125);
  EXPECT_THAT(outcome.err, HasSubstr("16 MiB of disk cannot be enforced"));
}
TEST_F(DiskScratch, OfSomebodyElseIsRefused) {
  ASSERT_EQ(chown(base_.path().c_str(), 0, 0), 0);
  ASSERT_EQ(chmod(base_.path().c_str(), 0777), 0);
  const CommandOutcome outcome = run_command(command("exit 0"), as_plain_user(runtime_));
  EXPECT_EQ(outcome.status, 125);
  EXPECT_THAT(outcome.err, HasSubstr("scratch: " + base_.path() + ": is not the caller's alone"));
}
TEST_F(DiskScratch, AWritableMemoryRootIsUsualWhereTheKernelHasIt) {
  if (!host_facts().tmpfs_user_xattr) GTEST_SKIP() << "needs kernel 6.6";
  const CommandOutcome outcome =
      run_command(cove_run({}, "put /made x", root_), as_plain_user(runtime_));
  EXPECT_EQ(outcome.out, "put: ok\n") << outcome.err;
  EXPECT_THAT(outcome.err, ::testing::Not(HasSubstr("degraded: disk")));
}
TEST_F(DiskScratch, IsUsedByItselfOnKernelsThatNeedIt) {
  if (host_facts().tmpfs_user_xattr) GTEST_SKIP() << "needs a kernel before 6.6";
  const CommandOutcome outcome = run_command(
      cove_run({}, "put /made x ; unlink /image-directory/file", root_), as_plain_user(runtime_));
  EXPECT_EQ(outcome.out, "put: ok\nunlink: ok\n") << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("lies in /var/tmp/cove-54321"));
}

}  // namespace
}  // namespace cove::testing
