// A range of user ids is a sandbox's own. kill -9 releases every lock while processes of the sandbox
// may still run: who took the range then would meet them under its own ids.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "runtime/state/state_directory.h"
#include "tests/support/attack.h"

namespace cove::testing {
namespace {

constexpr std::uint32_t kTheOne = 1234;
constexpr const char* kAnother = "00000000000000000000000000";  // the id of some sandbox
constexpr std::size_t kSlotBytes = 32;                          // of the file `slots`

// A state directory in which every range but one is still another sandbox's: it is on record, and
// somebody holds that record's lock.
class State {
 public:
  State() {
    for (const char* name : {"", "/sandboxes", "/seccomp"})
      EXPECT_EQ(mkdir((path() + name).c_str(), 0700), 0);
    std::string slots(kSlotBytes * kSlotCount, '\0');
    for (std::uint32_t i = 0; i < kSlotCount; ++i) {
      if (i != kTheOne) slots.replace(i * kSlotBytes, 26, kAnother);
    }
    put_file(path() + "/slots", slots, 0600);
    put_file(record(), "cove-sandbox 1\n", 0600);
    lock_ = open(record().c_str(), O_RDWR | O_CLOEXEC);
    EXPECT_EQ(flock(lock_, LOCK_EX | LOCK_NB), 0);
  }
  ~State() { close(lock_); }

  std::string path() const { return directory_ / "state"; }
  std::string record() const { return path() + "/sandboxes/" + kAnother; }
  Result<Engine> engine() const {
    EngineOptions options;
    options.state_directory = path();
    return Engine::create(std::move(options));
  }
  // Whether the lock on the one range that is left could be had.
  bool is_unlocked() const {
    const int slots = open((path() + "/slots").c_str(), O_RDWR | O_CLOEXEC);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_start = kTheOne;
    lock.l_len = 1;
    const bool had = fcntl(slots, F_OFD_SETLK, &lock) == 0;
    close(slots);
    return had;
  }

 private:
  const TempDirectory directory_;
  int lock_ = -1;
};

// The first id outside, of the range that a run gets; what was refused, where it gets none.
std::string range_of_a_run(Engine& engine) {
  const std::string outcome = refusal(engine.run(Attack("read-file /proc/self/uid_map").spec));
  std::istringstream fields(outcome);
  std::string ran, inside, outside;
  fields >> ran >> inside >> outside;
  return ran == "ran:" ? outside : outcome;
}

const std::string kRangeOfTheOne = std::to_string(kFirstSlotId + kTheOne * kSlotIds);
constexpr const char* kExhausted = "resource_exhausted, state, 0";

class UidRanges : public ::testing::Test {
 protected:
  void SetUp() override { COVE_NEEDS_ROOT("to have more than one id"); }
};

TEST_F(UidRanges, OneThatIsOnRecordIsNotGivenOutThoughNobodyLocksIt) {
  const State state;
  auto engine = state.engine();
  ASSERT_TRUE(engine);
  EXPECT_EQ(range_of_a_run(*engine), kRangeOfTheOne);
  // What a run leaves is taken away behind it.
  ASSERT_TRUE(eventually([&] { return names_in(state.path() + "/sandboxes").size() == 1; }));
  auto sandbox = engine->launch(Attack("sleep 60").spec);
  ASSERT_TRUE(sandbox) << sandbox.error().message();
  EXPECT_EQ(range_of_a_run(*engine), kExhausted);
  sandbox->cancel();
  sandbox->wait();
  // Without the record any of them is free.
  ASSERT_EQ(unlink(state.record().c_str()), 0);
  const std::string first = range_of_a_run(*engine), second = range_of_a_run(*engine);
  EXPECT_THAT((std::vector{first, second}), ::testing::Each(::testing::MatchesRegex("[0-9]+")));
}

pid_t parent_of(pid_t pid) {
  const std::string status = contents_of("/proc/" + std::to_string(pid) + "/status");
  return std::atoi(line_after(status, "PPid:").c_str());
}

// Processes in it stand still, and do not even end when they are killed.
class Freezer {
 public:
  Freezer() : directory_("/sys/fs/cgroup/freezer/escape-tests-" + std::to_string(getpid())) {
    made_ = exists("/sys/fs/cgroup/freezer/tasks") && mkdir(directory_.c_str(), 0755) == 0;
  }
  ~Freezer() {
    if (!made_) return;
    thaw();
    EXPECT_TRUE(eventually([&] { return rmdir(directory_.c_str()) == 0; }));
  }
  bool made() const { return made_; }
  void freeze(pid_t pid) const {
    std::ofstream(directory_ + "/cgroup.procs") << pid;
    std::ofstream(directory_ + "/freezer.state") << "FROZEN";
    EXPECT_TRUE(
        eventually([&] { return contents_of(directory_ + "/freezer.state") == "FROZEN\n"; }));
  }
  void thaw() const { std::ofstream(directory_ + "/freezer.state") << "THAWED"; }

