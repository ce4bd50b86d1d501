// The caller's process stays as it is, whatever it is: many threads, much memory, a loop on
// wait(-1); and 500 runs leave nothing anywhere.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <regex>
#include <thread>

#include "runtime/host/kernel_version.h"
#include "tests/support/host.h"
#include "tests/support/sandbox.h"

extern char** environ;

namespace cove::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::MatchesRegex;

// What a library has no business to change, as text, so that a difference shows itself.
std::string self_portrait() {
  std::string text;
  std::array<char, 4096> buffer{};
  text += std::string("cwd ") + getcwd(buffer.data(), buffer.size()) + "\n";
  const mode_t mask = umask(0);
  umask(mask);
  text += "umask " + std::to_string(mask) + "\n";
  for (char** variable = environ; *variable != nullptr; ++variable)
    text += std::string("env ") + *variable + "\n";
  for (int resource = 0; resource < RLIM_NLIMITS; ++resource) {
    rlimit limit{};
    getrlimit(static_cast<__rlimit_resource_t>(resource), &limit);
    text += "rlimit " + std::to_string(resource) + " " + std::to_string(limit.rlim_cur) + " " +
            std::to_string(limit.rlim_max) + "\n";
  }
  sigset_t blocked;
  pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action {};
    if (sigaction(number, nullptr, &action) != 0) continue;
    text += "signal " + std::to_string(number) + " " +
            std::to_string(reinterpret_cast<std::uintptr_t>(action.sa_handler)) + " " +
            std::to_string(action.sa_flags) +
            (sigismember(&blocked, number) == 1 ? " blocked" : "") + "\n";
  }
  text += namespaces();
  int subreaper = -1;
  prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
  text += "subreaper " + std::to_string(subreaper) + "\n";
  text += "dumpable " + std::to_string(prctl(PR_GET_DUMPABLE)) + " no_new_privs " +
          std::to_string(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)) + " session " +
          std::to_string(getsid(0)) + " group " + std::to_string(getpgrp()) + "\n";
  prctl(PR_GET_NAME, buffer.data());
  text += std::string("name ") + buffer.data() + "\n";
  for (const char* field : {"Uid:", "Gid:", "Groups:", "CapInh:", "CapPrm:", "CapEff:", "CapBnd:",
                            "CapAmb:", "Seccomp:", "SigIgn:"})
    text += field + line_after(contents_of("/proc/thread-self/status"), field) + "\n";
  text += "oom " + contents_of("/proc/self/oom_score_adj");
  text += contents_of("/proc/self/cgroup");
  return text;
}

TEST(Caller, IsUnchangedByRuns) {
  std::thread([] {}).join();  // with its first one the C library takes a signal for itself
  const std::string before = self_portrait();
  {
    auto engine = Engine::create();
    ASSERT_TRUE(engine) << engine.error().message();
    EXPECT_EQ(self_portrait(), before);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(engine->run(probe("print x ; exit 3")).exit_code, 3);
    SandboxSpec spec = probe("sleep 60");
    spec.timeout = std::chrono::milliseconds(50);
    EXPECT_EQ(engine->run(spec).cause, Cause::timeout);
    spec.rootfs = "/no/such/root";
    EXPECT_EQ(engine->run(spec).cause, Cause::sandbox_error);
    EXPECT_EQ(self_portrait(), before);
  }
  EXPECT_EQ(self_portrait(), before);
}

// The two that glibc keeps for itself (32 and 33) included, as some callers leave them.
void ignore_every_signal() {
  struct {
    void (*handler)(int) = SIG_IGN;
    unsigned long flags = 0;
    void (*restorer)() = nullptr;
    std::uint64_t mask = 0;
  } const action;
  for (int number = 1; number <= 64; ++number)
    syscall(SYS_rt_sigaction, number, &action, nullptr, sizeof action.mask);
}

