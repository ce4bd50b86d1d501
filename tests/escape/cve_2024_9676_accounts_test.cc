// CVE-2024-9676 (containers/storage): the host read /etc/passwd of an image, which was a link, or had
// no end. CVE-2024-40635 (containerd), CVE-2026-30892 (crun): user numbers that were read wrongly
// became root's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

constexpr const char* kIntruder = "intruder:x:0:0::/:/bin/sh\n";
constexpr std::uint64_t kSmall = 64 * 1024;  // KiB: what a run needs is far less

class Accounts : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(std::remove(passwd_.c_str()), 0); }

  // `cove run --user intruder`, as one that reads such a file in its own process would hang or burst.
  CommandOutcome run_as_intruder() const {
    return run_command({command_path(), "run", "--user", "intruder", "--rootfs", root_.path(), "--",
                        "/bin/attacker", "ids"});
  }
  void expect_unknown() const {
    const CommandOutcome outcome = run_as_intruder();
    EXPECT_EQ(outcome.status, 125) << outcome.out;
    EXPECT_THAT(outcome.err, ::testing::HasSubstr("intruder"));
    EXPECT_LT(outcome.seconds, 5 * slowness());
    EXPECT_LT(outcome.peak_resident_kib, kSmall);
    SandboxSpec spec = Attack("ids", root_).spec;
    spec.user = "intruder";
    const SandboxResult result = run(spec);
    EXPECT_EQ(result.error ? result.error->where : "", "$.user") << shown(result);
    EXPECT_EQ(result.error ? result.error->code : ErrorCode::internal, ErrorCode::invalid_argument);
  }

  const AttackerRoot root_;
  const std::string passwd_ = root_.outside("/etc/passwd");
};

TEST_F(Accounts, Cve20249676AsALinkStayInTheImage) {
  const TempDirectory outside;
  put_file(outside / "passwd", kIntruder);
  for (const std::string& target :
       {outside / "passwd", "../../../../../../.." + (outside / "passwd")}) {
    ASSERT_EQ(symlink(target.c_str(), passwd_.c_str()), 0);
    ASSERT_EQ(contents_of(passwd_), kIntruder);  // who follows it
    expect_unknown();
    ASSERT_EQ(unlink(passwd_.c_str()), 0);
  }
  // Inside its own root a link is followed.
  root_.put("/srv/passwd", kIntruder);
  ASSERT_EQ(symlink("/srv/passwd", passwd_.c_str()), 0);
  EXPECT_THAT(run_as_intruder().out, ::testing::StartsWith("ids: 0 0 0 / 0 0 0 /"));
}
TEST_F(Accounts, Cve20249676AsAFifoDoNotBlock) {
  ASSERT_EQ(mkfifo(passwd_.c_str(), 0666), 0);
  CommandOptions impatient;
  impatient.in_child = [] { alarm(1); };
  EXPECT_EQ(run_command({attacker_path(), "slurp", passwd_}, impatient).status, 128 + SIGALRM);
  expect_unknown();
}
TEST_F(Accounts, Cve20249676OfATebibyteAreNotRead) {
  root_.put("/etc/passwd", kIntruder);
  ASSERT_EQ(truncate(passwd_.c_str(), off_t{1} << 40), 0);
  CommandOptions little;
  little.in_child = [] {
    const rlimit limit{1 << 28, 1 << 28};
    setrlimit(RLIMIT_AS, &limit);
  };
  EXPECT_EQ(run_command({attacker_path(), "slurp", passwd_}, little).out, "slurp: out of memory\n");
  const CommandOutcome outcome = run_as_intruder();
  // The first lines count.
  EXPECT_THAT(outcome.out, ::testing::StartsWith("ids: 0 0 0 / 0 0 0 /")) << outcome.err;
  EXPECT_LT(outcome.peak_resident_kib, kSmall);
}
TEST_F(Accounts, Cve20249676AsADirectoryOrSocketAreNone) {
  ASSERT_EQ(mkdir(passwd_.c_str(), 0755), 0);
  expect_unknown();
  ASSERT_EQ(rmdir(passwd_.c_str()), 0);
  ASSERT_EQ(mknod(passwd_.c_str(), S_IFSOCK | 0666, 0), 0);
  expect_unknown();
}
TEST_F(Accounts, Cve20249676AsADeviceAreNone) {
  COVE_NEEDS_ROOT("to make a device");
  ASSERT_EQ(mknod(passwd_.c_str(), S_IFCHR | 0666, makedev(1, 5)), 0);  // zeros without end
  expect_unknown();
}

// 2^31 and beyond became 0 where ids were signed, and so did "1000x" and its like.
TEST(Escape, Cve202440635UserIdsBeyondAllBounds) {
  EXPECT_EQ(static_cast<uid_t>(std::atoll("4294967296")), 0u);  // who reads them so
  EXPECT_EQ(static_cast<uid_t>(std::atoi("x1000")), 0u);
  for (const char* user :
       {"2147483648", "4294967295", "4294967296", "18446744073709551616", "-1", "65536:65536",
        "x1000", "1000x", "0x0", "1000:", ":0", "1000:0x0", " 0", "0 ", "+0", "1000:4294967296"}) {
    SandboxSpec spec = Attack("ids").spec;
    spec.user = user;
    const SandboxResult result = run(spec);
    EXPECT_EQ(result.cause, Cause::sandbox_error) << user << shown(result);
    EXPECT_EQ(output(result), "") << user;
    ASSERT_TRUE(result.error) << user;
    EXPECT_THAT(refusal(result),
                ::testing::MatchesRegex("invalid_argument, .*, 0|setup_failed, user, EINVAL"))
        << user;
  }
}

}  // namespace
}  // namespace cove::testing
