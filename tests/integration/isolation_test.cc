// What a program finds inside a default sandbox, and what it cannot do there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>

#include "tests/support/host.h"
#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

std::string out_of(const std::string& commands) {
  const SandboxResult result = run(probe(commands));
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  return output(result);
}

std::string status_field(const std::string& field) {
  static const std::string status = out_of("read-file /proc/self/status");
  std::string value = line_after(status, field + ":\t");
  EXPECT_NE(value, "") << status;
  return value;
}

TEST(Inside, NoNewPrivilegesAndAFilterAreSet) {
  EXPECT_EQ(status_field("NoNewPrivs"), "1");
  EXPECT_EQ(status_field("Seccomp"), "2");
}
TEST(Inside, TheEnforcedMapTellsOfIt) {
  const SandboxResult result = run(probe("exit 0"));
  for (const Protection protection :
       {Protection::user_namespace, Protection::mount_namespace, Protection::pid_namespace,
        Protection::ipc_namespace, Protection::uts_namespace, Protection::cgroup_namespace,
        Protection::network, Protection::capabilities, Protection::no_new_privs,
        Protection::seccomp, Protection::setuid_files, Protection::masked_paths,
        Protection::nested_user_namespaces}) {
    EXPECT_TRUE(result.enforced.contains(protection)) << to_string(protection);
  }
}
TEST(Inside, TheUserIs1000WithoutOtherGroups) {
  COVE_NEEDS_MANY_IDS();
  EXPECT_EQ(out_of("ids"), "ids: 1000 1000 1000 / 1000 1000 1000 /\n");
}
TEST(Inside, OnlyLoopbackIsThereAndItWorks) {
  EXPECT_EQ(out_of("interfaces ; loopback"), "interface: lo\nloopback: ok\n");
}
TEST(Inside, LocalhostHasAnAddress) {
  EXPECT_THAT(lines_of(out_of("read-file /etc/hosts")),
              ::testing::Contains(::testing::MatchesRegex("127.0.0.1[ \t]+localhost.*")));
}
TEST(Inside, NoMountTellsAHostPathThatWasNotAskedFor) {
  COVE_NEEDS_IDMAPPED_BINDS();
  const TempDirectory shared_directory;
  SandboxSpec spec = probe("read-file /proc/self/mountinfo");
  spec.mounts = {bind_of(shared_directory.path(), "/shared")};
  const SandboxResult result = run(spec);
  const RootDirectory& root = RootDirectory::shared();
  EXPECT_THAT(output(result), Not(HasSubstr(root.path()))) << shown(result);
  // The root of a bind is told by the kernel, as a path within its own file system.
  int asked = 0;
  for (const std::string& line : lines_of(output(result))) {
    if (line.find(" /shared ") != std::string::npos) {
      ++asked;
    } else {
      EXPECT_THAT(line, Not(HasSubstr("cove-test-")));
      EXPECT_THAT(line, Not(HasSubstr("/tmp/"))) << line;
    }
  }
  EXPECT_EQ(asked, 1);
}
TEST(Inside, MountsAreNotSuidAndNotDevices) {
  for (const std::string& line : lines_of(out_of("read-file /proc/self/mountinfo"))) {
    EXPECT_THAT(line, HasSubstr("nosuid")) << line;
    if (line.find(" /dev ") == std::string::npos && line.find(" /dev/") == std::string::npos) {
      EXPECT_THAT(line, HasSubstr("nodev")) << line;
    }
  }
}
TEST(Inside, MountsDoNotPropagate) {
  for (const std::string& line : lines_of(out_of("read-file /proc/self/mountinfo"))) {
    EXPECT_THAT(line, Not(HasSubstr("shared:"))) << line;
    EXPECT_THAT(line, Not(HasSubstr("master:"))) << line;
  }
}
TEST(Inside, DescriptorsAre0To2) {
  const std::vector<std::string> fds = lines_of(out_of("fds"));
  ASSERT_EQ(fds.size(), 3u) << ::testing::PrintToString(fds);
  EXPECT_EQ(fds[0], "fd 0: /dev/null");
  EXPECT_THAT(fds[1], StartsWith("fd 1: pipe:["));
  EXPECT_THAT(fds[2], StartsWith("fd 2: pipe:["));
}
TEST(Inside, TheProgramLeadsItsSessionAndIsNotPid1) {
  EXPECT_EQ(out_of("session"), "session: own pid 2 parent 1\n");
}
TEST(Inside, TheHostnameIsNotTheHosts) {
  EXPECT_EQ(out_of("hostname"), "hostname: sandbox\n");
  EXPECT_EQ(out_of("read-file /etc/hostname"), "sandbox\n");
  SandboxSpec spec = probe("hostname ; read-file /etc/hosts");
  spec.hostname = "named";
  EXPECT_THAT(output(run(spec)), StartsWith("hostname: named\n"));
  EXPECT_THAT(output(run(spec)), HasSubstr("named\n"));
}
TEST(Inside, OrdinarySocketsWork) {
  EXPECT_EQ(out_of("socket 1 1 ; socket 2 1 ; socket 2 2 ; socket 10 1"),
            "socket 1: ok\nsocket 2: ok\nsocket 2: ok\nsocket 10: ok\n");
}

