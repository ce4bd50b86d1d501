// One engine in the hands of many threads, and one sandbox as well: whatever is called at once, each sandbox comes to the
// end that was asked of it. What is wrong here and does not show is for the tests' run under ThreadSanitizer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/support/host.h"
#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::IsEmpty;

constexpr int kThreads = 6;
constexpr int kRounds = 5;

// Runs `work(i)` in `count` threads at once, until all are done.
void in_threads(int count, const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&, i] { work(i); });
  for (std::thread& thread : threads) thread.join();
}

// What the threads have to complain about.
class Complaints {
 public:
  void expect(bool right, const SandboxResult& result) {
    if (!right) add(shown(result));
  }
  void add(const std::string& text) {
    const std::lock_guard lock(mutex_);
    texts_.push_back(text);
  }
  std::vector<std::string> texts() const {
    const std::lock_guard lock(mutex_);
    return texts_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> texts_;
};

// Waits for a sandbox, while two more threads call `meddle` with it over and over.
SandboxResult wait_while(Sandbox& sandbox, const std::function<void(Sandbox&)>& meddle) {
  std::atomic<bool> ended{false};
  const auto meddling = [&] {
    while (!ended) {
      meddle(sandbox);
      std::this_thread::sleep_for(milliseconds(1));
    }
  };
  std::thread one(meddling), another(meddling);
  SandboxResult result = sandbox.wait();
  ended = true;
  one.join();
  another.join();
  return result;
}

// Each thread launches `spec` several times, meddles with it, and judges what came of it.
std::vector<std::string> complaints_of_many(
    const SandboxSpec& spec, const std::function<void(Sandbox&)>& meddle,
    const std::function<bool(const SandboxResult&)>& is_right) {
  auto engine = Engine::create();
  if (!engine) return {engine.error().message()};
  Complaints complaints;
  in_threads(kThreads, [&](int) {
    for (int round = 0; round < kRounds; ++round) {
      auto sandbox = engine->launch(spec);
      if (!sandbox) return complaints.add(sandbox.error().message());
      const SandboxResult result = wait_while(*sandbox, meddle);
      complaints.expect(is_right(result), result);
    }
  });
  return complaints.texts();
}

TEST(Threads, SignalsThatAProgramIgnoresChangeNothing) {
  EXPECT_THAT(complaints_of_many(
                  probe("print x ; exit 3"), [](Sandbox& sandbox) { sandbox.signal(SIGURG); },
                  [](const SandboxResult& result) {
                    return result.cause == Cause::exited && result.exit_code == 3 &&
                           output(result) == "x\n";
                  }),
              IsEmpty());
}

TEST(Threads, ASignalThatKillsIsTheCauseWhicheverThreadSentIt) {
  EXPECT_THAT(complaints_of_many(
                  probe("sleep 60"), [](Sandbox& sandbox) { sandbox.signal(SIGTERM); },
                  [](const SandboxResult& result) {
                    return result.cause == Cause::signaled && result.signal == "SIGTERM";
                  }),
              IsEmpty());
}

TEST(Threads, CancellingOverAndOverIsCancellingOnce) {
  EXPECT_THAT(complaints_of_many(
                  probe("sleep 60"), [](Sandbox& sandbox) { sandbox.cancel(); },
                  [](const SandboxResult& result) { return result.cause == Cause::cancelled; }),
              IsEmpty());
}

TEST(Threads, ATerminalMayBeResizedByAll) {
  SandboxSpec spec = probe("print x ; exit 3");
  spec.tty = true;
  std::atomic<unsigned short> rows{1};
  EXPECT_THAT(complaints_of_many(
                  spec,
                  [&](Sandbox& sandbox) {
                    sandbox.resize({static_cast<unsigned short>(rows++ % 200 + 1), 80});
                  },
                  [](const SandboxResult& result) {
                    return result.exit_code == 3 && output(result) == "x\r\n";
                  }),
              IsEmpty());
}

// Every function of an engine at once: sandboxes that run to their end, that are cancelled, that are forgotten, that run
// out of time; plans, facts and collections.
TEST(Threads, AllOfAnEngineMayBeUsedAtOnce) {
  auto engine = Engine::create();
  ASSERT_TRUE(engine);
  Complaints complaints;
  const SandboxSpec quick = probe("print x ; exit 3"), slow = probe("sleep 60");
  SandboxSpec late = slow;
  late.timeout = milliseconds(50);
  const std::vector<std::function<void()>> uses{
      [&] {
        const SandboxResult result = engine->run(quick);
        complaints.expect(result.exit_code == 3 && output(result) == "x\n", result);
      },
      [&] {
        const SandboxResult result = engine->run(late);
        complaints.expect(result.cause == Cause::timeout, result);
      },
      [&] {
        auto sandbox = engine->launch(slow);
        if (!sandbox) return complaints.add(sandbox.error().message());
        sandbox->cancel();
        const SandboxResult result = sandbox->wait();
        complaints.expect(result.cause == Cause::cancelled, result);
      },
      [&] {
        auto forgotten = engine->launch(slow);
        if (!forgotten) complaints.add(forgotten.error().message());
      },
      [&] {
        if (auto plan = engine->plan(quick); !plan) complaints.add(plan.error().message());
      },
      [&] {
        if (auto facts = engine->gather(quick); !facts) complaints.add(facts.error().message());
      },
      [&] {
        if (auto count = engine->collect(); !count) complaints.add(count.error().message());
      },
  };
  in_threads(2 * static_cast<int>(uses.size()), [&](int i) {
    for (int round = 0; round < kRounds; ++round) uses[static_cast<std::size_t>(i) % uses.size()]();
  });
  EXPECT_THAT(complaints.texts(), IsEmpty());
}

TEST(Threads, EachMayHaveAnEngineOfItsOwn) {
  Complaints complaints;
  in_threads(kThreads, [&](int i) {
    for (int round = 0; round < kRounds; ++round) {
      auto engine = Engine::create();
      if (!engine) return complaints.add(engine.error().message());
      const SandboxResult result = engine->run(probe("print " + std::to_string(i) + " ; exit 3"));
      complaints.expect(result.exit_code == 3 && output(result) == std::to_string(i) + "\n",
                        result);
    }
  });
  EXPECT_THAT(complaints.texts(), IsEmpty());
}

TEST(Threads, AnEngineMayGoWhileTheyWait) {
  Complaints complaints;
  for (int round = 0; round < kRounds; ++round) {
    auto created = Engine::create();
    ASSERT_TRUE(created);
    auto engine = std::make_unique<Engine>(std::move(*created));
    std::vector<Sandbox> sandboxes;
    for (int i = 0; i < kThreads; ++i) {
      auto sandbox = engine->launch(probe("sleep 60"));
      ASSERT_TRUE(sandbox) << sandbox.error().message();
      sandboxes.push_back(std::move(*sandbox));
    }
    in_threads(kThreads + 1, [&](int i) {
      if (i == kThreads) return engine.reset();
      const SandboxResult result = sandboxes[static_cast<std::size_t>(i)].wait();
      complaints.expect(result.cause == Cause::cancelled, result);
    });
  }
  EXPECT_THAT(complaints.texts(), IsEmpty());
}

}  // namespace
}  // namespace cove::testing
