// Ways from what was given to what was not: hard links, devices, streams, groups; and ids that mean
// somebody else.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

class HostFiles : public ::testing::Test {
 protected:
  void SetUp() override { COVE_NEEDS_IDMAPPED_BINDS(); }
};

// ---- hard links ----

TEST_F(HostFiles, AHardLinkDoesNotLeadOutOfABind) {
  const TempDirectory one, other;
  put_file(one / "file", "of one", 0666);
  Attack attack(
      "link /one/file /other/link ; link /one/file /workspace/link ; link /bin/attacker "
      "/one/link ; rename /one/file /other/file ; syscall linkat 265 -100 "
      "s:/proc/self/exe -100 s:/one/exe 0x400");
  EXPECT_EQ(Attack("link " + (one / "file") + " " + (other / "link")).outside(), "link: ok\n");
  ASSERT_EQ(unlink((other / "link").c_str()), 0);
  attack.spec.mounts = {bind_of(one.path(), "/one"), bind_of(other.path(), "/other")};
  for (const char* user : {"1000", "root"}) {
    attack.spec.user = user;
    EXPECT_EQ(attack.inside(),
              "link: EXDEV\nlink: EXDEV\nlink: EXDEV\nrename: EXDEV\nlinkat: EXDEV\n")
        << user;
  }
  EXPECT_THAT(names_in(one.path()), ElementsAre("file"));
  EXPECT_THAT(names_in(other.path()), IsEmpty());
}

// ---- devices ----