TEST(Inside, DevicesAreTheHarmlessOnes) {
  EXPECT_EQ(out_of("list /dev"),
            "fd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n");
  EXPECT_EQ(out_of("put /dev/null x ; put /dev/full x ; open /dev/urandom r"),
            "put: ok\nput: ENOSPC\nopen: ok\n");
  EXPECT_THAT(out_of("open /dev/ptmx rw"), HasSubstr("open: ok"));
  for (const char* path : {"/dev/new", "/tmp/new", "/workspace/new"}) {
    EXPECT_THAT(out_of(std::string("mknod ") + path + " 0020666 1 3"),
                AnyOf("mknod: EPERM\n", "mknod: EACCES\n", "mknod: EROFS\n"))
        << path;
  }
}
TEST(Inside, TheControlGroupTellsTheLimitWhereTheKernelCan) {
  if (mechanism_of("memory") != "cgroup-v2") GTEST_SKIP() << "needs cgroup-v2 memory";
  SandboxSpec spec = probe("read-file /sys/fs/cgroup/memory.max");
  spec.resources.memory = mebibytes(96);
  const SandboxResult result = run(spec);
  EXPECT_EQ(output(result), std::to_string(96 << 20) + "\n") << shown(result);
}

// ---- the program's own beginnings ----

TEST(Program, BeginsWithUmask022) {
  const mode_t before = umask(077);
  EXPECT_EQ(out_of("umask"), "umask: 022\n");
  umask(before);
  CommandOptions options;
  options.in_child = [] { umask(0); };
  EXPECT_EQ(run_command(cove_run({}, "umask"), options).out, "umask: 022\n");
}
TEST(Program, BeginsWithEverySignalAtItsDefault) {
  for (const char* field : {"SigIgn", "SigBlk", "SigCgt"})
    EXPECT_EQ(status_field(field), "0000000000000000") << field;
}
TEST(Program, DoesNotInheritWhatTheCallerIgnores) {
  CommandOptions options;
  options.in_child = [] {
    for (int number = 1; number < 64; ++number) signal(number, SIG_IGN);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
  };
  const CommandOutcome outcome = run_command(cove_run({}, "read-file /proc/self/status"), options);
  EXPECT_EQ(line_after(outcome.out, "SigIgn:\t"), "0000000000000000") << outcome.err;
  EXPECT_EQ(line_after(outcome.out, "SigBlk:\t"), "0000000000000000");
}
TEST(Program, HasExactlyTheDocumentedEnvironment) {
  setenv("COVE_TEST_SECRET", "x", 1);
  EXPECT_EQ(out_of("env"),
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nHOME=/workspace\n");
  unsetenv("COVE_TEST_SECRET");
}
TEST(Program, GetsTheVariablesThatWereGivenOrAllowed) {
  setenv("COVE_TEST_ALLOWED", "from the host", 1);
  setenv("COVE_TEST_BOTH", "host", 1);
  SandboxSpec spec = probe("env");
  spec.env = {{"GIVEN", "a=b c"}, {"COVE_TEST_BOTH", "spec"}, {"EMPTY", ""}};
  spec.env_allowlist = {"COVE_TEST_ALLOWED", "COVE_TEST_BOTH", "COVE_TEST_UNSET"};
  std::vector<std::string> lines = lines_of(output(run(spec)));
  std::sort(lines.begin(), lines.end());
  EXPECT_THAT(lines,
              ElementsAre("COVE_TEST_ALLOWED=from the host", "COVE_TEST_BOTH=spec",
                          "EMPTY=", "GIVEN=a=b c", "HOME=/workspace",
                          "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
  unsetenv("COVE_TEST_ALLOWED");
  unsetenv("COVE_TEST_BOTH");
}
TEST(Program, BeginsInAWorkspaceOfItsOwn) {
  EXPECT_THAT(out_of("getcwd ; stat /workspace ; put file x"),
              ::testing::MatchesRegex("cwd: /workspace\nstat: 40755 1000 1000 [0-9]+\nput: ok\n"));
}
TEST(Program, BeginsInTheWorkdirThatIsMadeForIt) {
  COVE_NEEDS_MANY_IDS();
  // Root's inside, as Docker makes it: only the default workspace is given to the user.
  SandboxSpec spec = probe("getcwd ; stat /deep/er/place");
  spec.workdir = "/deep/er/place";
  const SandboxResult result = run(spec);
  EXPECT_THAT(output(result), StartsWith("cwd: /deep/er/place\nstat: 40755 0 0 ")) << shown(result);
  spec = probe("getcwd ; put file x");
  spec.workdir = "/tmp/place";
  spec.user = "root";
  EXPECT_EQ(output(run(spec)), "cwd: /tmp/place\nput: ok\n");
}
TEST(Program, BeginsInAWorkdirThatTheImageHas) {
  SandboxSpec spec = probe("getcwd");
  spec.workdir = "/srv";
  EXPECT_EQ(output(run(spec)), "cwd: /srv\n");
}
TEST(Program, AWorkdirThatTheImageHasKeepsItsOwner) {
  COVE_NEEDS_PRIVILEGE();  // else the directory belongs to the program's own user
  const RootDirectory root;
  root.make_directory("/srv/deep", 0700);
  root.make_directory("/usr", 0755);
  struct Case {
    const char* workdir;
    const char* mode;
  };
  for (const Case& each : {Case{"/srv", "40755 65534"}, Case{"/usr", "40755 65534"},
                           Case{"/tmp", "41777 0"}, Case{"/etc", "40755 0"}}) {
    SandboxSpec spec = probe({"getcwd", ";", "stat", "."}, root);
    spec.workdir = each.workdir;
    const SandboxResult result = run(spec);
    EXPECT_THAT(output(result),
                StartsWith(std::string("cwd: ") + each.workdir + "\nstat: " + each.mode + " "))
        << shown(result);
  }
}
TEST(Program, AWorkdirThatTheUserMayNotEnterIsRefused) {
  COVE_NEEDS_PRIVILEGE();  // else the directory belongs to the program's own user
  const RootDirectory root;
  root.make_directory("/srv/deep", 0700);
  SandboxSpec spec = probe({"getcwd"}, root);
  spec.workdir = "/srv/deep";
  const SandboxResult result = run(spec);
  ASSERT_TRUE(result.error) << shown(result);
  EXPECT_EQ(result.error->step, "workdir");
  EXPECT_EQ(result.error->sys_errno, EACCES);
}
TEST(Program, AWorkdirBehindALinkOfTheImageIsInTheRoot) {
  const RootDirectory root;
  root.make_directory("/usr/place");
  root.link("/link", "/usr/place");
  root.link("/up", "../../../../tmp");
  SandboxSpec spec = probe({"getcwd"}, root);
  spec.workdir = "/link";
  EXPECT_EQ(output(run(spec)), "cwd: /usr/place\n");
  spec.workdir = "/up/new";
  EXPECT_EQ(output(run(spec)), "cwd: /tmp/new\n");
  EXPECT_FALSE(exists("/tmp/new"));
}
TEST(Program, AWorkdirThatIsAFileIsRefused) {
  SandboxSpec spec = probe("getcwd");
  spec.workdir = "/etc/passwd";
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::sandbox_error) << shown(result);
  ASSERT_TRUE(result.error);
  EXPECT_THAT(result.error->message(), HasSubstr("/etc/passwd"));
}

// ---- users ----

struct User {
  const char* asked;
  const char* ids;
  const char* home;
};
constexpr User kUsers[] = {
    {"alice", "1001 1001 1001 / 1002 1002 1002 / 29 50", "/home/alice"},
    {"alice:staff", "1001 1001 1001 / 50 50 50 /", "/home/alice"},
    {"1001", "1001 1001 1001 / 1002 1002 1002 / 29 50", "/home/alice"},
    {"4242", "4242 4242 4242 / ", ""},
    {"4242:77", "4242 4242 4242 / 77 77 77 /", ""},
    {"bob:0", "1003 1003 1003 / 0 0 0 /", "/nonexistent"},
    {"root", "0 0 0 / 0 0 0 /", "/root"},
};

TEST(User, IsLookedUpInTheImagesOwnFiles) {
  COVE_NEEDS_MANY_IDS();  // else it is in no other group
  for (const User& user : kUsers) {
    SandboxSpec spec = probe("ids ; env");
    spec.user = user.asked;
    const SandboxResult result = run(spec);
    EXPECT_THAT(output(result), StartsWith(std::string("ids: ") + user.ids))
        << user.asked << shown(result);
    if (*user.home != '\0') {
      EXPECT_EQ(line_after(output(result), "HOME="), user.home);
    }
  }
}
TEST(User, ThatTheImageDoesNotKnowIsRefusedWithTheNamesThatItDoes) {
  SandboxSpec spec = probe("exit 0");
  spec.user = "mallory";
  const SandboxResult result = run(spec);
  ASSERT_TRUE(result.error) << shown(result);
  EXPECT_EQ(result.error->code, ErrorCode::invalid_argument);
  EXPECT_EQ(result.error->where, "$.user");
  EXPECT_THAT(result.error->message(), HasSubstr("alice"));
  EXPECT_EQ(exit_status(result), 125);
}
TEST(User, OfTheHostMeansNothing) {
  SandboxSpec spec = probe("exit 0");
  for (const char* name : {"daemon", "nobody", "4294967296", "4294967295", "-1", "1000x", "+1",
                           "0x0", "1 0", ":", "alice:nogroup"}) {
    spec.user = name;
    const SandboxResult result = run(spec);
    EXPECT_EQ(result.cause, Cause::sandbox_error) << name << shown(result);
  }
}

// ---- the root filesystem ----

TEST(Root, NothingOfTheImageCanBeChangedByTheUser) {
  COVE_NEEDS_PRIVILEGE();  // else the image belongs to the program's own user
  const RootDirectory root;
  root.put("/usr/lib/library", "library");
  root.put("/etc/config", "config");
  const SandboxResult result = run(probe({"attack-tree", "/usr", ";", "attack-tree", "/bin", ";",
                                          "attack-tree", "/etc", ";", "mkdir", "/new"},
                                         root));
  for (const std::string& line : lines_of(output(result))) {
    EXPECT_THAT(line, AnyOf(StartsWith("tried: "), "mkdir: EACCES")) << line;
  }
}
TEST(Root, WhatRootWritesInsideStaysInside) {
  const RootDirectory root;
  root.put("/etc/config", "config");
  const std::string binary = contents_of(root.outside("/bin/probe"));
  SandboxSpec spec = probe({"attack-tree", "/bin", ";", "attack-tree", "/etc", ";", "put", "/new",
                            "x", ";", "mkdir", "/srv/new"},
                           root);
  spec.user = "root";
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  EXPECT_EQ(contents_of(root.outside("/etc/config")), "config");
  EXPECT_TRUE(contents_of(root.outside("/bin/probe")) == binary);
  EXPECT_FALSE(exists(root.outside("/new")));
  EXPECT_THAT(names_in(root.outside("/srv")), IsEmpty());
  EXPECT_THAT(names_in(root.path()), ElementsAre("bin", "etc", "srv"));
  EXPECT_THAT(names_in(root.outside("/etc")), ElementsAre("config", "group", "passwd"));
}
TEST(Root, WhatOneRunWritesTheNextDoesNotSee) {
  const SandboxResult first =
      run(probe("put /tmp/left x ; put /workspace/left x ; put /dev/shm/left x"));
  EXPECT_EQ(output(first), "put: ok\nput: ok\nput: ok\n");
  EXPECT_EQ(out_of("list /tmp ; list /workspace ; list /dev/shm"), "");
}
TEST(Root, ReadOnlyLeavesTmpAndTheWorkspaceWritable) {
  SandboxSpec spec = probe(
      "put /tmp/a x ; put /workspace/a x ; put /dev/shm/a x ; open /etc/passwd w ; mkdir /etc/a ; "
      "mkdir /srv/a ; "
      "mkdir /a ; getcwd");
  spec.read_only = true;
  for (const char* user : {"1000", "root"}) {
    spec.user = user;
    EXPECT_THAT(output(run(spec)),
                ::testing::MatchesRegex(
                    "put: ok\nput: ok\nput: ok\nopen: (EROFS|EACCES)\nmkdir: EROFS\nmkdir: EROFS\n"
                    "mkdir: EROFS\ncwd: /workspace\n"))
        << user;
  }
}
TEST(Root, OfSharedIpcNothingIsLeftForTheNext) {
  EXPECT_THAT(out_of("syscall shmget 29 0x1234 4096 0x3ff ; read-file /proc/sysvipc/shm"),
              HasSubstr("shmget: ok"));
  EXPECT_EQ(lines_of(out_of("read-file /proc/sysvipc/shm")).size(), 1u);
}

// ---- the network ----

TEST(Network, OfTheHostMustBeSaidTwice) {
  SandboxSpec spec = probe("interfaces");
  spec.network = NetworkMode::host;
  const SandboxResult refused = run(spec);
  ASSERT_TRUE(refused.error) << shown(refused);
  EXPECT_EQ(refused.error->code, ErrorCode::invalid_argument);
  EXPECT_EQ(refused.error->where, "$.network");
  spec.require[Protection::network] = Requirement::off;
  const SandboxResult allowed = run(spec);
  EXPECT_EQ(allowed.cause, Cause::exited) << shown(allowed);
  EXPECT_FALSE(allowed.enforced.contains(Protection::network));
}
TEST(Network, OfTheHostStillHasNoRawSocketsAndNoConfiguration) {
  SandboxSpec spec = probe("socket 2 3 1 ; socket 17 3 ; syscall sethostname 170 s:x 1");
  spec.network = NetworkMode::host;
  spec.require[Protection::network] = Requirement::off;
  spec.user = "root";
  EXPECT_THAT(output(run(spec)), Not(HasSubstr(": ok")));
}

}  // namespace
}  // namespace cove::testing
