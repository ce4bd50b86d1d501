// The payload made a root-owned setuid file on the host: a bind mount's nosuid governs only running it
// inside, and its idmapping makes the file the directory's owner's. Whoever runs it on the host then
// has that user's rights. A second filter refuses the mode bits, in each call that takes a mode.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

using ::testing::AnyOf;

constexpr int kFchmodat2 = 452;
constexpr int kOpenat2 = 437;

class SetuidFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    COVE_NEEDS_IDMAPPED_BINDS();
    put_file(source_ / "file", "x", 0644);
    ASSERT_EQ(mkdir((source_ / "directory").c_str(), 0755), 0);
  }

  Attack attack(const std::string& commands) const {
    Attack attack(commands);
    attack.spec.mounts = {bind_of(source_.path(), "/data")};
    attack.spec.user = "1000:1000";
    return attack;
  }

  // Tries it in a writable bind, and says what came of it; nothing with such a bit may be there
  // afterwards.
  std::string attempt(const std::string& commands) const {
    const SandboxResult result = run(attack(commands).spec);
    EXPECT_EQ(result.cause, Cause::exited) << shown(result);
    EXPECT_EQ(result.enforced.at(Protection::setuid_files), "filter:no-setuid-files");
    EXPECT_EQ(set_id_names(), "") << commands;
    return output(result);
  }
  // The same without that filter: what is left behind, and takes it away again.
  std::string left_without_filter(const std::string& commands) {
    attack(commands).without({Protection::setuid_files});
    const std::string left = set_id_names();
    for (const std::string& name : names_in(source_.path())) {
      if (unlink((source_ / name).c_str()) != 0) rmdir((source_ / name).c_str());
    }
    SetUp();
    return left;
  }

  const TempDirectory source_;

 private:
  // Of files and directories that have such a bit, "NAME NAME".
  std::string set_id_names() const {
    std::string names;
    for (const std::string& name : names_in(source_.path())) {
      struct stat status {};
      EXPECT_EQ(lstat((source_ / name).c_str(), &status), 0);
      if ((status.st_mode & 06000) != 0) names += (names.empty() ? "" : " ") + name;
    }
    return names;
  }
};

std::string call(const char* name, long number, const std::string& arguments) {
  return std::string("syscall ") + name + " " + std::to_string(number) + " " + arguments;
}

// What makes the bits matter: somebody else on the host runs the file.
TEST_F(SetuidFiles, OnTheHostWouldGiveAwayTheDirectorysOwner) {
  COVE_NEEDS_ROOT("to be another user");
  struct statvfs filesystem {};
  ASSERT_EQ(statvfs(source_.path().c_str(), &filesystem), 0);
  if ((filesystem.f_flag & ST_NOSUID) != 0) GTEST_SKIP() << "needs TMPDIR without nosuid";
  put_file(source_ / "program", contents_of(attacker_path()), 0755);
  CommandOptions as_another;
  as_another.in_child = [] {
    if (setgroups(0, nullptr) != 0 || setgid(60123) != 0 || setuid(60123) != 0) _exit(70);
  };
  const auto ids_of_another = [&] {
    return run_command({source_ / "program", "ids"}, as_another).out;
  };
  EXPECT_EQ(attempt("chmod /data/program 06755"), "chmod: EPERM\n");
  EXPECT_EQ(ids_of_another(), "ids: 60123 60123 60123 / 60123 60123 60123 /\n");
  attack("chmod /data/program 06755").without({Protection::setuid_files});
  EXPECT_EQ(ids_of_another(), "ids: 60123 0 0 / 60123 0 0 /\n");
}

