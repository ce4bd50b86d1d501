// Memory, processes, disk, open files: each limit met, with its mechanism named, and each just not
// met.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/host.h"
#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

SandboxSpec with_memory(const std::string& commands, Bytes memory) {
  SandboxSpec spec = probe(commands);
  spec.resources.memory = memory;
  return spec;
}

TEST(Memory, MoreThanTheLimitIsOutOfMemory) {
  COVE_NEEDS_LIMIT("memory");
  const SandboxResult result = run(with_memory("alloc 314572800", mebibytes(64)));
  EXPECT_EQ(result.cause, Cause::out_of_memory) << shown(result);
  EXPECT_EQ(result.process_status, ProcessStatus::error);
  EXPECT_EQ(result.exit_code, std::nullopt);
  EXPECT_EQ(exit_status(result), 137);
  EXPECT_GT(result.events.oom_kills, 0u);
  EXPECT_GT(result.events.memory_high, 0u);
  ASSERT_TRUE(result.usage.peak_memory_bytes);
  EXPECT_LE(*result.usage.peak_memory_bytes, 65 * kMiB);
  EXPECT_GE(*result.usage.peak_memory_bytes, 60 * kMiB);
  EXPECT_EQ(result.enforced.at(Protection::memory), mechanism_of("memory"));
}
TEST(Memory, AChildThatIsKilledForMemoryIsToldThoughItsParentGoesOn) {
  COVE_NEEDS_LIMIT("memory");
  const SandboxResult result =
      run(with_memory("spawn alloc 314572800 ; wait ; exit 0", mebibytes(64)));
  EXPECT_TRUE(result.events.oom_kills > 0 || result.cause == Cause::out_of_memory) << shown(result);
  EXPECT_NE(result.process_status, ProcessStatus::timeout);
}
TEST(Memory, AGrandchildInTheBackgroundIsToldToo) {
  COVE_NEEDS_LIMIT("memory");
  SandboxSpec spec = with_memory("spawn-daemon alloc 314572800 ; sleep 2 ; exit 0", mebibytes(64));
  const SandboxResult result = run(spec);
  EXPECT_TRUE(result.events.oom_kills > 0 || result.cause == Cause::out_of_memory) << shown(result);
}
TEST(Memory, JustBelowTheLimitIsFine) {
  COVE_NEEDS_LIMIT("memory");
  const SandboxResult result = run(with_memory("alloc 54525952", mebibytes(64)));
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  EXPECT_EQ(output(result), "alloc: ok\n");
  EXPECT_EQ(result.events.oom_kills, 0u);
  EXPECT_GE(result.usage.peak_memory_bytes.value_or(0), 52 * kMiB);
}
TEST(Memory, TheDefaultIs512MiB) {
  COVE_NEEDS_LIMIT("memory");
  const SandboxResult below = run(probe("alloc 471859200"));  // 450 MiB
  EXPECT_EQ(below.cause, Cause::exited) << shown(below);
  const SandboxResult above = run(probe("alloc 545259520"));  // 520 MiB
  EXPECT_EQ(above.cause, Cause::out_of_memory) << shown(above);
}
TEST(Memory, FilesInATmpfsCount) {
  COVE_NEEDS_LIMIT("memory");
  SandboxSpec spec = with_memory("write-file /scratch/big 209715200", mebibytes(64));
  MountSpec mount;
  mount.type = MountType::tmpfs;
  mount.container_path = "/scratch";
  mount.size = mebibytes(512);
  spec.mounts = {mount};
  EXPECT_EQ(run(spec).cause, Cause::out_of_memory);
}
TEST(Memory, OneSandboxThatRunsOutDoesNotTouchAnother) {
  COVE_NEEDS_LIMIT("memory");
  auto quiet =
      shared_engine().launch(with_memory("alloc 20971520 ; sleep 1 ; exit 5", mebibytes(64)));
  ASSERT_TRUE(quiet) << quiet.error().message();
  EXPECT_EQ(run_through_library(with_memory("alloc 314572800", mebibytes(64))).cause,
            Cause::out_of_memory);
  EXPECT_EQ(quiet->wait().exit_code, 5);
}
TEST(Memory, TheCommandSaysIt) {
  COVE_NEEDS_LIMIT("memory");
  const CommandOutcome outcome = run_command(cove_run({"--memory", "64m"}, "alloc 314572800"));
  EXPECT_EQ(outcome.status, 137);
  EXPECT_EQ(remarks_of(outcome), "cove: out of memory: limit 64 MiB (--memory)\n");
}

