// A plain user's login session: groups in a scope of systemd's user manager, which is asked for one
// when a limit needs it, and what is there where it gives none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "runtime/kernel/fd.h"
#include "tests/support/host.h"
#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr double kPatience = 20;  // of an emulated machine's systemd

std::vector<std::string> scopes() {
  std::vector<std::string> found = groups_named("cove-");
  std::erase_if(found, [](const std::string& path) { return !path.ends_with(".scope"); });
  return found;
}

std::string group_of(const std::string& pid) { return contents_of("/proc/" + pid + "/cgroup"); }

class Scope : public ::testing::Test {
 protected:
  void SetUp() override { COVE_NEEDS_USER_SESSION(); }

  // Since the test began. Those of tests before may still be on their way out.
  std::vector<std::string> new_scopes() const {
    std::vector<std::string> found = scopes();
    std::erase_if(found, [this](const std::string& path) {
      return std::find(before_.begin(), before_.end(), path) != before_.end();
    });
    return found;
  }
  // After systemd had time to remove it.
  void expect_no_new_scope() const {
    const double end = seconds_now() + kPatience;
    while (!new_scopes().empty() && seconds_now() < end) usleep(10000);
    EXPECT_THAT(new_scopes(), IsEmpty());
  }

 private:
  const std::vector<std::string> before_ = scopes();
};

TEST_F(Scope, TakesInTheLauncherAndLeavesTheCallerWhereItIs) {
  const std::string own = group_of("self");
  auto engine = Engine::create();
  ASSERT_TRUE(engine) << engine.error().message();
  EXPECT_THAT(new_scopes(), IsEmpty()) << "not before it is needed";
  auto sandbox = engine->launch(probe("sleep 60"));
  ASSERT_TRUE(sandbox) << sandbox.error().message();

  const std::vector<std::string> made = new_scopes();
  ASSERT_THAT(made, SizeIs(1));
  EXPECT_THAT(made[0], HasSubstr("/user@" + std::to_string(getuid()) + ".service/app.slice/cove-"));
  EXPECT_EQ(contents_of(made[0] + "/cgroup.procs"), "");
  EXPECT_THAT(group_of(lines_of(contents_of(made[0] + "/launcher/cgroup.procs")).at(0)),
              EndsWith(".scope/launcher\n"));
  EXPECT_THAT(groups_named("cove-" + sandbox->id()), Not(IsEmpty()));
  EXPECT_EQ(group_of("self"), own);

  auto second = engine->launch(probe("exit 4"));
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_EQ(second->wait().exit_code, 4);
  EXPECT_EQ(new_scopes(), made) << "one is enough for an engine";
}

TEST_F(Scope, HoldsMemoryProcessesAndCpu) {
  SandboxSpec spec = probe("alloc 314572800");
  spec.resources.memory = mebibytes(64);
  spec.resources.pids_limit = 32;
  spec.resources.cpus = 0.5;
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::out_of_memory) << shown(result);
  for (const Protection held : {Protection::memory, Protection::pids, Protection::cpus}) {
    EXPECT_EQ(result.enforced.at(held), "cgroup-v2") << to_string(held);
  }
  for (const Degradation& lost : result.degraded) {
    EXPECT_NE(lost.protection, Protection::memory);
    EXPECT_NE(lost.protection, Protection::pids);
  }
}

TEST_F(Scope, GoesWithTheCommand) {
  const CommandOutcome outcome = run_command(cove_run({"--memory", "64m"}, "alloc 314572800"));
  EXPECT_EQ(outcome.status, 137) << outcome.err;
  expect_no_new_scope();
  EXPECT_EQ(run_command({"/usr/bin/systemctl", "--user", "--failed", "--plain", "--no-legend"}).out,
            "")
      << "an OOM kill leaves no failed unit";
}

TEST_F(Scope, GoesBehindACommandThatWasKilled) {
  const std::string marker = unique_marker();
  RunningCommand command(
      cove_run({"--memory", "64m"}, "mark " + marker + " ; print there ; sleep 300"));
  ASSERT_TRUE(command.wait_for_output("there"));
  EXPECT_THAT(new_scopes(), SizeIs(1));
  command.kill(SIGKILL);
  command.wait();
  EXPECT_EQ(processes_left(marker, kPatience), 0u);
  expect_no_new_scope();
}

TEST_F(Scope, GoesBehindALauncherThatWasKilledToo) {
  const std::string marker = unique_marker();
  RunningCommand command(
      cove_run({"--memory", "64m"}, "mark " + marker + " ; print there ; sleep 300"));
  ASSERT_TRUE(command.wait_for_output("there"));
  for (const pid_t each : descendants_of(command.pid())) kill(each, SIGKILL);
  command.kill(SIGKILL);
  command.wait();
  EXPECT_EQ(processes_left(marker, kPatience), 0u);
  expect_no_new_scope();
}