TEST_F(SetuidFiles, AnOrdinaryModeIsFine) {
  EXPECT_EQ(attempt("chmod /data/file 0755 ; chmod /data/directory 01777 ; mkdir /data/new 0750 ; "
                    "open /data/created rw,creat 0640"),
            "chmod: ok\nchmod: ok\nmkdir: ok\nopen: ok\n");
}
TEST_F(SetuidFiles, ByChmod) {
  for (const char* mode : {"04755", "02755", "06755", "06000"}) {
    const std::string commands =
        std::string("chmod /data/file ") + mode + " ; chmod /data/directory " + mode;
    EXPECT_EQ(left_without_filter(commands), "directory file") << mode;
    EXPECT_EQ(attempt(commands), "chmod: EPERM\nchmod: EPERM\n") << mode;
  }
  const std::string high_bits = call("chmod", SYS_chmod, "s:/data/file 0x100000000009ed");
  EXPECT_EQ(left_without_filter(high_bits), "file");
  EXPECT_EQ(attempt(high_bits), "chmod: EPERM\n");
}
TEST_F(SetuidFiles, ByFchmod) {
  for (const char* mode : {"04755", "0x100000000009ed"}) {
    // The first descriptor that is free.
    const std::string commands = call("open", SYS_open, "s:/data/file 2 0") + " ; " +
                                 call("fchmod", SYS_fchmod, std::string("3 ") + mode);
    EXPECT_EQ(left_without_filter(commands), "file") << mode;
    EXPECT_EQ(attempt(commands), "open: ok\nfchmod: EPERM\n") << mode;
  }
}
TEST_F(SetuidFiles, ByFchmodat) {
  const std::string commands = call("fchmodat", SYS_fchmodat, "-100 s:/data/file 04755");
  EXPECT_EQ(left_without_filter(commands), "file");
  EXPECT_EQ(attempt(commands), "fchmodat: EPERM\n");
}
TEST_F(SetuidFiles, ByFchmodat2) {
  for (const char* flags : {"0", "0x100"}) {
    const std::string commands =
        call("fchmodat2", kFchmodat2, std::string("-100 s:/data/file 04755 ") + flags);
    EXPECT_THAT(left_without_filter(commands), AnyOf("file", ""));  // "": a kernel before 6.6
    EXPECT_EQ(attempt(commands), "fchmodat2: EPERM\n");
  }
}
TEST_F(SetuidFiles, ByOpenAndCreat) {
  for (const std::string& commands : {std::string("open /data/new w,creat 04755"),
                                      call("open", SYS_open, "s:/data/new 0101 04755"),
                                      call("creat", SYS_creat, "s:/data/new 04755"),
                                      call("openat", SYS_openat, "-100 s:/data/new 0101 02755")}) {
    EXPECT_EQ(left_without_filter(commands), "new") << commands;
    EXPECT_THAT(attempt(commands), ::testing::EndsWith(": EPERM\n")) << commands;
  }
  EXPECT_EQ(attempt("open /data w,tmpfile 04755"), "open: EPERM\n");
}
TEST_F(SetuidFiles, ByOpenat2WhoseModeNoFilterSees) {
  EXPECT_EQ(left_without_filter("openat2 /data/new w,creat 04755"), "new");
  EXPECT_EQ(attempt("openat2 /data/new w,creat 04755 ; openat2 /data/file r 0"),
            "openat2: ENOSYS\nopenat2: ENOSYS\n");
}
TEST_F(SetuidFiles, ByMkdirAndMknod) {
  for (const std::string& commands : {std::string("mknod /data/new 0104755 0 0"),
                                      call("mknodat", SYS_mknodat, "-100 s:/data/new 0104755 0")}) {
    EXPECT_EQ(left_without_filter(commands), "new") << commands;
    EXPECT_THAT(attempt(commands), ::testing::EndsWith(": EPERM\n")) << commands;
  }
  // The kernel takes no such bits from mkdir's mode; the filter does not lean on that.
  EXPECT_EQ(attempt("mkdir /data/new 02755"), "mkdir: EPERM\n");
  EXPECT_EQ(attempt(call("mkdirat", SYS_mkdirat, "-100 s:/data/new 04755")), "mkdirat: EPERM\n");
}
// Without the default filter, by ways that this one has to close itself.
TEST_F(SetuidFiles, ByCallsOfOtherArchitectures) {
  const std::string commands = "int80 chmod 15 s:/data/file 04755";
  const Attack by_i386 = attack(commands);
  if (by_i386.without({Protection::seccomp, Protection::setuid_files}) != "chmod: ok\n")
    GTEST_SKIP() << "needs kernel 32-bit emulation";
  ASSERT_EQ(chmod((source_ / "file").c_str(), 0644), 0);
  EXPECT_EQ(by_i386.without({Protection::seccomp}), "chmod: ENOSYS\n");
  EXPECT_EQ(attempt(commands), "chmod: ENOSYS\n");
}
TEST_F(SetuidFiles, AnOpenWithoutCreatIsNotMisread) {
  EXPECT_EQ(attempt(call("open", SYS_open, "s:/data/file 0 04755")), "open: ok\n");
}
TEST_F(SetuidFiles, WithAReadOnlyBindTheFilterIsNotNeeded) {
  Attack attack("chmod /data/file 04755 ; chmod /tmp 01777 ; put /tmp/x x ; chmod /tmp/x 04755");
  attack.spec.mounts = {read_only_bind_of(source_.path(), "/data")};
  const SandboxResult result = run(attack.spec);
  EXPECT_EQ(result.enforced.at(Protection::setuid_files), "no-writable-bind");
  EXPECT_THAT(output(result), ::testing::StartsWith("chmod: EROFS\n"));
  EXPECT_THAT(output(result), ::testing::EndsWith("put: ok\nchmod: ok\n"));
}
TEST_F(SetuidFiles, NoCapabilityIsLeftOnAFile) {
  if (geteuid() == 0) {
    EXPECT_EQ(Attack("give-capabilities " + (source_ / "file")).outside(), "setxattr: ok\n");
    put_file(source_ / "file", "y");  // which takes them away again
  }
  Attack as_root = attack("give-capabilities /data/file");
  as_root.spec.user = "root";
  EXPECT_EQ(as_root.without({Protection::seccomp, Protection::setuid_files}), "setxattr: EPERM\n");
  EXPECT_EQ(attempt("give-capabilities /data/file"), "setxattr: EPERM\n");
  EXPECT_EQ(attempt(call("setxattr", SYS_setxattr, "s:/data/file s:user.x s:y 1 0")),
            "setxattr: ok\n");  // one that gives nothing
}
// A file that has the bit already keeps it when it is written through a mapping; the kernel takes it
// away for write(2) alone. So whoever mounts a directory with setuid programs for writing gives them
// away. No filter sees it: docs/security-model.md warns of it.
TEST_F(SetuidFiles, DISABLED_OneThatIsThereAlreadyCannotBeTakenOver) {
  const std::string program = source_ / "program";
  for (const char* way : {"write", "shared-mapping"}) {
    put_file(program, "original", 0755);
    ASSERT_EQ(chmod(program.c_str(), 04755), 0);
    attack(std::string("overwrite ") + way + " /data/program").inside();
    struct stat status {};
    ASSERT_EQ(stat(program.c_str(), &status), 0);
    EXPECT_TRUE(contents_of(program) == "original" || (status.st_mode & 04000) == 0) << way;
  }
}

