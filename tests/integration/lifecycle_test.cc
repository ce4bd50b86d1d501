// How sandboxes end that are not left to end: cancelled, forgotten, killed from outside; and what
// stays: nothing.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <memory>
#include <random>
#include <thread>

#include "tests/support/host.h"
#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A tree of three processes that only a kill ends.
std::string stubborn(const std::string& marker) {
  return "mark " + marker +
         " ; ignore-signal 15 ; ignore-signal 2 ; spawn sleep 300 ; spawn-daemon sleep 300 ; sleep "
         "300";
}

class Lifecycle : public ::testing::Test {
 protected:
  SandboxSpec stubborn_spec() const { return probe(stubborn(marker_)); }
  // Until that many processes are there.
  void await_processes(std::size_t count) const {
    const double end = seconds_now() + 10;
    while (processes_with(marker_).size() < count) {
      ASSERT_LT(seconds_now(), end) << "the program never came to its point";
      std::this_thread::sleep_for(milliseconds(1));
    }
  }
  void await_ready() const { await_processes(3); }
  void expect_nothing_left(const std::string& id, double seconds = 0) const {
    EXPECT_EQ(processes_left(marker_, seconds), 0u);
    EXPECT_THAT(groups_left("cove-" + id), IsEmpty());
  }

  const std::string marker_ = unique_marker();
};

