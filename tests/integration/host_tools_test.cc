// --rootfs /: the host's own tools, and nothing else of the host.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/host.h"
#include "tests/support/sandbox.h"
#include "tests/support/terminal.h"

namespace cove::testing {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

SandboxSpec tools(std::vector<std::string> command) {
  SandboxSpec spec;
  spec.rootfs = "/";
  spec.command = std::move(command);
  return spec;
}

std::string out_of(std::vector<std::string> command) {
  const SandboxResult result = run(tools(std::move(command)));
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  EXPECT_EQ(result.exit_code, 0) << shown(result);
  return output(result);
}

#define NEEDS_TOOL(path) COVE_NEEDS_PROGRAM(path)

TEST(HostTools, ThePrivatePlacesAreNotThere) {
  NEEDS_TOOL("/usr/bin/ls");
  for (const char* path :
       {"/root", "/srv", "/boot", "/mnt", "/media", "/etc/shadow", "/etc/gshadow", "/etc/sudoers",
        "/etc/ssl/private", "/var/lib", "/var/log", "/run/cove", "/run/dbus", "/run/systemd",
        "/lost+found", "/.dockerenv", "/work"}) {
    const SandboxResult result = run(tools({"/usr/bin/ls", "-d", path}));
    EXPECT_NE(result.exit_code, 0) << path << shown(result);
    EXPECT_EQ(output(result), "") << path;
  }
  for (const char* path : {"/home", "/run", "/var/tmp"}) {
    const SandboxResult result = run(tools({"/usr/bin/ls", "-A", path}));
    EXPECT_EQ(output(result), "") << path << shown(result);
  }
}
TEST(HostTools, ADirectoryThatTheHostHasAtItsTopIsNotThereUnlessItIsATool) {
  NEEDS_TOOL("/usr/bin/ls");
  const std::vector<std::string> allowed{"bin",  "sbin", "lib",  "lib32", "lib64",    "libx32",
                                         "usr",  "etc",  "opt",  "tmp",   "var",      "run",
                                         "home", "dev",  "proc", "sys",   "workspace"};
  for (const std::string& name : lines_of(out_of({"/usr/bin/ls", "-A", "/"}))) {
    EXPECT_THAT(allowed, ::testing::Contains(name));
  }
}
TEST(HostTools, WhatTheWorldMayNotReadInEtcIsNotThere) {
  NEEDS_TOOL("/usr/bin/find");
  EXPECT_EQ(out_of({"/usr/bin/find", "/etc", "!", "-type", "l", "!", "-perm", "-004"}), "");
}
TEST(HostTools, AnotherNameOfTheRootIsTheSame) {
  NEEDS_TOOL("/usr/bin/ls");
  const TempDirectory directory;
  ASSERT_EQ(symlink("/", (directory / "link").c_str()), 0);
  for (const std::string& name : {std::string("//"), std::string("/."), std::string("/tmp/.."),
                                  std::string("/proc/self/root"), directory / "link"}) {
    SandboxSpec spec = tools({"/usr/bin/ls", "-d", "/root", "/etc/shadow"});
    spec.rootfs = name;
    const SandboxResult result = run(spec);
    EXPECT_EQ(output(result), "") << name << shown(result);
    EXPECT_NE(result.process_status, ProcessStatus::completed);
  }
}
TEST(HostTools, NothingOfTheHostCanBeWritten) {
  NEEDS_TOOL("/bin/sh");
  NEEDS_TOOL("/usr/bin/touch");
  for (const char* user : {"1000", "root"}) {
    SandboxSpec spec = tools({"/bin/sh", "-c",
                              "for d in / /usr /usr/bin /etc /opt /lib; do touch $d/cove-was-here "
                              "2>/dev/null; done; echo x >>/etc/passwd; true"});
    spec.user = user;
    const SandboxResult result = run(spec);
    EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  }
  for (const char* path : {"/cove-was-here", "/usr/cove-was-here", "/usr/bin/cove-was-here",
                           "/etc/cove-was-here", "/opt/cove-was-here"})
    EXPECT_FALSE(exists(path)) << path;
}
TEST(HostTools, AFileThatOnlyUid1000MayReadStaysSo) {
  NEEDS_TOOL("/usr/bin/cat");
  if (geteuid() != 0 || !exists("/opt")) GTEST_SKIP() << "needs root and /opt";
  const std::string path = "/opt/" + unique_marker();
  put_file(path, "private", 0600);
  ASSERT_EQ(chown(path.c_str(), 1000, 1000), 0);
  const SandboxResult result = run(tools({"/usr/bin/cat", path}));
  std::remove(path.c_str());
  EXPECT_EQ(output(result), "") << shown(result);
  EXPECT_NE(result.exit_code, 0);
}
TEST(HostTools, TheFilesThatAreOursWin) {
  NEEDS_TOOL("/usr/bin/cat");
  EXPECT_EQ(out_of({"/usr/bin/cat", "/etc/hostname"}), "sandbox\n");
  EXPECT_THAT(out_of({"/usr/bin/cat", "/etc/hosts"}), HasSubstr("localhost"));
}
TEST(HostTools, LocalhostResolves) {
  NEEDS_TOOL("/usr/bin/getent");
  EXPECT_THAT(out_of({"/usr/bin/getent", "ahosts", "localhost"}), HasSubstr("127.0.0.1"));
}
TEST(HostTools, PythonRunsWithThreadsAndProcesses) {
  NEEDS_TOOL("/usr/bin/python3");
  EXPECT_EQ(
      out_of({"/usr/bin/python3", "-c",
              "import threading, subprocess, tempfile, multiprocessing as m\nt = "
              "threading.Thread(target=print, args=('thread',), kwargs={'flush': True}); "
              "t.start(); t.join()\nprint(subprocess.run(['echo', 'process'], capture_output=True, "
              "text=True).stdout, end='')\nwith tempfile.TemporaryFile() as f: f.write(b'x')\nl = "
              "m.Lock(); l.acquire(); print('lock')"}),
      "thread\nprocess\nlock\n");
}
TEST(HostTools, PythonOutOfMemoryIsTold) {
  NEEDS_TOOL("/usr/bin/python3");
  COVE_NEEDS_LIMIT("memory");
  SandboxSpec spec = tools({"/usr/bin/python3", "-c", "bytearray(300<<20)"});
  spec.resources.memory = mebibytes(64);
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::out_of_memory) << shown(result);
  EXPECT_LE(result.usage.peak_memory_bytes.value_or(~0ull), 65ull << 20);
}
TEST(HostTools, TheShellOfTheAcceptanceListIsEndedInTime) {
  NEEDS_TOOL("/bin/sh");
  NEEDS_TOOL("/usr/bin/sleep");
  SandboxSpec spec = tools({"/bin/sh", "-c", "trap '' TERM; echo start; sleep 60 & sleep 60"});
  spec.timeout = std::chrono::seconds(1);
  const double began = seconds_now();
  const SandboxResult result = run(spec);
  EXPECT_LT(seconds_now() - began, 1.2);
  EXPECT_EQ(result.cause, Cause::timeout) << shown(result);
  EXPECT_EQ(output(result), "start\n");
}
TEST(HostTools, GccCompilesAndTheProgramRuns) {
  NEEDS_TOOL("/usr/bin/g++");
  EXPECT_EQ(out_of({"/bin/sh", "-c",
                    "echo '#include <iostream>\nint main() { std::cout << 6 * 7 << std::endl; }' "
                    ">a.cc && g++ -o a a.cc && ./a"}),
            "42\n");
}
TEST(HostTools, GitCommits) {
  NEEDS_TOOL("/usr/bin/git");
  EXPECT_THAT(out_of({"/bin/sh", "-c",
                      "git init -q r && cd r && echo x >f && git add f && git -c user.name=n -c "
                      "user.email=e commit -qm first && git log --oneline"}),
              HasSubstr("first"));
}
TEST(HostTools, NodeRuns) {
  NEEDS_TOOL("/usr/bin/node");
  EXPECT_EQ(out_of({"/usr/bin/node", "-e", "console.log(6 * 7)"}), "42\n");
}
TEST(HostTools, JavaRuns) {
  NEEDS_TOOL("/usr/bin/java");
  EXPECT_EQ(run(tools({"/usr/bin/java", "-version"})).exit_code, 0);
}
TEST(HostTools, AptTellsItsVersion) {
  NEEDS_TOOL("/usr/bin/apt-get");
  EXPECT_THAT(out_of({"/usr/bin/apt-get", "--version"}), ::testing::StartsWith("apt "));
}
TEST(HostTools, NumpyAndPandasRun) {
  if (!exists("/usr/lib/python3/dist-packages/pandas")) GTEST_SKIP() << "needs program pandas";
  EXPECT_EQ(
      out_of(
          {"/usr/bin/python3", "-c",
           "import numpy, pandas; print(int(pandas.DataFrame({'a': numpy.arange(7)}).a.sum()))"}),
      "21\n");
}