TEST(Pids, AForkBombIsStopped) {
  COVE_NEEDS_LIMIT("pids");
  SandboxSpec spec = probe("fork-bomb 1");
  spec.resources.pids_limit = 32;
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  EXPECT_EQ(output(result), "fork: refused\n");
  EXPECT_GT(result.events.pids_limit_hits, 0u);
  EXPECT_EQ(result.enforced.at(Protection::pids), mechanism_of("pids"));
  if (result.usage.peak_pids) {
    EXPECT_LE(*result.usage.peak_pids, 32u);
  }
  EXPECT_EQ(run(probe("exit 0")).cause, Cause::exited);
}
TEST(Pids, TheLimitIsExact) {
  COVE_NEEDS_LIMIT("pids");
  SandboxSpec spec = probe("processes 100");
  spec.resources.pids_limit = 20;
  // The program itself is one of the twenty.
  EXPECT_EQ(output(run(spec)), "processes: 19\n");
}
TEST(Pids, JustBelowTheLimitIsFine) {
  SandboxSpec spec = probe("processes 19");
  spec.resources.pids_limit = 20;
  COVE_NEEDS_LIMIT("pids");
  const SandboxResult result = run(spec);
  EXPECT_EQ(output(result), "processes: 19\n") << shown(result);
  EXPECT_EQ(result.events.pids_limit_hits, 0u);
}
TEST(Pids, TheDefaultIs256) {
  COVE_NEEDS_LIMIT("pids");
  EXPECT_EQ(output(run(probe("processes 1000"))), "processes: 255\n");
}

TEST(Disk, AGibibyteInTmpMeetsNoSpaceAndNotTheOomKiller) {
  const SandboxResult result = run(probe("write-file /tmp/big 1073741824"));
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(output(result), HasSubstr("write-file: ENOSPC\n"));
  EXPECT_EQ(result.events.oom_kills, 0u);
  EXPECT_TRUE(result.events.disk_full);
  const std::uint64_t written = std::stoull(line_after(output(result), "written: "));
  EXPECT_LE(written, 256 * kMiB);
  EXPECT_GE(written, 255 * kMiB);
  EXPECT_GE(result.usage.scratch_bytes.value_or(0), 255 * kMiB);
  EXPECT_TRUE(result.enforced.contains(Protection::disk));
}
TEST(Disk, TheLimitHoldsForAllPlacesTogether) {
  SandboxSpec spec = probe(
      "write-file /tmp/a 8388608 ; write-file /dev/shm/b 8388608 ; write-file /workspace/c "
      "8388608");
  spec.resources.disk = mebibytes(20);
  const SandboxResult result = run(spec);
  EXPECT_THAT(output(result), HasSubstr("write-file: ok\nwrite-file: ok\n")) << shown(result);
  EXPECT_THAT(output(result), HasSubstr("write-file: ENOSPC\n"));
  EXPECT_TRUE(result.events.disk_full);
}
TEST(Disk, BelowTheLimitIsFine) {
  SandboxSpec spec = probe("write-file /tmp/a 15728640");
  spec.resources.disk = mebibytes(16);
  const SandboxResult result = run(spec);
  EXPECT_EQ(output(result), "write-file: ok\n") << shown(result);
  EXPECT_FALSE(result.events.disk_full);
  EXPECT_GE(result.usage.scratch_bytes.value_or(0), 15 * kMiB);
}
TEST(Disk, RoomThatWasFreedAgainIsNotFull) {
  SandboxSpec spec = probe("write-file /tmp/a 33554432 ; unlink /tmp/a");
  spec.resources.disk = mebibytes(16);
  EXPECT_FALSE(run(spec).events.disk_full);
}
TEST(Disk, MoreThanMemoryIsRefused) {
  SandboxSpec spec = probe("exit 0");
  spec.resources.memory = mebibytes(64);
  spec.resources.disk = mebibytes(64);
  const SandboxResult result = run(spec);
  ASSERT_TRUE(result.error) << shown(result);
  EXPECT_EQ(result.error->code, ErrorCode::invalid_argument);
  EXPECT_EQ(result.error->where, "$.resources.disk");
}
TEST(Disk, ATmpfsHasItsOwnSize) {
  SandboxSpec spec = probe("write-file /scratch/big 16777216 ; write-file /tmp/other 1048576");
  MountSpec mount;
  mount.type = MountType::tmpfs;
  mount.container_path = "/scratch";
  mount.size = mebibytes(8);
  spec.mounts = {mount};
  const SandboxResult result = run(spec);
  EXPECT_EQ(output(result), "written: 8388608\nwrite-file: ENOSPC\nwrite-file: ok\n")
      << shown(result);
}