TEST_F(Lifecycle, CancelEndsEveryProcess) {
  auto sandbox = shared_engine().launch(stubborn_spec());
  ASSERT_TRUE(sandbox) << sandbox.error().message();
  await_ready();
  const double began = seconds_now();
  sandbox->cancel();
  const SandboxResult result = sandbox->wait();
  EXPECT_LT(seconds_now() - began, 0.5 * slowness());
  EXPECT_EQ(result.cause, Cause::cancelled) << shown(result);
  EXPECT_EQ(result.process_status, ProcessStatus::error);
  EXPECT_FALSE(result.error);
  expect_nothing_left(sandbox->id());
}
TEST_F(Lifecycle, CancelRightAfterTheLaunch) {
  for (int i = 0; i < 20; ++i) {
    auto sandbox = shared_engine().launch(stubborn_spec());
    ASSERT_TRUE(sandbox) << sandbox.error().message();
    sandbox->cancel();
    const SandboxResult result = sandbox->wait();
    EXPECT_EQ(result.cause, Cause::cancelled) << shown(result);
    expect_nothing_left(sandbox->id());
  }
}
TEST_F(Lifecycle, CancelFromAnotherThreadWakesTheWaiter) {
  auto sandbox = shared_engine().launch(stubborn_spec());
  ASSERT_TRUE(sandbox);
  std::thread other([&] {
    std::this_thread::sleep_for(milliseconds(100));
    sandbox->cancel();
    sandbox->cancel();
  });
  EXPECT_EQ(sandbox->wait().cause, Cause::cancelled);
  other.join();
}
TEST_F(Lifecycle, CancelAfterTheEndChangesNothing) {
  auto sandbox = shared_engine().launch(probe("exit 3"));
  ASSERT_TRUE(sandbox);
  std::this_thread::sleep_for(milliseconds(static_cast<int>(300 * slowness())));
  sandbox->cancel();
  sandbox->signal(SIGKILL);
  const SandboxResult result = sandbox->wait();
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  EXPECT_EQ(result.exit_code, 3);
  sandbox->cancel();
  sandbox->signal(SIGTERM);
}
TEST_F(Lifecycle, ASandboxThatIsNotWaitedForIsCancelled) {
  std::string id;
  {
    auto sandbox = shared_engine().launch(stubborn_spec());
    ASSERT_TRUE(sandbox);
    id = sandbox->id();
    await_ready();
  }
  expect_nothing_left(id, 0.5);
}
TEST_F(Lifecycle, AnEngineTakesItsSandboxesAlong) {
  std::vector<std::string> ids;
  {
    auto engine = Engine::create();
    ASSERT_TRUE(engine);
    std::vector<Sandbox> sandboxes;
    for (int i = 0; i < 3; ++i) {
      auto sandbox = engine->launch(stubborn_spec());
      ASSERT_TRUE(sandbox);
      ids.push_back(sandbox->id());
      sandboxes.push_back(std::move(*sandbox));
    }
    await_ready();
    // The engine goes first, and then the handles, which must not touch what is gone.
    Engine gone = std::move(*engine);
    { const Engine now = std::move(gone); }
    for (const std::string& id : ids) expect_nothing_left(id, 0.5);
  }
}
TEST_F(Lifecycle, AResultCanBeHadAfterTheEngineHasGone) {
  auto engine = std::make_unique<Engine>(Engine::create().value());
  auto sandbox = engine->launch(stubborn_spec());
  ASSERT_TRUE(sandbox);
  await_ready();
  engine.reset();
  const SandboxResult result = sandbox->wait();
  EXPECT_EQ(result.cause, Cause::cancelled) << shown(result);
}
TEST_F(Lifecycle, TwoEnginesDoNotDisturbEachOther) {
  auto first = Engine::create();
  ASSERT_TRUE(first);
  auto sandbox = first->launch(probe("sleep 0.5 ; exit 3"));
  ASSERT_TRUE(sandbox);
  {
    auto second = Engine::create();
    ASSERT_TRUE(second);
    EXPECT_EQ(second->run(probe("exit 4")).exit_code, 4);
    EXPECT_EQ(second->collect().value(), 0);
  }
  EXPECT_EQ(sandbox->wait().exit_code, 3);
}
TEST_F(Lifecycle, EnginesAreMadeAndGoneAHundredTimes) {
  const std::size_t fds = open_descriptors();
  const std::size_t children = descendants_of(getpid()).size();
  for (int i = 0; i < 100; ++i) {
    auto engine = Engine::create();
    ASSERT_TRUE(engine) << engine.error().message();
    if (i % 10 == 0) {
      EXPECT_EQ(engine->run(probe("exit 4")).exit_code, 4);
    }
  }
  EXPECT_EQ(open_descriptors(), fds);
  EXPECT_EQ(descendants_of(getpid()).size(), children);
}
TEST_F(Lifecycle, ASignalGoesToTheProgramAlone) {
  auto sandbox = shared_engine().launch(
      probe("spawn on-signal 15 child 1 ; on-signal 15 got-it 7 ; print up ; sleep 300"));
  ASSERT_TRUE(sandbox);
  std::this_thread::sleep_for(milliseconds(static_cast<int>(200 * slowness())));
  sandbox->signal(SIGTERM);
  const SandboxResult result = sandbox->wait();
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_EQ(output(result), "up\ngot-it\n");
}
TEST_F(Lifecycle, ASignalThatEndsTheProgramIsTold) {
  auto sandbox = shared_engine().launch(probe("sleep 300"));
  ASSERT_TRUE(sandbox);
  std::this_thread::sleep_for(milliseconds(static_cast<int>(200 * slowness())));
  sandbox->signal(SIGINT);
  const SandboxResult result = sandbox->wait();
  EXPECT_EQ(result.cause, Cause::signaled) << shown(result);
  EXPECT_EQ(result.signal, "SIGINT");
}
TEST_F(Lifecycle, KillingInitFromOutsideIsASandboxThatWasLost) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  auto sandbox = shared_engine().launch(stubborn_spec());
  ASSERT_TRUE(sandbox);
  await_ready();
  // Init is the parent of the program: the one with the marker whose parent has it not.
  const std::vector<pid_t> tree = processes_with(marker_);
  ASSERT_FALSE(tree.empty());
  pid_t init = 0;
  for (const pid_t pid : tree) {
    const std::string status = contents_of("/proc/" + std::to_string(pid) + "/status");
    const pid_t parent = std::atoi(line_after(status, "PPid:\t").c_str());
    if (std::find(tree.begin(), tree.end(), parent) == tree.end()) init = parent;
  }
  ASSERT_THAT(contents_of("/proc/" + std::to_string(init) + "/comm"), HasSubstr("cove-init"));
  kill(init, SIGKILL);
  const SandboxResult result = sandbox->wait();
  EXPECT_EQ(result.cause, Cause::sandbox_error) << shown(result);
  ASSERT_TRUE(result.error);
  EXPECT_EQ(result.error->code, ErrorCode::sandbox_lost);
  expect_nothing_left(sandbox->id());
}

