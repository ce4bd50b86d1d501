// CVE-2024-21626 (runc, "Leaky Vessels"): a descriptor of the host's had leaked into the container's
// first process, and a working directory of /proc/self/fd/N led through it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

// A caller with descriptors of a directory from 7 to 19, none of them close-on-exec.
class LeakyCaller {
 public:
  LeakyCaller() {
    put_file(directory_ / "secret", "of the host\n");
    put_file(directory_ / "program", contents_of(attacker_path()), 0755);
    fd_ = open(directory_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }
  ~LeakyCaller() { close(fd_); }
  CommandOptions options() const {
    CommandOptions options;
    options.in_child = [this] {
      for (int number = 7; number < 20; ++number) dup2(fd_, number);
    };
    return options;
  }

 private:
  const TempDirectory directory_;
  int fd_;
};

TEST(Escape, Cve202421626WorkdirThroughADescriptor) {
  const LeakyCaller caller;
  const Attack attack("chdir /proc/self/fd/9 ; read-file secret ; read-file ../../etc/hostname");
  EXPECT_THAT(attack.in_naive_container(caller.options()),
              ::testing::StartsWith("chdir: ok\nof the host\n"));
  EXPECT_THAT(output(attack.through_command(caller.options())),
              ::testing::StartsWith("chdir: ENOENT\nread-file: ENOENT\n"));

  for (const int number : {0, 3, 4, 5, 6, 7, 9, 12, 19}) {
    const std::string workdir = "/proc/self/fd/" + std::to_string(number);
    const SandboxResult result = attack.through_command(caller.options(), {"-w", workdir});
    // Of init's, at that time: its own few, and links of procfs are not followed.
    EXPECT_THAT(refusal(result), MatchesRegex("setup_failed, workdir, (ELOOP|ENOENT)")) << workdir;
    EXPECT_EQ(output(result), "");
  }
}
TEST(Escape, Cve202421626CommandThroughADescriptor) {
  const LeakyCaller caller;
  EXPECT_EQ(Attack("exec /proc/self/fd/9/program print x").in_naive_container(caller.options()),
            "x\n");
  for (const int number : {3, 4, 5, 6, 7, 9, 12, 19}) {
    Attack attack("print x");
    attack.spec.command = {"/proc/self/fd/" + std::to_string(number) + "/program", "print", "x"};
    // A descriptor of init's own is no directory, and the others are not there.
    EXPECT_THAT(refusal(attack.through_command(caller.options())),
                MatchesRegex("command_not_found, exec, 0|command_not_executable, exec, ENOTDIR"));
  }
}
TEST(Escape, Cve202421626WorkdirOfAnotherProcess) {
  for (const char* workdir : {"/proc/1/cwd", "/proc/1/root", "/proc/self/root", "/proc/self/cwd",
                              "/proc/thread-self/fd/3", "/dev/fd/3"}) {
    SandboxSpec spec = Attack("getcwd").spec;
    spec.workdir = workdir;
    EXPECT_THAT(refusal(run(spec)), MatchesRegex("setup_failed, workdir, (ELOOP|ENOENT)"))
        << workdir;
  }
}
TEST(Escape, Cve202421626WorkdirIsALinkOfTheImage) {
  for (const char* target :
       {"/proc/self/fd/3", "/proc/self/fd/5", "/proc/self/fd/9", "/proc/1/root", "/proc/1/cwd"}) {
    const AttackerRoot root;
    root.link("/work", target);
    SandboxSpec spec = Attack("getcwd ; list .", root).spec;
    spec.workdir = "/work";
    EXPECT_THAT(refusal(run(spec)), MatchesRegex("setup_failed, workdir, (ELOOP|ENOENT)"))
        << target;
  }
}
TEST(Escape, DescriptorsThatTheCallerLeaksDoNotArrive) {
  const LeakyCaller caller;
  const Attack attack("fds");
  EXPECT_THAT(attack.in_naive_container(caller.options()), HasSubstr("fd 7: "));
  EXPECT_EQ(lines_of(output(attack.through_command(caller.options()))).size(), 3u);

  const int leaked = dup(0);  // without close-on-exec
  EXPECT_THAT(attack.outside(), HasSubstr("fd " + std::to_string(leaked) + ": "));
  const SandboxResult result = run_through_library(attack.spec);
  close(leaked);
  EXPECT_EQ(lines_of(output(result)).size(), 3u) << shown(result);
  EXPECT_THAT(output(result), Not(HasSubstr("fd 3")));
}

}  // namespace
}  // namespace cove::testing