TEST(OpenFiles, TheLimitIsExact) {
  SandboxSpec spec = probe("open-many 100");
  spec.resources.open_files = 10;
  const SandboxResult result = run(spec);
  EXPECT_EQ(output(result), "opened: 7\n") << shown(result);  // and 0 to 2
  EXPECT_EQ(result.enforced.at(Protection::open_files), "rlimit");
}
TEST(OpenFiles, TheDefaultIs1024) {
  EXPECT_EQ(output(run(probe("open-many 2000"))), "opened: 1021\n");
}

TEST(Rlimits, AreAsAsked) {
  SandboxSpec spec = probe("rlimits");
  spec.resources.rlimits["fsize"] = {1048576, 2097152};
  spec.resources.rlimits["stack"] = {4194304, 4194304};
  const SandboxResult result = run(spec);
  EXPECT_EQ(line_after(output(result), "fsize: "), "1048576 2097152") << shown(result);
  EXPECT_EQ(line_after(output(result), "stack: "), "4194304 4194304");
  EXPECT_EQ(line_after(output(result), "core: "), "0 0");
  EXPECT_THAT(line_after(output(result), "nofile: "), ::testing::StartsWith("1024 "));
}
TEST(Rlimits, TheSizeOfFilesIsHeld) {
  SandboxSpec spec = probe("ignore-signal 25 ; write-file /tmp/a 2097152");  // SIGXFSZ
  spec.resources.rlimits["fsize"] = {1048576, 1048576};
  EXPECT_EQ(output(run(spec)), "written: 1048576\nwrite-file: EFBIG\n");
}

TEST(Cpus, ALimitSlowsTheProgramDown) {
  COVE_NEEDS_LIMIT("cpu");
  SandboxSpec spec = probe("burn 1");
  spec.resources.cpus = 0.2;
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  ASSERT_TRUE(result.usage.cpu_ms);
  EXPECT_LT(*result.usage.cpu_ms, 500);
  EXPECT_EQ(result.enforced.at(Protection::cpus), mechanism_of("cpu"));
}
TEST(Cpus, WithoutALimitItIsNot) {
  const SandboxResult result = run(probe("burn 0.5"));
  EXPECT_FALSE(result.enforced.contains(Protection::cpus));
  EXPECT_GT(result.usage.cpu_ms.value_or(0), 100) << shown(result);
}
TEST(Cpus, AWeightIsWritten) {
  COVE_NEEDS_LIMIT("cpu");
  SandboxSpec spec = probe("exit 0");
  spec.resources.cpu_weight = 50;
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  EXPECT_EQ(result.enforced.at(Protection::cpu_weight), mechanism_of("cpu"));
}

// ---- what cannot be held ----

