// Wall and processor time: who is killed, when the clock starts, and that nothing goes on
// afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/host.h"
#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

SandboxSpec timed(const std::string& commands, Duration timeout) {
  SandboxSpec spec = probe(commands);
  spec.timeout = timeout;
  return spec;
}

TEST(Timeout, EndsTheWholeTreeThoughItIgnoresSigterm) {
  const std::string marker = unique_marker();
  const SandboxSpec spec = timed(
      "mark " + marker +
          " ; ignore-signal 15 ; print start ; spawn sleep 60 ; spawn-daemon sleep 60 ; sleep 60",
      seconds(1));
  const double began = seconds_now();
  const SandboxResult result = run(spec);
  const double took = seconds_now() - began;
  EXPECT_EQ(result.cause, Cause::timeout) << shown(result);
  EXPECT_EQ(result.process_status, ProcessStatus::timeout);
  EXPECT_EQ(result.exit_code, std::nullopt);
  EXPECT_EQ(exit_status(result), 124);
  EXPECT_EQ(output(result), "start\n");
  EXPECT_FALSE(result.error);
  EXPECT_EQ(result.enforced.at(Protection::timeout), "supervisor");
  EXPECT_GE(result.duration_ms, 1000);
  EXPECT_LT(took, 1.2 * slowness());
  EXPECT_EQ(processes_left(marker, 0), 0u);
}
TEST(Timeout, OfTheCommandIsDoneWithin200Milliseconds) {
  const std::string marker = unique_marker();
  const CommandOutcome outcome = run_command(
      cove_run({"--timeout", "1", "--json"},
               "mark " + marker + " ; ignore-signal 15 ; print start ; spawn sleep 60 ; sleep 60"));
  EXPECT_EQ(outcome.status, 124);
  EXPECT_LT(outcome.seconds, 1.2 * slowness());
  EXPECT_THAT(outcome.out, HasSubstr(R"("cause":"timeout")"));
  EXPECT_THAT(outcome.out, HasSubstr(R"("stdout":"start\n")"));
  EXPECT_EQ(processes_left(marker, 0), 0u);
}
TEST(Timeout, OfTheCommandIsSaidInOneLine) {
  const CommandOutcome outcome =
      run_command(cove_run({"--timeout", "0.2"}, "print start ; sleep 60"));
  EXPECT_EQ(outcome.status, 124);
  EXPECT_EQ(outcome.out, "start\n");
  EXPECT_EQ(remarks_of(outcome), "cove: killed after 0.2 s (--timeout)\n");
}
TEST(Timeout, AProgramThatEndsJustBeforeIsNotTimedOut) {
  const SandboxResult result = run(timed(
      "sleep 0.3 ; exit 7", milliseconds(300) + milliseconds(static_cast<int>(500 * slowness()))));
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  EXPECT_EQ(result.exit_code, 7);
}
TEST(Timeout, DoesNotCountTheStartOfTheSandbox) {
  // Ten launches with a timeout not much longer than one launch takes: a clock that started earlier
  // would ring.
  for (int i = 0; i < 10; ++i) {
    const SandboxResult result =
        run(timed("exit 0", milliseconds(static_cast<int>(20 * slowness()))));
    ASSERT_EQ(result.cause, Cause::exited) << shown(result);
  }
}
TEST(Timeout, OfAForkBombEndsIt) {
  COVE_NEEDS_A_PIDS_LIMIT();
  const std::string marker = unique_marker();
  SandboxSpec spec = timed("mark " + marker + " ; fork-bomb 60", milliseconds(500));
  spec.resources.pids_limit = 64;
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::timeout) << shown(result);
  EXPECT_EQ(processes_left(marker, 0), 0u);
}
TEST(Timeout, AStoppedProgramIsKilledToo) {
  const SandboxResult result =
      run(timed("print stopping ; kill-self 19 ; sleep 60", milliseconds(300)));
  EXPECT_EQ(result.cause, Cause::timeout) << shown(result);
  EXPECT_EQ(output(result), "stopping\n");
}
TEST(Timeout, AProgramThatNeverStopsWritingIsKilledAndItsOutputCounted) {
  SandboxSpec spec = timed("write-stdout 1000000000000", milliseconds(300));
  spec.resources.output = kibibytes(4);
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::timeout) << shown(result);
  EXPECT_EQ(output(result), pattern(0, 4096));
  EXPECT_GT(result.stdout_stream.total_bytes, 4096u);
  EXPECT_TRUE(result.stdout_stream.truncated);
}

