// Process 1 of a sandbox is Cove's own, and tells how the program ended: it cannot be looked into,
// stopped, killed, starved, or kept from telling.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

using ::testing::AnyOf;
using ::testing::Each;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

// Where there is but one id inside, it is init's as well; else only --user root has it.
bool has_inits_id(const std::string& user) {
  return (!host_facts().privileged && !host_facts().subordinate_ids) || user == "root";
}

TEST(Escape, Pid1CannotBeLookedInto) {
  Attack attack("pry 1");
  const std::string naive = attack.in_naive_container();
  for (const char* what :
       {"environ", "maps", "auxv", "syscall", "exe", "cwd", "root", "fd", "ptrace"})
    EXPECT_EQ(line_after(naive, std::string(what) + ": "), "ok") << naive;
  for (const char* user : {"1000", "root"}) {
    attack.spec.user = user;
    for (const std::string& out : {attack.inside(), attack.without({Protection::seccomp})}) {
      EXPECT_EQ(lines_of(out).size(), 12u);
      EXPECT_THAT(lines_of(out), Each(AnyOf(EndsWith(": EACCES"), EndsWith(": EPERM")))) << user;
    }
  }
}
TEST(Escape, Pid1LeadsToNoFileOfTheHost) {
  Attack attack(
      "list /proc/1/root ; list /proc/1/cwd ; list /proc/1/fd ; list /proc/1/map_files ; "
      "open /proc/1/fd/3 rw ; enter-namespace /proc/1/ns/mnt");
  EXPECT_THAT(Attack("list /proc/1/root ; list /proc/1/fd").in_naive_container(),
              AllOf(HasSubstr("bin\n"), HasSubstr("\n0\n1\n")));
  for (const char* user : {"1000", "root"}) {
    attack.spec.user = user;
    // The directories of descriptors and of mappings can be seen, but not read.
    EXPECT_EQ(attack.inside(), "list: EACCES\nlist: EACCES\nopen: EACCES\nopen: EACCES\n") << user;
  }
}
TEST(Escape, Pid1CannotBeWrittenTo) {
  Attack attack(
      "put /proc/1/oom_score_adj 1000 ; open /proc/1/comm w ; open /proc/1/mem rw ; "
      "open /proc/1/clear_refs w ; open /proc/1/coredump_filter w");
  EXPECT_EQ(attack.in_naive_container(), "put: ok\nopen: ok\nopen: ok\nopen: ok\nopen: ok\n");
  for (const char* user : {"1000", "root"}) {
    attack.spec.user = user;
    EXPECT_THAT(lines_of(attack.inside()), Each(AnyOf(EndsWith(": EACCES"), EndsWith(": EPERM"))));
  }
}
TEST(Escape, Pid1IsNotEndedBySignals) {
  // A process of its own it can end by each of these.
  const Attack own("spawn sleep 60 ; kill 3 19 ; kill 3 9 ; wait");
  EXPECT_EQ(own.inside(), "kill: ok\nkill: ok\nchild: signal 9\n");
  Attack attack(
      "kill 1 9 ; kill 1 19 ; kill 1 15 ; kill-by-descriptor 1 ; signal-storm "
      "1 20000 ; syscall tgkill 234 1 1 9 ; sleep 0.05 ; exit 3");
  for (const char* user : {"1000", "root"}) {
    attack.spec.user = user;
    const std::string each = has_inits_id(user) ? "kill: ok\n" : "kill: EPERM\n";
    const SandboxResult result = run(attack.spec);
    EXPECT_THAT(output(result), ::testing::StartsWith(each + each + each)) << shown(result);
    EXPECT_EQ(result.exit_code, 3) << shown(result);
    EXPECT_EQ(result.cause, Cause::exited);
  }
}
// A process's limits can be set by whoever has its id, whatever else protects it: init without
// descriptors or processor time then ended, and the run looked like a fault of Cove's.
TEST(Escape, TheLimitsOfPid1CannotBeSet) {
  const Attack harmless("limit 1 nofile 64");
  EXPECT_EQ(harmless.in_naive_container(), "prlimit: ok\n");
  Attack attack(
      "limit 1 nofile 0 ; limit 1 cpu 0 ; limit 1 as 0 ; syscall prlimit64 302 0x100000001 "
      "7 z:16 0 ; orphans 200 ; exit 3");
  for (const char* user : {"1000", "root"}) {
    attack.spec.user = user;
    const SandboxResult result = run(attack.spec);
    EXPECT_EQ(output(result),
              "prlimit: EPERM\nprlimit: EPERM\nprlimit: EPERM\nprlimit64: EPERM\norphans: 200\n")
        << user;
    EXPECT_EQ(result.exit_code, 3) << shown(result);
    if (!has_inits_id(user)) continue;
    // Without the filter the kernel lets it.
    Attack allowed = harmless;
    allowed.spec.user = user;
    EXPECT_EQ(allowed.without({Protection::seccomp}), "prlimit: ok\n") << user;
  }
  EXPECT_EQ(Attack("limit 0 nofile 64 ; limit 2 nofile 32").inside(), "prlimit: ok\nprlimit: ok\n");
}
TEST(Escape, Pid1CannotBeSlowedDown) {
  Attack attack("slow-down 1");
  EXPECT_EQ(Attack("spawn sleep 1 ; slow-down 3").inside(),
            "sched_setscheduler: ok\nsetpriority: ok\nioprio_set: ok\n");
  EXPECT_EQ(attack.in_naive_container(),
            "sched_setscheduler: ok\nsetpriority: ok\nioprio_set: ok\n");
  for (const char* user : {"1000", "root"}) {
    attack.spec.user = user;
    for (const std::string& out : {attack.inside(), attack.without({Protection::seccomp})})
      EXPECT_EQ(out, "sched_setscheduler: EPERM\nsetpriority: EPERM\nioprio_set: EPERM\n") << user;
  }
}

