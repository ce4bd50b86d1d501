// Published escapes that need an image or a working directory made to lead somewhere else: one test
// each, named after the advisory. docs/security-model.md has the rules that they answer to.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/host.h"
#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

// The image's command is a script whose interpreter is the runtime that starts it: runc then ran
// its own binary inside, and /proc/PID/exe was a writable handle on the host's file. Of ours
// nothing can be written, by any user inside.
TEST(Escape, Cve20195736ProcSelfExe) {
  const RootDirectory root;
  root.put("/bin/evil", "#!/proc/self/exe\n", 0755);
  const std::string before = contents_of(command_path());
  for (const char* user : {"1000", "root"}) {
    for (const bool library : {true, false}) {
      SandboxSpec spec = probe({}, root);
      spec.command = {"/bin/evil"};
      spec.user = user;
      spec.timeout = std::chrono::seconds(10);
      const SandboxResult direct = library ? run_through_library(spec) : run_through_command(spec);
      EXPECT_NE(direct.process_status, ProcessStatus::completed) << shown(direct);
      EXPECT_NE(direct.process_status, ProcessStatus::timeout) << shown(direct);
      // A program of the image's own, started as that script would be, is its own /proc/self/exe.
      spec.command = {"/bin/probe", "exec", "/bin/evil"};
      const SandboxResult indirect =
          library ? run_through_library(spec) : run_through_command(spec);
      EXPECT_EQ(indirect.exit_code, 64)
          << shown(indirect);  // the probe, which knows no command /bin/evil
    }
  }
  EXPECT_TRUE(contents_of(command_path()) == before);
}
TEST(Escape, Cve20195736TheExecutableOfPid1CannotBeOpened) {
  for (const char* user : {"1000", "root"}) {
    SandboxSpec spec = probe(
        "open /proc/1/exe r ; open /proc/1/exe rw ; open /proc/1/exe path ; readlink /proc/1/exe ; "
        "exec /proc/1/exe version");
    spec.user = user;
    const std::string out = output(run(spec));
    EXPECT_THAT(out, Not(HasSubstr("open: ok"))) << user;
    EXPECT_THAT(out, Not(HasSubstr("link: /"))) << user;
    EXPECT_THAT(out, ::testing::EndsWith("exec: EACCES\n")) << user;
  }
}