TEST_F(HostFiles, DevicesCannotBeMade) {
  const std::string null = " 0020666 1 3", disk = " 0060666 8 0";
  const TempDirectory source;
  chmod(source.path().c_str(), 0777);  // whichever ids there are, it is not the mode that refuses
  if (geteuid() == 0) {
    EXPECT_EQ(Attack("mknod " + (source / "null") + null).outside(), "mknod: ok\n");
    ASSERT_EQ(unlink((source / "null").c_str()), 0);
  }
  for (const char* place : {"/data", "/tmp", "/dev/shm"}) {
    const std::string path = std::string(place) + "/node";
    Attack attack("mknod " + path + null + " ; mknod " + path + disk + " ; mknod " + path +
                  " 0010644 0 0");
    attack.spec.mounts = {bind_of(source.path(), "/data")};
    for (const char* user : {"1000", "root"}) {
      attack.spec.user = user;
      for (const bool filtered : {true, false}) {
        // A fifo may be made: it is not the place that is refused.
        EXPECT_EQ(filtered ? attack.inside() : attack.without({Protection::seccomp}),
                  "mknod: EPERM\nmknod: EPERM\nmknod: ok\n")
            << path << " as " << user;
        (void)unlink((source / "node").c_str());
      }
    }
  }
  EXPECT_EQ(Attack("mknod /dev/node" + null).inside(), "mknod: EROFS\n");
}
TEST_F(HostFiles, DevicesThatAreThereCannotBeOpened) {
  Attack attack("open /data/null rw ; open /data/zero r");
  attack.spec.mounts = {read_only_bind_of("/dev", "/data")};
  const std::string refused = refusal(run(attack.spec));
  EXPECT_EQ(Attack("open /dev/null rw ; open /dev/zero r").outside(), "open: ok\nopen: ok\n");
  // As root the host's /dev cannot be idmapped, since something is mounted below it.
  EXPECT_THAT(refused, MatchesRegex("ran: open: EACCES\nopen: EACCES\n|setup_failed, mount .*"));

  COVE_NEEDS_ROOT("to make a device");
  const TempDirectory source;
  ASSERT_EQ(mknod((source / "null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  ASSERT_EQ(chmod((source / "null").c_str(), 0666), 0);
  EXPECT_EQ(Attack("open " + (source / "null") + " rw").outside(), "open: ok\n");
  attack = Attack("open /data/null rw");
  attack.spec.mounts = {bind_of(source.path(), "/data")};
  for (const char* user : {"1000", "root"}) {
    attack.spec.user = user;
    EXPECT_EQ(attack.inside(), "open: EACCES\n") << user;
  }
  const AttackerRoot root;
  ASSERT_EQ(mknod(root.outside("/srv/null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  EXPECT_EQ(Attack("open /srv/null rw", root).inside(), "open: EACCES\n");
}

// ---- streams ----

// A file as standard input could be opened again, for writing; a log could be read, and cut.
TEST(Escape, StreamsAreNoFilesOfTheHost) {
  const std::string words =
      "put /proc/self/fd/0 overwritten ; open /dev/stdin rw ; open /proc/self/fd/1 trunc,w ; open "
      "/proc/self/fd/2 trunc,w ; print done";
  for (const bool sandboxed : {false, true}) {
    const TempDirectory directory;
    put_file(directory / "input", "secret file", 0644);
    put_file(directory / "log", "old line\n", 0644);
    const std::string input = directory / "input", log = directory / "log";
    CommandOptions options;
    options.in_child = [&] {
      dup2(open(input.c_str(), O_RDONLY), 0);
      dup2(open(log.c_str(), O_WRONLY | O_APPEND), 1);
      dup2(open(log.c_str(), O_WRONLY | O_APPEND), 2);
    };
    const Attack attack(words);
    std::vector<std::string> argv{attacker_path()};
    if (sandboxed) {
      argv = {command_path(), "run", "-i", "--rootfs", *attack.spec.rootfs, "--", "/bin/attacker"};
    }
    argv.insert(argv.end(), attack.spec.command->begin() + 1, attack.spec.command->end());
    run_command(argv, options);
    EXPECT_EQ(contents_of(input), sandboxed ? "secret file" : "overwritten");
    if (sandboxed) {
      EXPECT_THAT(contents_of(log), StartsWith("old line\n"));
      EXPECT_THAT(contents_of(log), HasSubstr("done\n"));
    } else {
      EXPECT_THAT(contents_of(log), Not(HasSubstr("old line\n")));
    }
  }
}
TEST(Escape, ADirectoryAsStdinLeadsNowhere) {
  const TempDirectory directory;
  put_file(directory / "secret", "of the host\n");
  CommandOptions options;
  options.stdin_fd = open(directory.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const Attack attack(
      "list /proc/self/fd/0 ; read-file /proc/self/fd/0/secret ; chdir /proc/self/fd/0 ; put "
      "/proc/self/fd/0/new x");
  EXPECT_EQ(attack.in_naive_container(options), "secret\nof the host\nchdir: ok\nput: ok\n");
  ASSERT_EQ(unlink((directory / "new").c_str()), 0);
  EXPECT_EQ(output(attack.through_command(options, {"-i"})),
            "read-file: ENOTDIR\nchdir: ENOTDIR\nput: ENOTDIR\n");
  close(options.stdin_fd);
  EXPECT_THAT(names_in(directory.path()), ElementsAre("secret"));
}

// ---- groups and ids ----

TEST_F(HostFiles, TheCallersGroupsAreNotKept) {
  COVE_NEEDS_ROOT("to have other groups, and to give them up");
  static constexpr gid_t kGroup = 60125;
  const TempDirectory source;
  put_file(source / "file", "of the group\n", 0040);
  ASSERT_EQ(chown((source / "file").c_str(), 0, kGroup), 0);
  CommandOptions with_group, as_another;
  with_group.in_child = [] { setgroups(1, &kGroup); };
  as_another.in_child = [] {
    if (setgroups(1, &kGroup) != 0 || setgid(60123) != 0 || setuid(60123) != 0) _exit(70);
  };
  EXPECT_EQ(Attack("read-file " + (source / "file")).outside(as_another), "of the group\n");
  const Attack attack("read-file /data/file ; ids");
  const SandboxResult result = attack.through_command(
      with_group, {"-v", source.path() + ":/data:ro", "--user", "4242:4242"});
  EXPECT_EQ(output(result), "read-file: EACCES\nids: 4242 4242 4242 / 4242 4242 4242 /\n")
      << shown(result);
  EXPECT_EQ(result.enforced.at(Protection::supplementary_groups), "setgroups");
}
TEST_F(HostFiles, WhereTheCallersGroupsMustBeKeptTheResultSaysSo) {
  if (host_facts().privileged || host_facts().subordinate_ids)
    GTEST_SKIP() << "needs a plain user without subordinate ids";
  const SandboxResult result = run(Attack("ids").spec);
  EXPECT_FALSE(result.enforced.contains(Protection::supplementary_groups)) << shown(result);
  EXPECT_THAT(result.degraded, ::testing::Contains(::testing::Field(
                                   &Degradation::protection, Protection::supplementary_groups)));
  SandboxSpec strict = Attack("ids").spec;
  strict.require[Protection::supplementary_groups] = Requirement::required;
  EXPECT_EQ(refusal(run(strict)), "isolation_unavailable, supplementary_groups, 0");
}
// A root that is shown as it is must not be idmapped like a layer: then 1000 inside is 1000 outside.
TEST_F(HostFiles, ARootThatIsNotOursIsNotGivenToTheSandboxesUser) {
  COVE_NEEDS_ROOT("for files of others");
  const AttackerRoot root;
  for (const uid_t owner : {0u, 1000u, 1001u}) {
    const std::string name = "/srv/of-" + std::to_string(owner);
    root.put(name, "private\n", 0600);
    ASSERT_EQ(chown(root.outside(name).c_str(), owner, owner), 0);
  }
  CommandOptions as_1000;
  as_1000.in_child = [] {
    if (setgroups(0, nullptr) != 0 || setgid(1000) != 0 || setuid(1000) != 0) _exit(70);
  };
  EXPECT_EQ(Attack("read-file " + root.outside("/srv/of-1000")).outside(as_1000), "private\n");
  Attack attack("read-file /srv/of-0 ; read-file /srv/of-1000 ; read-file /srv/of-1001", root);
  for (const char* user : {"1000", "alice", "root"}) {
    attack.spec.user = user;
    EXPECT_EQ(attack.inside(), "read-file: EACCES\nread-file: EACCES\nread-file: EACCES\n") << user;
  }
}

}  // namespace
}  // namespace cove::testing