// ---- At a terminal ----

std::vector<std::string> at_terminal(std::vector<std::string> command) {
  std::vector<std::string> words{command_path(), "run", "-it", "--rootfs", "/", "--"};
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

TEST(HostTools, BashEditsLinesAndHasJobControl) {
  NEEDS_TOOL("/bin/bash");
  DrivenTerminal terminal(at_terminal({"/bin/bash", "--norc"}), {30, 100});
  ASSERT_TRUE(terminal.wait_for("$ ")) << terminal.screen();
  // Left, left, and a letter in between: "echo abc".
  terminal.type("echo ac\x1b[Db\r");
  EXPECT_TRUE(terminal.wait_for("\rabc\r")) << terminal.screen();
  terminal.type("stty size\r");
  EXPECT_TRUE(terminal.wait_for("30 100")) << terminal.screen();
  terminal.resize({40, 120});
  terminal.read_for(0.2);
  terminal.type("stty size\r");
  EXPECT_TRUE(terminal.wait_for("40 120")) << terminal.screen();

  terminal.type("echo on; sleep 100\r");
  EXPECT_TRUE(terminal.wait_for("\ron\r")) << terminal.screen();
  terminal.read_for(0.3);
  terminal.type("\x03");
  EXPECT_TRUE(terminal.wait_for("$ ")) << terminal.screen();
  terminal.type("echo status $?\r");
  EXPECT_TRUE(terminal.wait_for("status 130")) << terminal.screen();
  terminal.type("sleep 100 &\r");
  terminal.type("jobs\r");
  EXPECT_TRUE(terminal.wait_for("Running")) << terminal.screen();
  terminal.type("fg\r");
  EXPECT_TRUE(terminal.wait_for("sleep 100\r")) << terminal.screen();
  terminal.read_for(0.3);
  terminal.type("\x1a");
  EXPECT_TRUE(terminal.wait_for("Stopped")) << terminal.screen();
  terminal.type("bg; kill %1; wait %1; echo ended $?\r");
  EXPECT_TRUE(terminal.wait_for("ended 143")) << terminal.screen();
  EXPECT_TRUE(terminal.wait_for("$ ")) << "before it asks, an end of file may go to nobody";
  terminal.type("\x04");
  EXPECT_EQ(terminal.wait(), 0) << terminal.screen();
  EXPECT_TRUE(terminal.is_as_before());
}
TEST(HostTools, BashReadsAScriptFromAPipeBesideATerminal) {
  NEEDS_TOOL("/bin/bash");
  CommandOptions options;
  options.input = "test -t 0 || echo piped; test -t 1 && echo shown; exit 5";
  const CommandOutcome outcome = run_command(at_terminal({"/bin/bash"}), options);
  EXPECT_EQ(outcome.status, 5) << outcome.err;
  EXPECT_EQ(outcome.out, "piped\r\nshown\r\n");
}
TEST(HostTools, VimWritesAFile) {
  NEEDS_TOOL("/usr/bin/vim.tiny");
  DrivenTerminal terminal(
      at_terminal({"/bin/sh", "-c", "vim.tiny -u NONE /tmp/f; echo \"has: $(cat /tmp/f)\""}));
  ASSERT_TRUE(terminal.wait_for("/tmp/f")) << terminal.screen();
  terminal.read_for(0.3);
  terminal.type("ihello\x1b:wq\r");
  EXPECT_TRUE(terminal.wait_for("has: hello")) << terminal.screen();
  EXPECT_EQ(terminal.wait(), 0);
  EXPECT_TRUE(terminal.is_as_before());
}
TEST(HostTools, TopShowsTheSandboxAlone) {
  NEEDS_TOOL("/usr/bin/top");
  DrivenTerminal terminal(at_terminal({"/usr/bin/top", "-d", "0.2"}), {24, 80});
  ASSERT_TRUE(terminal.wait_for("COMMAND")) << terminal.screen();
  EXPECT_TRUE(terminal.wait_for("cove-in")) << terminal.screen();
  EXPECT_THAT(terminal.screen(), HasSubstr("   2 "));
  terminal.type("q");
  EXPECT_EQ(terminal.wait(), 0) << terminal.screen();
  EXPECT_TRUE(terminal.is_as_before());
}

}  // namespace
}  // namespace cove::testing