TEST(Grace, AProgramThatHandlesSigtermEndsByItself) {
  SandboxSpec spec = timed("on-signal 15 goodbye 3 ; print start ; sleep 60", milliseconds(300));
  spec.grace = seconds(20);
  const double began = seconds_now();
  const SandboxResult result = run(spec);
  EXPECT_LT(seconds_now() - began, 5 * slowness());
  EXPECT_EQ(result.cause, Cause::timeout) << shown(result);
  EXPECT_EQ(result.process_status, ProcessStatus::timeout);
  EXPECT_EQ(output(result), "start\ngoodbye\n");
  EXPECT_EQ(exit_status(result), 124);
}
TEST(Grace, OneThatDoesNotIsKilledAfterIt) {
  SandboxSpec spec = timed("ignore-signal 15 ; print start ; sleep 60", milliseconds(300));
  spec.grace = milliseconds(400);
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::timeout) << shown(result);
  EXPECT_GE(result.duration_ms, 700);
  EXPECT_LT(result.duration_ms, 1000 * slowness());
}
TEST(Grace, WithoutItThereIsNoSigterm) {
  const SandboxResult result = run(timed("on-signal 15 goodbye 3 ; sleep 60", milliseconds(300)));
  EXPECT_EQ(result.cause, Cause::timeout) << shown(result);
  EXPECT_EQ(output(result), "");
}

TEST(CpuTimeout, CountsAllProcessesTogether) {
  COVE_NEEDS_CGROUP_V2();
  SandboxSpec spec = probe("spawn burn 60 ; spawn burn 60 ; wait");
  spec.cpu_timeout = milliseconds(600);
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::cpu_timeout) << shown(result);
  EXPECT_EQ(result.process_status, ProcessStatus::timeout);
  EXPECT_EQ(exit_status(result), 124);
  ASSERT_TRUE(result.usage.cpu_ms);
  EXPECT_GE(*result.usage.cpu_ms, 590);
  EXPECT_LT(*result.usage.cpu_ms, 1000 * slowness());
}
TEST(CpuTimeout, CountsProcessesThatHaveEnded) {
  COVE_NEEDS_CGROUP_V2();
  SandboxSpec spec = probe("spawn burn 0.8 ; wait ; spawn burn 0.8 ; wait ; exit 0");
  spec.cpu_timeout = milliseconds(500);
  EXPECT_EQ(run(spec).cause, Cause::cpu_timeout);
}
TEST(CpuTimeout, SleepingCostsNothing) {
  COVE_NEEDS_CGROUP_V2();
  SandboxSpec spec = probe("sleep 0.8 ; exit 4");
  spec.cpu_timeout = milliseconds(static_cast<int>(400 * slowness()));
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  EXPECT_EQ(result.exit_code, 4);
}
TEST(CpuTimeout, AndTimeoutAreToldApart) {
  COVE_NEEDS_CGROUP_V2();
  SandboxSpec spec = probe("sleep 60");
  spec.cpu_timeout = seconds(10);
  spec.timeout = milliseconds(300);
  EXPECT_EQ(run(spec).cause, Cause::timeout);
}
TEST(CpuTimeout, IsRefusedWhereNothingCanCount) {
  auto engine = engine_below("/no-such-group-for-tests");
  ASSERT_TRUE(engine) << engine.error().message();
  SandboxSpec spec = probe("exit 0");
  spec.cpu_timeout = seconds(1);
  const SandboxResult result = engine->run(spec);
  ASSERT_TRUE(result.error) << shown(result);
  EXPECT_EQ(result.error->code, ErrorCode::limit_not_enforceable);
  EXPECT_EQ(result.error->where, "$.cpu_timeout");
}

}  // namespace
}  // namespace cove::testing
