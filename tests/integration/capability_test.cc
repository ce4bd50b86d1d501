// Capabilities that a spec names: held as asked, of use, and no way out.
#include "cove/capability.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/host.h"
#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

using ::testing::AnyOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kDockersProfile = COVE_SOURCE_DIR "/tests/fixtures/seccomp/docker.json";
constexpr const char* kPodmansProfile = COVE_SOURCE_DIR "/tests/fixtures/seccomp/podman.json";

SandboxSpec holding(std::vector<std::string> capabilities, const std::string& commands,
                    const char* user = "1000") {
  SandboxSpec spec = probe(commands);
  spec.capabilities = std::move(capabilities);
  spec.user = user;
  return spec;
}

std::string out_of(const SandboxSpec& spec) {
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  return output(result);
}

std::string set_in(const std::string& status, const char* name) {
  return line_after(status, std::string(name) + ":\t");
}

constexpr const char* kNone = "0000000000000000";
constexpr const char* kChownAndRaw = "0000000000002001";

TEST(Capabilities, AreHeldByAUserInEverySet) {
  const std::string status =
      out_of(holding({"CAP_CHOWN", "net_raw"}, "exec /bin/probe read-file /proc/self/status"));
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    EXPECT_EQ(set_in(status, set), kChownAndRaw) << set;
  EXPECT_EQ(set_in(status, "NoNewPrivs"), "1");
}
TEST(Capabilities, AreHeldByRootAsInDocker) {
  const std::string status =
      out_of(holding({"chown", "NET_RAW"}, "exec /bin/probe read-file /proc/self/status", "root"));
  for (const char* set : {"CapPrm", "CapEff", "CapBnd"})
    EXPECT_EQ(set_in(status, set), kChownAndRaw) << set;
  for (const char* set : {"CapInh", "CapAmb"}) EXPECT_EQ(set_in(status, set), kNone) << set;
}
TEST(Capabilities, AreNamedInTheResult) {
  const SandboxResult result = run(holding({"NET_RAW", "chown"}, "exit 0"));
  EXPECT_EQ(result.enforced.at(Protection::capabilities), "only:chown,net_raw") << shown(result);
}
TEST(Capabilities, OfAllAreAllThatAreGrantable) {
  const std::string status = out_of(holding({"ALL"}, "read-file /proc/self/status"));
  EXPECT_EQ(set_in(status, "CapEff"), "000001ffff9fffff") << "without 21 and 22";
  EXPECT_EQ(set_in(status, "CapBnd"), "000001ffff9fffff");
}
TEST(Capabilities, AreOfUse) {
  const std::string use = "put /tmp/f x ; chown /tmp/f 0 ; socket 2 3 1";
  const bool one_id = !host_facts().privileged && !host_facts().subordinate_ids;
  EXPECT_EQ(out_of(holding({}, use)), std::string("put: ok\nchown: ") +
                                          (one_id ? "EINVAL" : "EPERM") + "\nsocket 2: EPERM\n");
  if (!one_id) {
    EXPECT_EQ(out_of(holding({"chown", "net_raw"}, use)), "put: ok\nchown: ok\nsocket 2: ok\n");
  } else {
    EXPECT_EQ(out_of(holding({"net_raw"}, "socket 2 3 1")), "socket 2: ok\n");
  }
}
TEST(Capabilities, WorkThroughTheCommandLine) {
  const CommandOutcome outcome = run_command(cove_run(
      {"--cap-add", "CAP_CHOWN", "--cap-add=net_raw", "--security-opt", "no-new-privileges:true"},
      "read-file /proc/self/status"));
  EXPECT_EQ(set_in(outcome.out, "CapEff"), kChownAndRaw) << outcome.err;
}
TEST(Capabilities, ThatUndoTheSandboxAreRefused) {
  for (const char* name : {"SYS_ADMIN", "CAP_SYS_BOOT"}) {
    const SandboxResult result = run(holding({name}, "exit 0"));
    ASSERT_TRUE(result.error) << shown(result);
    EXPECT_EQ(result.error->code, ErrorCode::invalid_argument);
    EXPECT_EQ(result.error->step, "spec");
    EXPECT_EQ(result.error->where, "$.capabilities[0]");
  }
}