 private:
  const std::string directory_;
  bool made_ = false;
};

TEST_F(UidRanges, OneInWhichAKilledSandboxsProcessStillLivesIsNotGivenOut) {
  const Freezer freezer;
  if (!freezer.made()) GTEST_SKIP() << "needs cgroup-v1 freezer";
  const State state;
  const std::string marker = unique_marker();
  const pid_t caller = fork();
  if (caller == 0) {
    auto engine = state.engine();
    if (engine) (void)engine->run(Attack("mark " + marker + " ; sleep 60").spec);
    _exit(0);
  }
  std::vector<pid_t> programs;
  ASSERT_TRUE(eventually([&] { return !(programs = processes_with(marker)).empty(); }));
  const pid_t program = programs.front(), init = parent_of(program), launcher = parent_of(init);
  ASSERT_GT(launcher, 1);
  EXPECT_FALSE(state.is_unlocked());
  freezer.freeze(program);
  for (const pid_t pid : {caller, launcher, init}) ASSERT_EQ(kill(pid, SIGKILL), 0);
  waitpid(caller, nullptr, 0);

  EXPECT_TRUE(eventually([&] { return state.is_unlocked(); }))
      << "a lock says nothing of the program";
  EXPECT_EQ(processes_with(marker).size(), 1u) << "which still has these ids";
  {
    auto engine = state.engine();
    ASSERT_TRUE(engine);
    EXPECT_EQ(range_of_a_run(*engine), kExhausted);
  }
  freezer.thaw();
  EXPECT_EQ(processes_left(marker, 5), 0u);
  auto engine = state.engine();
  ASSERT_TRUE(engine);
  EXPECT_EQ(engine->collect().value_or(0), 1);
  EXPECT_EQ(range_of_a_run(*engine), kRangeOfTheOne);
}

TEST_F(UidRanges, TwoSandboxesAtOnceHaveDifferentOnes) {
  const Attack attack("read-file /proc/self/uid_map ; sleep 0.3");
  auto first = shared_engine().launch(attack.spec), second = shared_engine().launch(attack.spec);
  ASSERT_TRUE(first && second);
  EXPECT_NE(output(first->wait()), output(second->wait()));
}
TEST(Escape, NoIdIsAPrivilegedIdOutside) {
  const Attack attack("read-file /proc/self/uid_map ; read-file /proc/self/gid_map");
  EXPECT_THAT(attack.outside(), ::testing::HasSubstr(" 0 "));  // the host's, or its part, with root
  const std::vector<std::string> maps = lines_of(attack.inside());
  // Subordinate ids lie on both sides of the caller's own.
  ASSERT_EQ(maps.size(), geteuid() != 0 && host_facts().subordinate_ids ? 6u : 2u);
  for (const std::string& line : maps) {
    unsigned long inside = 0, outside = 0, count = 0;
    ASSERT_EQ(std::sscanf(line.c_str(), "%lu %lu %lu", &inside, &outside, &count), 3) << line;
    if (geteuid() == 0) {
      EXPECT_GE(outside, kFirstSlotId) << line;
    } else if (!host_facts().subordinate_ids) {
      // As seen from a plain user's ground, in which there is that user, as 0, and nobody else.
      EXPECT_EQ(count, 1u) << line;
    }
  }
}

}  // namespace
}  // namespace cove::testing