TEST(Caller, ItsOddHabitsNeitherHarmTheRunNorChange) {
  // In a process of its own: a working directory that is gone, umask 777, all signals
  // ignored and blocked, few descriptors.
  const pid_t child = fork();
  if (child == 0) {
    char directory[] = "/tmp/cove-test-gone-XXXXXX";
    if (mkdtemp(directory) == nullptr || chdir(directory) != 0 || rmdir(directory) != 0) _exit(10);
    umask(0777);
    ignore_every_signal();
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    const rlimit few{64, 64};
    setrlimit(RLIMIT_NOFILE, &few);
    auto engine = Engine::create();
    if (!engine) _exit(11);
    const SandboxResult result =
        engine->run(probe("umask ; read-file /proc/self/status ; put /workspace/x x ; exit 3"));
    if (result.exit_code != 3) {
      std::fprintf(stderr, "%s\n", shown(result).c_str());
      _exit(12);
    }
    if (output(result).find("umask: 022\n") == std::string::npos ||
        output(result).find("SigIgn:\t0000000000000000") == std::string::npos ||
        output(result).find("SigBlk:\t0000000000000000") == std::string::npos) {
      std::fprintf(stderr, "%s\n", shown(result).c_str());
      _exit(13);
    }
    if (umask(0) != 0777) _exit(14);
    struct sigaction action {};
    sigaction(SIGCHLD, nullptr, &action);
    if (action.sa_handler != SIG_IGN) _exit(15);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

std::atomic<int> g_child_signals{0};
void count_child_signal(int) { ++g_child_signals; }

TEST(Caller, ThatLoopsOnWaitSeesNoChildOfOurs) {
  struct sigaction action {
  }, before{};
  action.sa_handler = count_child_signal;
  sigaction(SIGCHLD, &action, &before);
  g_child_signals = 0;
  std::atomic<bool> stop{false};
  std::atomic<int> reaped{0};
  std::thread looper([&] {
    while (!stop) {
      const pid_t pid = waitpid(-1, nullptr, WNOHANG);
      if (pid > 0) ++reaped;
      std::this_thread::yield();
    }
  });
  {
    auto engine = Engine::create();
    ASSERT_TRUE(engine);
    for (int i = 0; i < 20; ++i) {
      const SandboxResult result = engine->run(probe("spawn exit 1 ; wait ; exit 3"));
      EXPECT_EQ(result.exit_code, 3) << shown(result);
    }
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  stop = true;
  looper.join();
  sigaction(SIGCHLD, &before, nullptr);
  EXPECT_EQ(reaped, 0);
  EXPECT_EQ(g_child_signals, 0);
}
TEST(Caller, ThatWaitsWithEveryFlagSeesNoChildOfOurs) {
  // The launcher is nobody's child; not even __WALL, which sees clones without a signal, may take
  // an init away.
  auto engine = Engine::create();  // has a child for a moment
  ASSERT_TRUE(engine);
  std::atomic<bool> stop{false};
  std::atomic<int> reaped{0};
  std::thread looper([&] {
    while (!stop) {
      if (waitpid(-1, nullptr, WNOHANG | __WALL) > 0) ++reaped;
      std::this_thread::yield();
    }
  });
  for (int i = 0; i < 20; ++i) EXPECT_EQ(engine->run(probe("exit 3")).exit_code, 3);
  stop = true;
  looper.join();
  EXPECT_EQ(reaped, 0);
}
// What programs see of processors, from a library and from the command, some times.
bool see_processors(int count) {
  const std::string expected = "cpus: " + std::to_string(count) + "\n";
  auto engine = Engine::create();
  if (!engine) return false;
  for (int i = 0; i < 20; ++i) {
    if (output(engine->run(probe("cpus"))) != expected) return false;
    if (i % 4 == 0 && run_command(cove_run({}, "cpus")).out != expected) return false;
  }
  return true;
}

TEST(Caller, ItsProcessorsAreTheSandboxsToo) {
  // The launcher is moved about while it works; a sandbox must not inherit that.
  cpu_set_t all;
  ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
  EXPECT_TRUE(see_processors(CPU_COUNT(&all)));
}
TEST(Caller, ItsRestrictionToAProcessorHoldsInside) {
  // Until then a new cpuset, which comes with the group where the controller is on, forgets it.
  if (mechanism_of("cpu") == "cgroup-v2" &&
      parse_kernel_version(host_facts().kernel_release) < KernelVersion{6, 2})
    GTEST_SKIP() << "needs kernel 6.2";
  const pid_t child = fork();
  if (child == 0) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    _exit(sched_setaffinity(0, sizeof one, &one) == 0 && see_processors(1) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}
TEST(Caller, ItsOwnChildrenAreItsOwn) {
  const pid_t child = fork();
  if (child == 0) _exit(9);
  EXPECT_EQ(run_through_library(probe("exit 3")).exit_code, 3);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 9);
}
TEST(Caller, With32BusyThreadsLaunchesAsEver) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 32; ++i) {
    threads.emplace_back([&] {
      // Allocation, environment and locale: what a careless fork would find locked.
      while (!stop) {
        std::vector<std::string> words;
        for (int j = 0; j < 100; ++j) words.emplace_back(static_cast<std::size_t>(j * 10), 'x');
        words.emplace_back(getenv("PATH") != nullptr ? "set" : "unset");
        std::ofstream("/dev/null") << words.size();
        std::this_thread::yield();
      }
    });
  }
  auto engine = Engine::create();
  ASSERT_TRUE(engine);
  for (int i = 0; i < 30; ++i) {
    const SandboxResult result = engine->run(probe("print x ; exit 3"));
    EXPECT_EQ(result.exit_code, 3) << shown(result);
    EXPECT_EQ(output(result), "x\n");
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}
TEST(Caller, MayLaunch200AtOnceFromManyThreads) {
  const std::size_t fds_before = open_descriptors();
  {
    auto engine = Engine::create();
    ASSERT_TRUE(engine);
    std::atomic<int> good{0};
    std::mutex mutex;
    std::vector<std::string> ids, failures;
    std::vector<std::thread> threads;
    for (int t = 0; t < 20; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 10; ++i) {
          SandboxSpec spec = probe("print " + std::to_string(t * 10 + i) + " ; exit 3");
          const SandboxResult result = engine->run(spec);
          const bool right =
              result.exit_code == 3 && output(result) == std::to_string(t * 10 + i) + "\n";
          if (right) ++good;
          const std::lock_guard lock(mutex);
          ids.push_back(result.sandbox_id);
          if (!right) failures.push_back(shown(result));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(good, 200);
    EXPECT_THAT(failures, IsEmpty());
    const std::vector<std::string> groups = groups_named("cove-");
    for (const std::string& id : ids) {
      for (const std::string& group : groups) {
        if (group.find(id) != std::string::npos) {
          EXPECT_THAT(groups_left("cove-" + id), IsEmpty());
        }
      }
    }
  }
  EXPECT_EQ(open_descriptors(), fds_before);
}
TEST(Caller, MayHold200RunningAtOnce) {
  // One user may have 200 keys (keyrings(7)), and each of a plain user's sandboxes has a keyring.
  const int count = slowness() > 1 ? 50 : host_facts().privileged ? 200 : 150;
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit many{before.rlim_max, before.rlim_max};
  if (before.rlim_max < static_cast<rlim_t>(count) * 20)
    GTEST_SKIP() << "needs " << count * 20 << " open files";
  setrlimit(RLIMIT_NOFILE, &many);
  const std::string marker = unique_marker();
  {
    auto engine = Engine::create();
    ASSERT_TRUE(engine);
    std::vector<Sandbox> sandboxes;
    for (int i = 0; i < count; ++i) {
      auto sandbox = engine->launch(
          probe("mark " + marker + " ; print " + std::to_string(i) + " ; sleep 300"));
      ASSERT_TRUE(sandbox) << i << ": " << sandbox.error().message();
      sandboxes.push_back(std::move(*sandbox));
    }
    const double end = seconds_now() + 20;
    while (processes_with(marker).size() < static_cast<std::size_t>(count) && seconds_now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    EXPECT_EQ(processes_with(marker).size(), static_cast<std::size_t>(count));
    // Each has printed by then, or soon.
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    for (Sandbox& sandbox : sandboxes) sandbox.signal(SIGKILL);
    int right = 0;
    for (std::size_t i = 0; i < sandboxes.size(); ++i) {
      const SandboxResult result = sandboxes[i].wait();
      if (result.signal == "SIGKILL" && output(result) == std::to_string(i) + "\n") ++right;
    }
    EXPECT_EQ(right, count);
  }
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(processes_left(marker, 0), 0u);
}
TEST(Caller, WithoutDescriptorsLeftGetsAClearErrorAndRecovers) {
  auto engine = Engine::create();
  ASSERT_TRUE(engine);
  EXPECT_EQ(engine->run(probe("exit 3")).exit_code, 3);
  const std::size_t before = open_descriptors();
  for (std::size_t spare = 0; spare < 40; ++spare) {
    rlimit usual{};
    getrlimit(RLIMIT_NOFILE, &usual);
    const rlimit tight{before + spare, usual.rlim_max};  // a plain user cannot raise that again
    setrlimit(RLIMIT_NOFILE, &tight);
    const SandboxResult result = engine->run(probe("exit 3"));
    setrlimit(RLIMIT_NOFILE, &usual);
    if (result.cause == Cause::exited) break;
    EXPECT_EQ(result.cause, Cause::sandbox_error) << spare << shown(result);
    ASSERT_TRUE(result.error);
    EXPECT_NE(result.error->code, ErrorCode::internal) << result.error->message();
    EXPECT_EQ(open_descriptors(), before)
        << "with " << spare << " spare: " << result.error->message();
  }
  EXPECT_EQ(engine->run(probe("exit 3")).exit_code, 3);
  EXPECT_EQ(open_descriptors(), before);
}

// ---- 500 runs ----

struct Belongings {
  std::size_t fds, mounts, records;
  bool operator==(const Belongings&) const = default;
};
void PrintTo(const Belongings& all, std::ostream* out) {
  *out << all.fds << " fds, " << all.mounts << " mounts, " << all.records << " records";
}

// Processes that run the launcher of these tests, whoever started them.
std::vector<std::string> processes_of_ours() {
  const char* elsewhere = std::getenv("COVE_LIBEXEC");
  const std::string beside = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const std::string directory = elsewhere != nullptr ? elsewhere : beside;
  std::vector<std::string> found;
  for (const std::string& pid : names_in("/proc")) {
    std::array<char, 4096> target{};
    if (readlink(("/proc/" + pid + "/exe").c_str(), target.data(), target.size() - 1) <= 0)
      continue;
    const std::string path = target.data();
    if (path == directory + "/cove-launcher") found.push_back(pid);
  }
  return found;
}

// One that was started since there were only these. Its exec may be still to come.
std::string launcher_besides(const std::vector<std::string>& before) {
  for (const double end = seconds_now() + 2; seconds_now() < end; usleep(1000)) {
    for (const std::string& pid : processes_of_ours()) {
      if (std::find(before.begin(), before.end(), pid) == before.end()) return pid;
    }
  }
  return {};
}

TEST(Leaks, FiveHundredRunsLeaveNothing) {
  const int runs = slowness() > 1 ? 100 : 500;
  const TempDirectory state;
  ASSERT_EQ(chmod(state.path().c_str(), 0700), 0);
  const auto belongings = [&] {
    return Belongings{open_descriptors(), mount_count(), names_in(state / "sandboxes").size()};
  };
  const std::vector<std::string> launchers_before = processes_of_ours();
  const std::size_t fds_before = open_descriptors();
  std::vector<std::string> ids;
  {
    EngineOptions options;
    options.state_directory = state.path();
    auto engine = Engine::create(options);
    ASSERT_TRUE(engine) << engine.error().message();
    const TempDirectory source;
    const auto one_run = [&](int i) {
      SandboxSpec spec =
          probe(i % 5 == 0 ? "spawn-daemon sleep 60 ; print x ; exit 3" : "print x ; exit 3");
      if (i % 7 == 0) spec.mounts = {bind_of(source.path(), "/data")};
      if (i % 11 == 0) spec.command = std::vector<std::string>{"/no/such/program"};
      if (i % 13 == 0) spec.stdin_source = StdinData{"input"};
      if (i % 17 == 0) {
        spec = probe("sleep 60");
        spec.timeout = std::chrono::milliseconds(1);
      }
      if (i % 19 == 0) spec.user = "mallory";
      const SandboxResult result = engine->run(spec);
      if (!result.sandbox_id.empty()) ids.push_back(result.sandbox_id);
    };
    for (int i = 0; i < 40; ++i) one_run(i);  // what is made once: ground, cache, buffers
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // what goes behind a result
    const Belongings before = belongings();
    for (int i = 0; i < runs; ++i) one_run(i);
    const double settled = seconds_now() + 2;
    while (belongings() != before && seconds_now() < settled)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(belongings(), before);
    EXPECT_EQ(before.records, 0u);
    EXPECT_GT(ids.size(), static_cast<std::size_t>(runs / 2));
    for (const std::string& id : ids) EXPECT_FALSE(exists(state / ("sandboxes/" + id)));
  }
  EXPECT_EQ(open_descriptors(), fds_before);
  // All groups of all hierarchies in one walk, then each id.
  const std::vector<std::string> groups = groups_named("cove-");
  for (const std::string& id : ids) {
    for (const std::string& group : groups) EXPECT_EQ(group.find(id), std::string::npos) << group;
  }
  // The launcher goes when its engine does.
  const double end = seconds_now() + 1;
  while (processes_of_ours().size() > launchers_before.size() && seconds_now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_LE(processes_of_ours().size(), launchers_before.size());
}
TEST(Leaks, TheLaunchersMemoryAndDescriptorsStayFlat) {
  COVE_NEEDS_PRIVILEGE();
  const std::vector<std::string> before = processes_of_ours();
  auto engine = Engine::create();
  ASSERT_TRUE(engine);
  for (int i = 0; i < 20; ++i) (void)engine->run(probe("exit 3"));
  const std::string launcher = launcher_besides(before);
  ASSERT_NE(launcher, "");
  const auto look = [&] {
    const std::string status = contents_of("/proc/" + launcher + "/status");
    return std::pair{names_in("/proc/" + launcher + "/fd").size(),
                     std::strtoull(line_after(status, "VmRSS:").c_str(), nullptr, 10)};
  };
  const auto [fds_before, memory_before] = look();
  for (int i = 0; i < (slowness() > 1 ? 40 : 200); ++i) (void)engine->run(probe("exit 3"));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const auto [fds_after, memory_after] = look();
  EXPECT_LE(fds_after, fds_before + 1);  // the last init may not be reaped yet
  if (!is_sanitized()) EXPECT_LE(memory_after, memory_before + 256);  // else what was freed is kept
}
std::vector<std::string> descriptors_that_do_not_match(const std::string& pid,
                                                       const std::string& expected) {
  std::vector<std::string> found;
  for (const std::string& fd : names_in("/proc/" + pid + "/fd")) {
    std::array<char, 256> target{};
    const std::string link = "/proc/" + pid + "/fd/" + fd;
    if (readlink(link.c_str(), target.data(), target.size() - 1) < 0) continue;  // closed again
    if (!std::regex_match(target.data(), std::regex(expected))) found.emplace_back(target.data());
  }
  return found;
}
TEST(Leaks, TheLauncherHoldsNothingOfTheCaller) {
  COVE_NEEDS_PRIVILEGE();
  setenv("TOKEN_OF_THE_CALLER", "hush-hush", 1);
  const std::vector<std::string> before = processes_of_ours();
  auto engine = Engine::create();
  unsetenv("TOKEN_OF_THE_CALLER");
  ASSERT_TRUE(engine);
  const std::string launcher = launcher_besides(before);
  ASSERT_NE(launcher, "");
  // The kernel sets its command line a moment later.
  const double end = seconds_now() + 2;
  while (contents_of("/proc/" + launcher + "/cmdline").empty() && seconds_now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(contents_of("/proc/" + launcher + "/environ"), "");
  EXPECT_EQ(contents_of("/proc/" + launcher + "/cmdline"), std::string("cove-launcher\0", 14));
  // It takes a moment to stand on its ground.
  std::vector<std::string> unexpected;
  do {
    unexpected = descriptors_that_do_not_match(
        launcher,
        // Streams, socket, the namespaces it began in, a procfs to find others by; a plain user's
        // has the host's tree too.
        "/dev/null|socket:.*|net:.*|mnt:.*|/proc|/|/host");
  } while (!unexpected.empty() && seconds_now() < end);
  EXPECT_THAT(unexpected, IsEmpty());
}

}  // namespace
}  // namespace cove::testing