TEST_F(Scope, IsNotAskedForWhereNothingNeedsIt) {
  RunningCommand command(
      cove_run({"--require", "memory=off", "--require", "swap=off", "--require", "pids=off"},
               "print there ; sleep 300"));
  ASSERT_TRUE(command.wait_for_output("there"));
  EXPECT_THAT(new_scopes(), IsEmpty());
  command.kill(SIGTERM);
  command.wait();
}

// ---- in a group that was delegated to the caller ----

// `cove run` with 64 MiB of memory for a program that takes more, behind `commands` of a shell that
// runs in a scope with Delegate=yes.
CommandOutcome run_in_delegated_scope(const std::string& commands) {
  std::vector<std::string> argv{"/usr/bin/systemd-run",
                                "--user",
                                "--scope",
                                "--quiet",
                                "--property=Delegate=yes",
                                "/bin/sh",
                                "-c",
                                commands + "\nexec \"$@\"",
                                "sh"};
  const std::vector<std::string> run = cove_run({"--json", "--memory", "64m"}, "alloc 314572800");
  argv.insert(argv.end(), run.begin(), run.end());
  return run_command(argv);
}

TEST_F(Scope, IsAskedForByACommandThatFillsADelegatedOne) {
  const CommandOutcome outcome = run_in_delegated_scope("");
  EXPECT_EQ(outcome.status, 137) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("\"memory\":\"cgroup-v2\""));
  EXPECT_THAT(outcome.out, HasSubstr("\"scope\":")) << "a step of the launch";
}

TEST_F(Scope, IsNotAskedForInALeafOfADelegatedGroup) {
  const CommandOutcome outcome = run_in_delegated_scope(
      "group=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)\n"
      "mkdir $group/main && echo $$ >$group/main/cgroup.procs\n"
      "unset DBUS_SESSION_BUS_ADDRESS");
  EXPECT_EQ(outcome.status, 137) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("\"memory\":\"cgroup-v2\""));
  EXPECT_THAT(outcome.out, Not(HasSubstr("\"scope\":")));
}

// ---- where there is none ----

CommandOutcome run_with(const std::string& bus_address, std::vector<std::string> arguments) {
  CommandOptions options;
  options.environment = {"DBUS_SESSION_BUS_ADDRESS=" + bus_address, "XDG_RUNTIME_DIR="};
  arguments.push_back("--json");
  return run_command(cove_run(arguments, "print there"), options);
}

void expect_refused(const CommandOutcome& outcome, const std::string& reason) {
  EXPECT_EQ(outcome.status, 125);
  EXPECT_THAT(outcome.out,
              HasSubstr("\"code\":\"limit_not_enforceable\",\"step\":\"limit memory\""));
  EXPECT_THAT(outcome.out, HasSubstr("64 MiB cannot be enforced: "));
  EXPECT_THAT(outcome.out, HasSubstr(reason));
}

void expect_degraded(const CommandOutcome& outcome, const std::string& reason) {
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("\"stdout\":\"there\\n\""));
  EXPECT_THAT(outcome.out, HasSubstr("{\"protection\":\"memory\",\"reason\":\""));
  EXPECT_THAT(outcome.out, HasSubstr(reason));
  EXPECT_THAT(outcome.out, Not(HasSubstr("\"memory\":\"cgroup-v2\"")));
}

TEST_F(Scope, WithoutABusANamedLimitIsRefusedAndADefaultIsLost) {
  const char* const reason = "; no bus leads to systemd's user manager";
  expect_refused(run_with("", {"--memory", "64m"}), reason);
  expect_degraded(run_with("", {}), reason);
}

TEST_F(Scope, ThatCannotBeAskedForIsRefusedOrLostInSpiteOfTheFacts) {
  const char* const reason =
      "; systemd's user manager gives no scope: connect to the user's bus: ENOENT";
  expect_refused(run_with("unix:path=/nowhere", {"--memory", "64m"}), reason);
  expect_degraded(run_with("unix:path=/nowhere", {}), reason);
}

TEST_F(Scope, OfAManagerThatDoesNotAnswerIsNotWaitedForLong) {
  const TempDirectory directory;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = directory.path() + "/bus";
  ASSERT_LT(path.size(), sizeof address.sun_path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const UniqueFd silent(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(silent.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(silent.number(), 8), 0);
  const CommandOutcome outcome = run_with("unix:path=" + path, {});
  expect_degraded(outcome, "gives no scope: it does not answer");
  EXPECT_GT(outcome.seconds, 4.5);
  EXPECT_LT(outcome.seconds, 5 + 2 * slowness());
}

}  // namespace
}  // namespace cove::testing
