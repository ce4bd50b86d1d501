// CVE-2026-46695 (BoxLite): a read-only mount was made writable from inside. CVE-2024-42472
// (flatpak), CVE-2024-1753 (buildah): sources that lead elsewhere.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

class Mounted : public ::testing::Test {
 protected:
  void SetUp() override { COVE_NEEDS_IDMAPPED_BINDS(); }
};

TEST_F(Mounted, Cve202646695AReadOnlyOneCannotBeMadeWritable) {
  // 0x1000: MS_BIND, 0x1021: MS_BIND | MS_REMOUNT | MS_RDONLY.
  const AttackerRoot root;
  EXPECT_EQ(
      Attack("syscall mount 165 s:/srv s:/srv 0 0x1000 0 ; syscall mount 165 0 s:/srv 0 0x1021 0 "
             "; put /srv/x x ; remount-writable /srv ; put /srv/x x",
             root)
          .in_naive_container({}, Capabilities::kept),
      "mount: ok\nmount: ok\nput: EROFS\nremount: ok\nmount_setattr: ok\nput: ok\n");

  const TempDirectory source;
  put_file(source / "file", "original", 0666);
  Attack attack(
      "remount-writable /data ; put /data/file changed ; syscall umount2 166 s:/data 2 ; "
      "open /data/file rw");
  attack.spec.mounts = {read_only_bind_of(source.path(), "/data")};
  for (const char* user : {"1000", "root"}) {
    attack.spec.user = user;
    for (const std::string& out : {attack.inside(), attack.without({Protection::seccomp})}) {
      EXPECT_EQ(out,
                "remount: EPERM\nmount_setattr: EPERM\nput: EROFS\numount2: EPERM\nopen: EROFS\n")
          << user;
    }
  }
  EXPECT_EQ(contents_of(source / "file"), "original");
}

TEST_F(Mounted, ALinkInsideTheSourceDoesNotLeadToTheHost) {
  const TempDirectory source, secret;
  put_file(secret / "file", "secret");
  ASSERT_EQ(symlink(secret.path().c_str(), (source / "link").c_str()), 0);
  ASSERT_EQ(symlink("../../../../../../../..", (source / "up").c_str()), 0);
  const std::string up = "/up" + secret.path() + "/file";
  EXPECT_EQ(Attack("read-file " + (source / "link/file")).outside(), "secret");
  EXPECT_EQ(Attack("read-file " + source.path() + up).outside(), "secret");
  Attack attack("read-file /data/link/file ; read-file /data" + up);
  attack.spec.mounts = {read_only_bind_of(source.path(), "/data")};
  EXPECT_EQ(attack.inside(), "read-file: ENOENT\nread-file: ENOENT\n");
}

// A directory that the program is in is moved out of the mount: ".." then leads on, past its root.
TEST_F(Mounted, ADirectoryThatIsMovedAwayLeadsNowhereElse) {
  const TempDirectory source, secret;
  put_file(secret / "file", "secret");
  ASSERT_EQ(mkdir((source / "inside").c_str(), 0777), 0);
  std::array<int, 2> gate{};
  ASSERT_EQ(pipe2(gate.data(), O_CLOEXEC), 0);
  Attack attack(
      "chdir /data/inside ; put /data/started x ; count-stdin ; list .. ; list ../.. ; "
      "read-file ../../../../../../.." +
      (secret / "file"));
  attack.spec.mounts = {bind_of(source.path(), "/data")};
  attack.spec.stdin_source = StdinInherit{};
  Streams streams;
  streams.stdin_fd = gate[0];
  auto sandbox = shared_engine().launch(attack.spec, streams);
  ASSERT_TRUE(sandbox) << sandbox.error().message();
  ASSERT_TRUE(eventually([&] { return exists(source / "started"); }));
  ASSERT_EQ(rename((source / "inside").c_str(), (secret / "inside").c_str()), 0);
  EXPECT_EQ(contents_of(secret / "inside/../file"), "secret");  // where ".." leads now
  close(gate[1]);
  const SandboxResult result = sandbox->wait();
  close(gate[0]);
  EXPECT_THAT(output(result), Not(HasSubstr("secret"))) << shown(result);
  EXPECT_THAT(output(result), HasSubstr("ENOENT"));
}

// What another sandbox has is reached from the host by /proc/PID/root, but it is another mount
// namespace's: the kernel does not let it be copied.
TEST_F(Mounted, ASourceInsideAnotherSandboxIsRefused) {
  const std::string marker = unique_marker();
  Attack other("put /workspace/file of-another ; print ready ; sleep 30 ; mark " + marker);
  other.spec.timeout = std::chrono::seconds(60);
  auto sandbox = shared_engine().launch(other.spec);
  ASSERT_TRUE(sandbox) << sandbox.error().message();
  std::string root;
  ASSERT_TRUE(eventually([&] {
    for (const pid_t pid : processes_with(marker)) {
      const std::string candidate = "/proc/" + std::to_string(pid) + "/root";
      if (contents_of(candidate + "/workspace/file") == "of-another") root = candidate;
    }
    return !root.empty();
  })) << "the host can reach it, and could be made to show it to another";
  SandboxSpec spec = Attack("read-file /data/file").spec;
  for (const char* place : {"/workspace", "/proc", "/dev", "/", "/bin"}) {
    spec.mounts = {read_only_bind_of(root + place, "/data")};
    EXPECT_THAT(
        refusal(run(spec)),
        MatchesRegex(
            "setup_failed, mount, (EINVAL|ENOENT|ESTALE|ELOOP)|invalid_argument, mount 0, 0"))
        << place;
  }
  sandbox->cancel();
  EXPECT_EQ(sandbox->wait().cause, Cause::cancelled);
}

}  // namespace
}  // namespace cove::testing