// A descriptor of the host that leaked, and a working directory that leads through it.
TEST(Escape, Cve202421626WorkdirThroughADescriptor) {
  CommandOptions options;
  options.in_child = [] {
    const int fd = open("/", O_RDONLY | O_DIRECTORY);
    for (int number = 7; number < 20; ++number) dup2(fd, number);
  };
  for (int number = 3; number < 20; ++number) {
    const std::string workdir = "/proc/self/fd/" + std::to_string(number);
    const CommandOutcome outcome = run_command(
        cove_run({"-w", workdir}, "getcwd ; list . ; stat ../../../../../../etc/shadow"), options);
    EXPECT_EQ(outcome.status, 125) << outcome.out;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(lines_of(remarks_of(outcome)).size(), 1u) << outcome.err;
  }
}
TEST(Escape, Cve202421626WorkdirOfAnotherProcess) {
  for (const char* workdir : {"/proc/1/cwd", "/proc/1/root", "/proc/self/root", "/proc/self/cwd",
                              "/proc/thread-self/fd/3", "/dev/fd/3", "/proc/self/fd"}) {
    SandboxSpec spec = probe("getcwd ; list /");
    spec.workdir = workdir;
    const SandboxResult result = run(spec);
    if (result.cause == Cause::exited) {
      EXPECT_THAT(output(result), Not(HasSubstr("(unreachable)"))) << workdir;
      EXPECT_THAT(output(result), Not(HasSubstr("root\n"))) << workdir;
      EXPECT_THAT(output(result), HasSubstr("bin\ndev\n")) << workdir;
    } else {
      EXPECT_EQ(result.cause, Cause::sandbox_error) << shown(result);
    }
  }
}
TEST(Escape, Cve202421626WorkdirIsALinkOfTheImage) {
  for (const char* target :
       {"/proc/self/fd/3", "/proc/self/fd/5", "/proc/self/fd/9", "/proc/1/root", "/proc/1/cwd"}) {
    const RootDirectory root;
    root.link("/work", target);
    SandboxSpec spec = probe({"getcwd", ";", "list", "."}, root);
    spec.workdir = "/work";
    const SandboxResult result = run(spec);
    EXPECT_EQ(result.cause, Cause::sandbox_error) << target << shown(result);
  }
}
// The host made directories, and gave them away, where the image's link led.
TEST(Escape, Cve202655686WorkdirIsNotMadeOnTheHost) {
  const TempDirectory victim;
  const RootDirectory root;
  root.link("/work", victim.path());
  root.link("/up", "../../../../../.." + victim.path());
  for (const char* workdir : {"/work", "/work/new", "/up/new", "/up"}) {
    SandboxSpec spec = probe({"put", "file", "x"}, root);
    spec.workdir = workdir;
    (void)run(spec);
    EXPECT_THAT(names_in(victim.path()), IsEmpty()) << workdir;
    struct stat status {};
    ASSERT_EQ(stat(victim.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, geteuid());
    EXPECT_EQ(status.st_mode & 07777, 0755u);
  }
}

// Streams that were files of the host could be opened again, for writing.
TEST(Escape, StreamsAreNoFilesOfTheHost) {
  const TempDirectory directory;
  put_file(directory / "input", "secret input", 0644);
  put_file(directory / "log", "old line\n", 0644);
  const std::vector<std::string> argv =
      cove_run({"-i"},
               "put /proc/self/fd/0 overwritten ; open /dev/stdin rw ; "
               "open /proc/self/fd/1 trunc,w ; open /proc/self/fd/2 trunc,w ; print done");
  CommandOptions options;
  static std::string input, log;
  input = directory / "input";
  log = directory / "log";
  options.in_child = [] {
    dup2(open(input.c_str(), O_RDONLY), 0);
    dup2(open(log.c_str(), O_WRONLY | O_APPEND), 1);
    dup2(open(log.c_str(), O_WRONLY | O_APPEND), 2);
  };
  run_command(argv, options);
  EXPECT_EQ(contents_of(input), "secret input");
  EXPECT_THAT(contents_of(log), StartsWith("old line\n"));
  EXPECT_THAT(contents_of(log), HasSubstr("done\n"));
}
TEST(Escape, ADirectoryAsStdinLeadsNowhere) {
  const TempDirectory directory;
  put_file(directory / "secret", "secret");
  CommandOptions options;
  options.stdin_fd = open(directory.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const CommandOutcome outcome =
      run_command(cove_run({"-i"},
                           "list /proc/self/fd/0 ; read-file /proc/self/fd/0/secret ; chdir "
                           "/proc/self/fd/0 ; put /proc/self/fd/0/new x"),
                  options);
  close(options.stdin_fd);
  EXPECT_THAT(outcome.out, Not(HasSubstr("secret\n")));
  EXPECT_THAT(names_in(directory.path()), ::testing::ElementsAre("secret"));
}
TEST(Escape, TheTerminalOfTheCallerIsNotReached) {
  EXPECT_THAT(output(run(probe("open /dev/tty rw"))),
              AnyOf("open: ENXIO\n", "open: EACCES\n", "open: EPERM\n"));
}

// Procfs is looked up by descriptor, never by what the image has at /proc.
TEST(Escape, Cve201919921ProcOfTheImageIsNotTrusted) {
  const RootDirectory root;
  const TempDirectory victim;
  root.link("/proc", victim.path());
  const SandboxResult result = run(probe({"read-file", "/proc/self/comm"}, root));
  EXPECT_THAT(names_in(victim.path()), IsEmpty());
  if (result.cause == Cause::exited) {
    EXPECT_EQ(output(result), "probe\n");
  } else {
    EXPECT_EQ(result.cause, Cause::sandbox_error) << shown(result);
  }
}
TEST(Escape, Cve202531133TheMaskIsNotTheImagesDevNull) {
  const RootDirectory root;
  root.make_directory("/dev");
  root.put("/dev/null", "not a device");
  root.link("/dev/zero", "/etc/passwd");
  root.link("/dev/pts", "/proc/sys");
  const SandboxResult result = run(probe({"read-file", "/proc/kcore", ";", "put", "/dev/null", "x",
                                          ";", "read-file", "/dev/null", ";", "stat", "/dev/null"},
                                         root));
  EXPECT_THAT(output(result), HasSubstr("put: ok\nstat: 20666 ")) << shown(result);
  EXPECT_THAT(output(result), Not(HasSubstr("not a device")));
}
TEST(Escape, Cve202641579DevOfTheImageIsALink) {
  const RootDirectory root;
  const TempDirectory victim;
  root.link("/dev", victim.path());
  (void)run(probe({"exit", "0"}, root));
  EXPECT_THAT(names_in(victim.path()), IsEmpty());
}
// 2^31 and beyond became 0 where ids were signed.
TEST(Escape, Cve202440635UserIdsBeyondAllBounds) {
  for (const char* user :
       {"2147483648", "4294967295", "4294967296", "18446744073709551616", "-1", "65536:65536"}) {
    SandboxSpec spec = probe("ids");
    spec.user = user;
    const SandboxResult result = run(spec);
    EXPECT_EQ(result.cause, Cause::sandbox_error) << user << shown(result);
    EXPECT_EQ(output(result), "") << user;
  }
}
TEST(Escape, ALowerLayersPermissionsHold) {
  COVE_NEEDS_PRIVILEGE();  // else the layer belongs to the program's own user
  const RootDirectory root;
  root.put("/srv/private", "private", 0600);
  root.put("/srv/group", "group", 0060);
  for (const char* user : {"1000", "alice", "root"}) {
    SandboxSpec spec =
        probe({"read-file", "/srv/private", ";", "read-file", "/srv/group", ";", "chmod",
               "/srv/private", "0777", ";", "chown", "/srv/private", "0", "0"},
              root);
    spec.user = user;
    EXPECT_THAT(output(run(spec)), Not(HasSubstr("private\n"))) << user;
    EXPECT_THAT(output(run(spec)), Not(HasSubstr(": ok"))) << user;
  }
}
TEST(Escape, ASetuidProgramOfTheImageGainsNothing) {
  const RootDirectory root;
  root.put("/bin/setuid", contents_of(probe_path()), 0755);
  ASSERT_EQ(chmod(root.outside("/bin/setuid").c_str(), 06755), 0);
  SandboxSpec spec =
      probe({"exec", "/bin/setuid", "ids", ";", "read-file", "/proc/self/status"}, root);
  EXPECT_THAT(output(run(spec)), StartsWith("ids: 1000 1000 1000 / 1000 1000 1000 /\n"));
}
// The kernel's door of Docker's older profiles: page cache writes through AF_ALG; every way of
// asking.
TEST(Escape, Cve202631431AfAlg) {
  EXPECT_EQ(
      output(
          run(probe("socket 38 5 0 ; socket 0x100000026 5 0 ; syscall socketpair 53 38 5 0 z:8"))),
      "socket 38: EAFNOSUPPORT\nsocket 0x100000026: EAFNOSUPPORT\nsocketpair: EAFNOSUPPORT\n");
}
TEST(Escape, Cve20220492NoReleaseAgent) {
  SandboxSpec spec =
      probe({"syscall", "mount", std::to_string(SYS_mount), "s:cgroup", "s:/tmp", "s:cgroup", "0",
             "s:memory", ";", "unshare", "0x12000000", ";", "list", "/sys/fs/cgroup"});
  spec.user = "root";
  EXPECT_THAT(output(run(spec)), Not(HasSubstr(": ok")));
  EXPECT_THAT(output(run(spec)), Not(HasSubstr("release_agent")));
}
// core_pattern, uevent_helper, modprobe: names of programs that the kernel runs as root.
TEST(Escape, NoProgramNameOfTheKernelsCanBeWritten) {
  for (const char* file : {"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
                           "/proc/sys/fs/binfmt_misc/register", "/sys/kernel/uevent_helper",
                           "/proc/sys/vm/panic_on_oom", "/proc/sys/net/ipv4/ip_forward"}) {
    SandboxSpec spec = probe(std::string("open ") + file + " w");
    spec.user = "root";
    EXPECT_THAT(output(run(spec)), Not(HasSubstr(": ok"))) << file;
  }
}
}  // namespace
}  // namespace cove::testing