// Where a process's descriptors lead to, but for what init holds all its life.
std::vector<std::string> more_than_inits_own(const std::string& process) {
  std::vector<std::string> more;
  int sockets = 0;
  for (const std::string& number : names_in(process + "/fd")) {
    std::error_code gone;
    const std::string target =
        std::filesystem::read_symlink(process + "/fd/" + number, gone).string();
    const bool socket = target.rfind("socket:", 0) == 0;
    sockets += socket;
    const bool own = target == "/dev/null" || (socket && sockets == 1) ||
                     target == "anon_inode:[signalfd]" ||
                     target.find("/sandboxes/") != std::string::npos ||
                     target.find("/slots") != std::string::npos;
    if (!own && !gone) more.push_back(target);
  }
  return more;
}

// A lifeline of another sandbox's, kept by this one's init, would keep the end of that from being
// noticed.
TEST(Escape, Pid1HoldsNothingOfAnotherSandboxes) {
  COVE_NEEDS_ROOT("to see the descriptors of init");
  const std::string marker = unique_marker();
  const auto launch = [&](const std::string& name) {
    Attack attack("mark " + marker + name + " ; sleep 60");
    attack.spec.stdin_source = StdinInherit{};
    return shared_engine().launch(attack.spec);
  };
  const auto running = [&](const std::string& name) {
    return processes_with(marker + name).size();
  };
  auto first = launch("first"), second = launch("second");
  ASSERT_TRUE(first && second);
  ASSERT_TRUE(eventually([&] { return running("first") == 1 && running("second") == 1; }));
  const std::string program = "/proc/" + std::to_string(processes_with(marker + "second").front());
  const std::string init = "/proc/" + line_after(contents_of(program + "/status"), "PPid:\t");
  EXPECT_EQ(contents_of(init + "/comm"), "cove-init\n");
  // It lets go of the program's as soon as that has begun.
  EXPECT_TRUE(eventually([&] { return more_than_inits_own(init).empty(); }))
      << ::testing::PrintToString(more_than_inits_own(init));
  EXPECT_GT(names_in(init + "/fd").size(), 4u);
  first->cancel();
  EXPECT_EQ(first->wait().cause, Cause::cancelled);
  EXPECT_EQ(running("first"), 0u);
  EXPECT_EQ(running("second"), 1u);
  second->cancel();
  second->wait();
}

// ---- it reports, whatever goes on ----

TEST(Escape, AForkBombDoesNotKeepPid1FromTelling) {
  Attack attack("spawn-daemon fork-bomb 30 ; sleep 0.3 ; exit 5");
  attack.spec.timeout = std::chrono::seconds(30);
  const SandboxResult result = run(attack.spec);
  EXPECT_EQ(result.exit_code, 5) << shown(result);
  EXPECT_LT(result.duration_ms, 10000 * slowness());
  EXPECT_LE(result.usage.peak_pids.value_or(0), 256u);
  // How many there would be else: more than the 256 that are allowed.
  EXPECT_EQ(Attack("processes 300").without({Protection::pids}), "processes: 300\n");
  EXPECT_THAT(Attack("processes 300").inside(), Not(HasSubstr("processes: 300")));
}
TEST(Escape, AForkBombIsEndedByTheTimeLimit) {
  Attack attack("fork-bomb 60");
  attack.spec.timeout = std::chrono::milliseconds(300);
  const SandboxResult result = run(attack.spec);
  EXPECT_EQ(result.cause, Cause::timeout) << shown(result);
}
TEST(Escape, ThousandsOfOrphansAreReaped) {
  const std::string count = std::to_string(attempts(3000));
  const SandboxResult result = run(Attack("orphans " + count + " ; exit 6").spec);
  EXPECT_EQ(result.exit_code, 6) << shown(result);
  EXPECT_EQ(output(result), "orphans: " + count + "\n");
}
TEST(Escape, AProgramThatIsOutOfEverythingStillHasAnEnd) {
  Attack attack("open-many 100000 ; processes 300 ; exit 7");
  const SandboxResult result = run(attack.spec);
  EXPECT_EQ(result.exit_code, 7) << shown(result);
}

}  // namespace
}  // namespace cove::testing
