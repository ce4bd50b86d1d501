// CVE-2026-41579 (runc), CVE-2026-47766 (crun): an image that has /dev as a link got its devices made
// on the host. CVE-2026-55686 (podman): the same with a WORKDIR that is a link. Whatever an image has
// where Cove makes something is taken for hostile.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

// Who makes it by its path makes it where the link leads: the control of all tests here.
void make_by_path(const std::string& path) {
  std::filesystem::create_directories(path);
  ASSERT_TRUE(exists(path));
}

TEST(Escape, Cve202641579DevOfTheImageIsALink) {
  const TempDirectory victim;
  for (const std::string& target : {victim.path(), "../../../../../.." + victim.path()}) {
    const AttackerRoot root;
    root.link("/dev", target);
    make_by_path(root.outside("/dev/shm"));
    ASSERT_THAT(names_in(victim.path()), ElementsAre("shm"));
    ASSERT_EQ(rmdir((victim / "shm").c_str()), 0);

    EXPECT_THAT(refusal(run(Attack("list /dev", root).spec)),
                MatchesRegex("setup_failed, mount [0-9]+ on /dev, ELOOP"));
    EXPECT_THAT(names_in(victim.path()), IsEmpty());
  }
}

TEST(Escape, Cve202641579PlacesOfOursMayBeAnything) {
  COVE_NEEDS_IDMAPPED_BINDS();
  const TempDirectory victim;
  for (const char* place :
       {"/dev", "/proc", "/tmp", "/workspace", "/etc", "/dev/shm", "/dev/pts"}) {
    const AttackerRoot linked, filed, piped;
    for (const AttackerRoot* root : {&linked, &filed, &piped}) {
      std::filesystem::remove_all(root->outside(place));
      std::filesystem::create_directories(
          std::filesystem::path(root->outside(place)).parent_path());
    }
    linked.link(place, victim.path());
    filed.put(place, "a file");
    ASSERT_EQ(mkfifo(piped.outside(place).c_str(), 0666), 0);
    for (const AttackerRoot* root : {&linked, &filed, &piped}) {
      SandboxSpec spec = Attack("put /tmp/x x ; put /workspace/x x ; put /dev/shm/x x", *root).spec;
      spec.timeout = std::chrono::seconds(10);
      // Ours are made above those of the image, or there is no sandbox.
      EXPECT_THAT(refusal(run(spec)),
                  MatchesRegex("ran: put: ok\nput: ok\nput: ok\n|"
                               "setup_failed, mount [0-9]+ on /(dev|proc), (ELOOP|ENOTDIR)"))
          << place;
    }
  }
  EXPECT_THAT(names_in(victim.path()), IsEmpty());
}

// hosts, hostname and resolv.conf are written by Cove.
TEST(Escape, Cve202641579FilesOfOursMayBeAnything) {
  const TempDirectory victim;
  put_file(victim / "file", "of the host");
  const AttackerRoot linked, piped, huge;
  for (const char* file : {"/etc/hosts", "/etc/hostname"}) {
    linked.link(file, victim / "file");
    ASSERT_EQ(mkfifo(piped.outside(file).c_str(), 0666), 0);
    huge.put(file, "");
    ASSERT_EQ(truncate(huge.outside(file).c_str(), off_t{1} << 40), 0);
  }
  std::ofstream(linked.outside("/etc/hosts")) << "127.0.0.1 localhost\n";  // by its path
  ASSERT_EQ(contents_of(victim / "file"), "127.0.0.1 localhost\n");
  for (const AttackerRoot* root : {&linked, &piped, &huge}) {
    Attack attack("read-file /etc/hostname ; put /etc/hosts x", *root);
    attack.spec.timeout = std::chrono::seconds(10);
    attack.spec.user = "root";
    EXPECT_EQ(attack.inside(), "sandbox\nput: ok\n");
  }
  EXPECT_EQ(contents_of(victim / "file"), "127.0.0.1 localhost\n");
}