// ---- the command ----

TEST_F(Lifecycle, TheCommandPassesSignalsOn) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
    RunningCommand run(
        cove_run({}, "on-signal " + std::to_string(number) + " got-it 7 ; print up ; sleep 300"));
    ASSERT_TRUE(run.wait_for_output("up\n"));
    run.kill(number);
    const CommandOutcome outcome = run.wait();
    EXPECT_EQ(outcome.status, 7) << number << outcome.err;
    EXPECT_EQ(outcome.out, "up\ngot-it\n");
  }
}
TEST_F(Lifecycle, TheCommandEndsAsTheProgramDoesBySignals) {
  for (const int number : {SIGINT, SIGTERM}) {
    RunningCommand run(cove_run({}, "print up ; sleep 300"));
    ASSERT_TRUE(run.wait_for_output("up\n"));
    run.kill(number);
    const CommandOutcome outcome = run.wait();
    EXPECT_EQ(outcome.status, 128 + number);
    EXPECT_EQ(remarks_of(outcome), "");
  }
}
TEST_F(Lifecycle, ASignalToTheCommandAtAnyMomentOfItsStartEndsIt) {
  for (int i = 0; i < 30; ++i) {
    RunningCommand run(cove_run({}, "mark " + marker_ + " ; sleep 300"));
    std::this_thread::sleep_for(std::chrono::microseconds(i * 500));
    run.kill(SIGTERM);
    const CommandOutcome outcome = run.wait();
    EXPECT_EQ(outcome.status, 128 + SIGTERM) << "after " << i * 500 << " us: " << outcome.err;
    EXPECT_LT(outcome.seconds, 5);
  }
  EXPECT_EQ(processes_left(marker_, 1), 0u);
}

TEST_F(Lifecycle, ASignalToAllProcessesOfTheCommandIsStillTheProgramsToAnswer) {
  // As whoever stops a service does it: the launcher lives as long as it is needed.
  RunningCommand run(cove_run({}, "on-signal 15 got-it 7 ; print up ; sleep 300"));
  ASSERT_TRUE(run.wait_for_output("up\n"));
  std::size_t launchers = 0;
  for (const pid_t pid : descendants_of(run.pid())) {
    if (contents_of("/proc/" + std::to_string(pid) + "/comm") != "cove-launcher\n") continue;
    ++launchers;
    kill(pid, SIGTERM);
  }
  EXPECT_EQ(launchers, 1u);
  run.kill(SIGTERM);
  const CommandOutcome outcome = run.wait();
  EXPECT_EQ(outcome.status, 7) << outcome.err;
  EXPECT_EQ(outcome.out, "up\ngot-it\n");
}
TEST_F(Lifecycle, TheLauncherOfTheCommandShowsNothingOfIt) {
  RunningCommand run(cove_run({"-e", "TOKEN=" + marker_}, "print up ; sleep 300"));
  ASSERT_TRUE(run.wait_for_output("up\n"));
  for (const pid_t pid : descendants_of(run.pid())) {
    const std::string process = "/proc/" + std::to_string(pid);
    if (contents_of(process + "/comm") != "cove-launcher\n") continue;
    EXPECT_EQ(contents_of(process + "/cmdline").find(marker_), std::string::npos);
    EXPECT_EQ(contents_of(process + "/environ").find("PATH="), std::string::npos);
  }
  run.kill(SIGKILL);
  run.wait();
}