// ---- Every capability that is granted, with the widest filter, is no way out. ----

struct Widest {
  const char* user;
  const char* filter;  // "": none
};

void PrintTo(const Widest& widest, std::ostream* out) {
  *out << widest.user << " under " << (*widest.filter != '\0' ? widest.filter : "no filter");
}

class AllCapabilities : public ::testing::TestWithParam<Widest> {
 protected:
  void SetUp() override {
    const std::string filter = GetParam().filter;
    if (!filter.empty() && !exists(filter)) GTEST_SKIP() << "needs file " << filter;
  }
  std::vector<std::string> lines(const std::string& commands) {
    SandboxSpec spec = holding({"ALL"}, commands, GetParam().user);
    if (*GetParam().filter != '\0') {
      spec.seccomp = GetParam().filter;
    } else {
      spec.require[Protection::seccomp] = Requirement::off;
    }
    return lines_of(out_of(spec));
  }
};

TEST_P(AllCapabilities, DoNotLookIntoPid1) {
  for (const std::string& line :
       lines("pry 1 ; put /proc/1/oom_score_adj 1000 ; put /proc/1/comm renamed")) {
    // Where Cove's caller is the root of a user namespace, the kernel has that root list the
    // numbers of init's descriptors; none can be opened.
    if (line == "fd: ok" && !host_facts().privileged && geteuid() == 0) continue;
    EXPECT_THAT(line, Not(EndsWith(": ok")));
  }
}
TEST_P(AllCapabilities, DoNotKillPid1) {
  EXPECT_THAT(lines("kill 1 9 ; kill 1 19 ; kill 1 15 ; print still-here"),
              ::testing::Contains("still-here"));
}
TEST_P(AllCapabilities, DoNotTakeOffMasksOrMakeThemselvesWritable) {
  const std::string mount = "syscall mount " + std::to_string(SYS_mount);
  const std::string umount = "syscall umount2 " + std::to_string(SYS_umount2);
  for (const std::string& line : lines(
           umount + " s:/proc/keys 2 ; " + umount + " s:/proc/sys 2 ; " + umount + " s:/proc 2 ; " +
           mount + " s:none s:/proc/sys 0 0x1020 0 ; " + mount + " s:none s:/tmp s:tmpfs 0 0 ; " +
           mount + " s:proc s:/tmp s:proc 0 0 ; syscall fsopen " + std::to_string(SYS_fsopen) +
           " s:tmpfs 0 ; syscall open_tree " + std::to_string(SYS_open_tree) + " -100 s:/ 1 ; " +
           "put /proc/sys/user/max_user_namespaces 5 ; put /proc/sysrq-trigger h ; put "
           "/proc/sys/kernel/hostname x")) {
    // ENOENT: a kernel that has no such file.
    EXPECT_THAT(line, AnyOf(EndsWith(": EPERM"), EndsWith(": EROFS"), EndsWith(": EACCES"),
                            EndsWith("put: ENOENT")))
        << line;
  }
}
TEST_P(AllCapabilities, DoNotGiveNamespaces) {
  for (const char* flag :
       {"0x10000000", "0x00020000", "0x20000000", "0x40000000", "0x08000000", "0x04000000"}) {
    for (const std::string& line : lines(std::string("unshare ") + flag + " ; clone " + flag)) {
      EXPECT_THAT(line, AnyOf(EndsWith(": EPERM"), EndsWith(": ENOSPC"))) << flag << " " << line;
    }
  }
}
TEST_P(AllCapabilities, DoNotReachTheMachine) {
  const std::pair<const char*, long> calls[] = {{"settimeofday", SYS_settimeofday},
                                                {"init_module", SYS_init_module},
                                                {"swapon", SYS_swapon},
                                                {"acct", SYS_acct},
                                                {"syslog", SYS_syslog},
                                                {"sethostname", SYS_sethostname},
                                                {"reboot", SYS_reboot},
                                                {"kexec_load", SYS_kexec_load},
                                                {"vhangup", SYS_vhangup}};
  const std::string arguments[] = {"z:16 0",
                                   "z:8 8 s:",
                                   "s:/tmp/x 0",
                                   "0",
                                   "3 z:64 64",
                                   "s:x 1",
                                   "0xfee1dead 672274793 0x89abcdef",
                                   "0 0 0 0",
                                   ""};
  std::string commands;
  for (std::size_t i = 0; i < std::size(calls); ++i) {
    commands += (commands.empty() ? "syscall " : " ; syscall ") + std::string(calls[i].first) +
                " " + std::to_string(calls[i].second) + " " + arguments[i];
  }
  for (const std::string& line : lines(commands))
    EXPECT_THAT(line, AnyOf(EndsWith(": EPERM"), EndsWith(": ENOSYS"))) << line;
  for (const std::string& line : lines("mknod /tmp/null 0020666 1 3 ; open /dev/mem r"))
    EXPECT_THAT(line, Not(EndsWith(": ok"))) << line;
}