TEST(Escape, Cve202655686WorkdirIsNotMadeOnTheHost) {
  const TempDirectory victim;
  const AttackerRoot root;
  root.link("/work", victim.path());
  root.link("/up", "../../../../../.." + victim.path());
  make_by_path(root.outside("/work/new"));
  ASSERT_THAT(names_in(victim.path()), ElementsAre("new"));
  ASSERT_EQ(rmdir((victim / "new").c_str()), 0);
  for (const char* workdir : {"/work", "/work/new", "/up/new", "/up"}) {
    SandboxSpec spec = Attack("put file x", root).spec;
    spec.workdir = workdir;
    EXPECT_EQ(refusal(run(spec)), "setup_failed, workdir, ENOENT") << workdir;
    EXPECT_THAT(names_in(victim.path()), IsEmpty()) << workdir;
    struct stat status {};
    ASSERT_EQ(stat(victim.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, geteuid());
    EXPECT_EQ(status.st_mode & 07777, 0755u);
  }
}
TEST(Escape, Cve202655686WorkdirIsExchangedMeanwhile) {
  const TempDirectory victim;
  const AttackerRoot root;
  root.make_directory("/srv/work", 0777);  // anybody's: as root it is not idmapped
  root.link("/srv/link", victim.path());
  const Swapper swapper(root.outside("/srv/work"), root.outside("/srv/link"));
  SandboxSpec spec = Attack("getcwd", root).spec;
  spec.workdir = "/srv/work/new";
  int made = 0;
  for (int i = attempts(100); i > 0; --i) {
    const std::string outcome = refusal(run(spec));
    made += outcome == "ran: cwd: /srv/work/new\n";
    EXPECT_THAT(outcome, MatchesRegex("ran: cwd: /srv/work/new\n|(setup_failed|invalid_argument), "
                                      "workdir, [A-Z]+"));
  }
  EXPECT_GT(made, 0);
  EXPECT_THAT(names_in(victim.path()), IsEmpty());
}

// CVE-2024-28185, CVE-2024-28189 (Judge0): a run left a link where the next one's runtime wrote, and
// gave away what it led to.
TEST(Escape, Cve202428185WhatARunLeavesIsNotTrustedByTheNext) {
  COVE_NEEDS_IDMAPPED_BINDS();
  const TempDirectory box, victim;
  put_file(victim / "file", "of the host", 0600);
  Attack first("symlink " + victim.path() + " /box/place ; symlink " + (victim / "file") +
               " /box/result");
  first.spec.mounts = {bind_of(box.path(), "/box")};
  ASSERT_EQ(first.inside(), "symlink: ok\nsymlink: ok\n");
  ASSERT_EQ(chmod((box / "result").c_str(), 0640), 0);  // who gives it away by its path
  ASSERT_EQ(contents_of(box / "result"), "of the host");
  struct stat before {};
  ASSERT_EQ(stat((victim / "file").c_str(), &before), 0);
  ASSERT_EQ(before.st_mode & 07777, 0640u);

  const TempDirectory given;
  SandboxSpec spec = Attack("put file x").spec;
  spec.mounts = {bind_of(box.path(), "/box")};
  for (const char* workdir : {"/box/place", "/box/place/new", "/box/result"}) {
    spec.workdir = workdir;
    EXPECT_THAT(refusal(run(spec)), MatchesRegex("invalid_argument, workdir, (ENOENT|ENOTDIR)"));
  }
  spec.workdir.reset();
  for (const char* target : {"/box/place/new", "/box/result"}) {
    spec.mounts = {bind_of(box.path(), "/box"), bind_of(given.path(), target)};
    EXPECT_THAT(refusal(run(spec)), MatchesRegex("setup_failed, mount [0-9]+ on /box/.*, [A-Z]+"));
  }
  struct stat after {};
  ASSERT_EQ(stat((victim / "file").c_str(), &after), 0);
  EXPECT_EQ(after.st_mode, before.st_mode);
  EXPECT_EQ(after.st_uid, before.st_uid);
  EXPECT_THAT(names_in(victim.path()), ElementsAre("file"));
}

}  // namespace
}  // namespace cove::testing