// kill -9 of `cove run` at random moments: after a second no process, and the next run removes the
// rest.
class KilledCommand : public Lifecycle {
 protected:
  std::vector<std::string> command(const std::string& commands) const {
    return cove_run({"--cgroup-parent", groups_.parent()}, commands);
  }
  // Records of the default state directory that name our groups.
  std::vector<std::string> records() const {
    std::vector<std::string> found;
    const std::string directory = geteuid() == 0 ? "/run/cove/sandboxes" : "/nonexistent";
    for (const std::string& name : names_in(directory)) {
      if (contents_of(directory + "/" + name).find(groups_.parent() + "/") != std::string::npos)
        found.push_back(name);
    }
    return found;
  }
  bool anything_left(double seconds) const {
    const double end = seconds_now() + seconds;
    while (!records().empty() || !groups_.left().empty()) {
      if (seconds_now() > end) return true;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return false;
  }
  // By the launcher, which nobody has killed.
  void expect_tidied_up() const {
    EXPECT_EQ(processes_left(marker_, 1), 0u);
    EXPECT_FALSE(anything_left(1));
  }
  void expect_collected_by_the_next_run() const {
    EXPECT_EQ(processes_left(marker_, 1), 0u);
    EXPECT_EQ(run_command(command("exit 0")).status, 0);
    // A record that was killed before it had its name may be someone's who is about to lock it; it
    // is given two seconds.
    if (anything_left(1)) {
      for (const std::string& name : records()) EXPECT_EQ(name[0], '.') << name;
      std::this_thread::sleep_for(milliseconds(2200));
      EXPECT_EQ(run_command(command("exit 0")).status, 0);
      EXPECT_FALSE(anything_left(1));
    }
    EXPECT_THAT(groups_.left(), IsEmpty());
    EXPECT_THAT(records(), IsEmpty());
  }
  const PrivateGroups groups_;
};

// Runs the command in new namespaces, of which it is the last process.
int status_in_namespaces(int flags, const std::vector<std::string>& argv) {
  const pid_t child = fork();
  if (child == 0) {
    std::vector<char*> words;
    for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    if (unshare(flags) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      _exit(201);
    const pid_t first = (flags & CLONE_NEWPID) != 0 ? fork() : 0;
    if (first == 0) {
      if ((flags & CLONE_NEWPID) != 0 && mount("proc", "/proc", "proc", 0, nullptr) != 0)
        _exit(202);
      execv(words[0], words.data());
      _exit(203);
    }
    int status = 0;
    waitpid(first, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 204);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(KilledCommand, AsProcessOneItLeavesNothingAtItsEnd) {
  COVE_NEEDS_CAP_SYS_ADMIN();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(status_in_namespaces(CLONE_NEWPID | CLONE_NEWNS, command("exit 7")), 7);
    EXPECT_FALSE(anything_left(0));
  }
}
TEST_F(KilledCommand, ItsGroupsAreRemovedAlsoWhereItsMountNamespaceEndsWithIt) {
  COVE_NEEDS_CAP_SYS_ADMIN();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(status_in_namespaces(CLONE_NEWNS, command("exit 7")), 7);
    EXPECT_FALSE(anything_left(1));
  }
}
TEST_F(KilledCommand, AGroupThatCannotBeMadeLeavesNothing) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  // init's group can be made, and the program's not: init lives already.
  const std::string most = mechanism_of("memory") == "cgroup-v2" ? "2" : "1";
  std::string limited;
  for (const std::string& group : groups_named(groups_.parent().substr(1))) {
    const std::string file = group + "/cgroup.max.descendants";
    if (access(file.c_str(), W_OK) == 0) limited = file;
  }
  if (limited.empty()) GTEST_SKIP() << "needs cgroup-v2 memory or a hybrid host";
  put_file(limited, most);
  auto engine = engine_below(groups_.parent());
  ASSERT_TRUE(engine);
  const SandboxResult result = engine->run(probe("exit 3"));
  ASSERT_TRUE(result.error) << shown(result);
  EXPECT_THAT(result.error->where, HasSubstr("/payload"));
  EXPECT_FALSE(anything_left(1));
  put_file(limited, "max");
  EXPECT_EQ(engine->run(probe("exit 3")).exit_code, 3);
}
TEST_F(KilledCommand, AParentThatIsMadeLaterIsSeen) {
  COVE_NEEDS_LIMIT("memory");
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  auto engine = engine_below(groups_.parent() + "/late");
  ASSERT_TRUE(engine);
  SandboxSpec spec = probe("exit 3");
  spec.resources.memory = mebibytes(64);
  EXPECT_TRUE(engine->run(spec).error);
  for (const std::string& group : groups_named(groups_.parent().substr(1))) {
    if (mechanism_of("memory") == "cgroup-v2")
      put_file(group + "/cgroup.subtree_control", "+memory +cpu +pids");
    ASSERT_EQ(mkdir((group + "/late").c_str(), 0755), 0) << group;
  }
  const SandboxResult result = engine->run(spec);
  EXPECT_EQ(result.exit_code, 3) << shown(result);
  EXPECT_EQ(result.enforced.count(Protection::memory), 1u);
}

TEST_F(KilledCommand, WhileTheProgramRuns) {
  for (int i = 0; i < 3; ++i) {
    RunningCommand run(command(stubborn(marker_)));
    await_ready();
    run.kill(SIGKILL);
    EXPECT_EQ(run.wait().status, 137);
    expect_tidied_up();
  }
}
TEST_F(KilledCommand, TogetherWithItsLauncher) {
  RunningCommand run(command(stubborn(marker_)));
  await_ready();
  pid_t launcher = 0;
  for (const pid_t pid : descendants_of(run.pid())) {
    if (contents_of("/proc/" + std::to_string(pid) + "/comm") == "cove-launcher\n") launcher = pid;
  }
  ASSERT_GT(launcher, 0);
  kill(launcher, SIGKILL);
  run.kill(SIGKILL);
  run.wait();
  expect_collected_by_the_next_run();
}
TEST_F(KilledCommand, AtAnyMomentOfItsStart) {
  std::mt19937 random(4711);
  const int span = static_cast<int>(20000 * slowness());
  for (int i = 0; i < 30; ++i) {
    RunningCommand run(
        command("mark " + marker_ + " ; ignore-signal 15 ; spawn sleep 300 ; sleep 300"));
    std::this_thread::sleep_for(
        std::chrono::microseconds(static_cast<int>(random() % static_cast<unsigned>(span))));
    run.kill(SIGKILL);
    run.wait();
  }
  expect_collected_by_the_next_run();
}
TEST_F(KilledCommand, WhileItEnds) {
  std::mt19937 random(1147);
  for (int i = 0; i < 20; ++i) {
    RunningCommand run(command("mark " + marker_ + " ; print up ; spawn sleep 300 ; exit 0"));
    run.wait_for_output("up\n");
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 4000));
    run.kill(SIGKILL);
    run.wait();
  }
  expect_tidied_up();
}
TEST_F(KilledCommand, AStoppedTreeGoesToo) {
  RunningCommand run(command("mark " + marker_ + " ; spawn kill-self 19 ; kill-self 19"));
  await_processes(2);
  run.kill(SIGKILL);
  run.wait();
  expect_tidied_up();
}
TEST_F(KilledCommand, ALibraryProcessThatIsKilledLeavesNothingEither) {
  // This program once more, in a child of its own, with a sandbox in its hands.
  const pid_t child = fork();
  if (child == 0) {
    auto engine = engine_below(groups_.parent());
    if (!engine || !engine->launch(stubborn_spec())->wait().error) pause();
    _exit(1);
  }
  await_ready();
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  expect_tidied_up();
}

}  // namespace
}  // namespace cove::testing