TEST(Require, ANamedLimitThatCannotBeHeldIsRefused) {
  auto engine = engine_below("/no-such-group-for-tests");
  ASSERT_TRUE(engine) << engine.error().message();
  SandboxSpec spec = probe("exit 0");
  spec.resources.memory = mebibytes(64);
  const SandboxResult result = engine->run(spec);
  EXPECT_EQ(result.cause, Cause::sandbox_error) << shown(result);
  ASSERT_TRUE(result.error);
  EXPECT_EQ(result.error->code, ErrorCode::limit_not_enforceable);
  EXPECT_EQ(result.error->step, "limit memory");
  EXPECT_EQ(result.error->where, "$.resources.memory");
  EXPECT_THAT(result.error->what, HasSubstr("64 MiB cannot be enforced: "));
  EXPECT_THAT(result.error->what, HasSubstr("/no-such-group-for-tests does not exist"));
  EXPECT_THAT(result.error->hint, HasSubstr("--best-effort"));
  EXPECT_EQ(exit_status(result), 125);
}
TEST(Require, EachNamedLimitIsRefusedByItsName) {
  auto engine = engine_below("/no-such-group-for-tests");
  ASSERT_TRUE(engine) << engine.error().message();
  SandboxSpec spec = probe("exit 0");
  spec.resources.memory = mebibytes(64);
  spec.resources.cpus = 1;
  spec.resources.pids_limit = 10;
  const SandboxResult result = engine->run(spec);
  ASSERT_TRUE(result.error) << shown(result);
  std::vector<std::string> where{result.error->where};
  for (const Error& more : result.error->more) where.push_back(more.where);
  EXPECT_THAT(where, ::testing::IsSupersetOf({"$.resources.memory", "$.resources.cpus"}));
}
TEST(Require, ADefaultLimitThatCannotBeHeldIsListedAsLost) {
  auto engine = engine_below("/no-such-group-for-tests");
  ASSERT_TRUE(engine) << engine.error().message();
  const SandboxResult result = engine->run(probe("print there"));
  EXPECT_EQ(output(result), "there\n") << shown(result);
  std::vector<Protection> lost;
  for (const Degradation& each : result.degraded) {
    lost.push_back(each.protection);
    EXPECT_NE(each.reason, "");
    EXPECT_FALSE(result.enforced.contains(each.protection));
  }
  EXPECT_THAT(lost, ::testing::Contains(Protection::memory));
}
TEST(Require, BestEffortRunsAndSaysWhatIsLost) {
  const std::vector<std::string> place{"--cgroup-parent", "/no-such-group-for-tests", "--memory",
                                       "64m"};
  const CommandOutcome refused = run_command(cove_run(place, "print there"));
  EXPECT_EQ(refused.status, 125);
  EXPECT_EQ(refused.out, "");
  EXPECT_THAT(refused.err, HasSubstr("64 MiB cannot be enforced"));
  EXPECT_EQ(lines_of(refused.err).size(), 1u) << refused.err;

  std::vector<std::string> anyway = place;
  anyway.push_back("--best-effort");
  const CommandOutcome run = run_command(cove_run(anyway, "print there"));
  EXPECT_EQ(run.status, 0);
  EXPECT_EQ(run.out, "there\n");
  EXPECT_THAT(run.err, HasSubstr("cove: degraded: memory: "));
}
TEST(Require, WithoutAnyGroupTheProgramStillDiesWithItsTimeout) {
  auto engine = engine_below("/no-such-group-for-tests");
  ASSERT_TRUE(engine) << engine.error().message();
  const std::string marker = unique_marker();
  SandboxSpec spec =
      probe("ignore-signal 15 ; mark " + marker + " ; spawn sleep 60 ; print start ; sleep 60");
  spec.timeout = std::chrono::milliseconds(300);
  const SandboxResult result = engine->run(spec);
  EXPECT_EQ(result.cause, Cause::timeout) << shown(result);
  EXPECT_EQ(output(result), "start\n");
  EXPECT_EQ(processes_left(marker, 0.5), 0u);
}
TEST(Require, IoWeightIsRefusedWhereOnlyV1HasIt) {
  if (mechanism_of("io") == "cgroup-v2") GTEST_SKIP() << "needs cgroup-v1 io";
  SandboxSpec spec = probe("exit 0");
  spec.resources.io_weight = 50;
  const SandboxResult result = run(spec);
  ASSERT_TRUE(result.error) << shown(result);
  EXPECT_EQ(result.error->code, ErrorCode::limit_not_enforceable);
  EXPECT_EQ(result.error->where, "$.resources.io_weight");
}

}  // namespace
}  // namespace cove::testing