// ---- setuid programs inside ----

TEST(Escape, ASetuidProgramOfTheImageGainsNothing) {
  const AttackerRoot root;
  root.put("/bin/setuid", contents_of(attacker_path()), 0755);
  const std::string file = root.outside("/bin/setuid");
  ASSERT_EQ(chmod(file.c_str(), 06755), 0);
  const Attack attack("exec /bin/setuid ids", root);
  for (const std::string& out : {attack.inside(), attack.without({Protection::seccomp})})
    EXPECT_THAT(out, ::testing::StartsWith("ids: 1000 1000 1000 / 1000 1000 1000 /"));
  if (geteuid() != 0) return;  // who can only be one user sees no difference outside either
  CommandOptions as_another;
  as_another.in_child = [] {
    if (setgroups(0, nullptr) != 0 || setgid(60123) != 0 || setuid(60123) != 0) _exit(70);
  };
  EXPECT_EQ(run_command({file, "ids"}, as_another).out, "ids: 60123 0 0 / 60123 0 0 /\n");
}
TEST(Escape, ASetuidProgramOfABindGainsNothing) {
  COVE_NEEDS_IDMAPPED_BINDS();
  const TempDirectory source;
  put_file(source / "program", contents_of(attacker_path()), 0755);
  ASSERT_EQ(chmod((source / "program").c_str(), 06755), 0);
  Attack attack("exec /data/program ids");
  attack.spec.mounts = {bind_of(source.path(), "/data")};
  attack.spec.user = "alice";
  EXPECT_THAT(attack.inside(), ::testing::StartsWith("ids: 1001 1001 1001 / 1002 1002 1002 /"));
}

}  // namespace
}  // namespace cove::testing