INSTANTIATE_TEST_SUITE_P(Everywhere, AllCapabilities,
                         ::testing::Values(Widest{"root", ""}, Widest{"1000", ""},
                                           Widest{"root", kPodmansProfile},
                                           Widest{"1000", kDockersProfile}));

TEST(Capabilities, GiveNothingOnFilesOfOthers) {
  COVE_NEEDS_IDMAPPED_BINDS();
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const TempDirectory directory;
  ASSERT_EQ(chown(directory.path().c_str(), 4321, 4321), 0);
  put_file(directory / "others", "secret", 0600);
  ASSERT_EQ(chown((directory / "others").c_str(), 4322, 4322), 0);
  put_file(directory / "owners", "own", 0000);
  ASSERT_EQ(chown((directory / "owners").c_str(), 4321, 4321), 0);
  for (const char* user : {"1000", "root"}) {
    SandboxSpec spec = holding({"dac_override", "dac_read_search", "chown", "fowner", "setuid"},
                               "read-file /d/owners ; read-file /d/others ; chmod /d/others 0666 ; "
                               "chown /d/others 0 ; chown /d/owners 0 ; chown /d/owners 5",
                               user);
    spec.mounts = {bind_of(directory.path(), "/d")};
    const std::string text = out_of(spec);
    EXPECT_THAT(text, HasSubstr("own")) << "what the owner could read anyway";
    EXPECT_THAT(text, Not(HasSubstr("secret"))) << user;
    EXPECT_THAT(text, AnyOf(HasSubstr("chmod: EOVERFLOW"), HasSubstr("chmod: EPERM"))) << user;
  }
  struct stat status {};
  ASSERT_EQ(stat((directory / "others").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 4322u);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  ASSERT_EQ(stat((directory / "owners").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 4321u);
}

// security.capability is translated by the idmapped mount: in a directory of the host's root such a
// file would hold its capability on the host.
TEST(Capabilities, LeaveNoPrivilegedFileOnTheHost) {
  const TempDirectory directory;
  for (const char* name : {"SETFCAP", "ALL"}) {
    SandboxSpec spec = holding({name}, "exit 0");
    spec.mounts = {bind_of(directory.path(), "/d")};
    const SandboxResult result = run(spec);
    ASSERT_TRUE(result.error) << name << shown(result);
    EXPECT_EQ(result.error->code, ErrorCode::invalid_argument);
    EXPECT_EQ(result.error->step, "capabilities");
    EXPECT_EQ(result.error->where, "$.capabilities");
  }
}

// ---- What a filter makes of them. ----

TEST(Capabilities, OpenWhatDockersProfileTiesToThem) {
  if (!exists(kDockersProfile)) GTEST_SKIP() << "needs file " << kDockersProfile;
  const std::string chroot = "syscall chroot " + std::to_string(SYS_chroot) + " s:/bin";
  SandboxSpec spec = holding({}, chroot);
  EXPECT_EQ(out_of(spec), "chroot: EPERM\n");
  spec.seccomp = kDockersProfile;
  EXPECT_EQ(out_of(spec), "chroot: EPERM\n");
  spec.capabilities = {"SYS_CHROOT"};
  EXPECT_EQ(out_of(spec), "chroot: ok\n");
  spec.seccomp.reset();
  EXPECT_EQ(out_of(spec), "chroot: EPERM\n") << "the default filter asks nobody";
}

}  // namespace
}  // namespace cove::testing
