// What becomes of output: every byte counted, what is kept exact, and our own memory flat.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/host.h"
#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

// In an emulated machine a gibibyte takes too long to write.
std::uint64_t very_much() { return slowness() > 1 ? kGiB / 8 : kGiB; }

SandboxSpec limited(const std::string& commands, Bytes limit, OutputPolicy policy) {
  SandboxSpec spec = probe(commands);
  spec.resources.output = limit;
  spec.resources.output_policy = policy;
  return spec;
}

std::uint64_t own_memory_kib(const char* field) {
  return std::strtoull(line_after(contents_of("/proc/self/status"), field).c_str(), nullptr, 10);
}

TEST(Output, EveryByteIsKeptAsWritten) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  const SandboxResult result = run(probe("write-binary ; write-binary"));
  EXPECT_EQ(output(result), bytes + bytes);
  EXPECT_EQ(result.stdout_stream.total_bytes, 512u);
  EXPECT_FALSE(result.stdout_stream.truncated);
}
TEST(Output, BinaryBytesPassThroughJson) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  EXPECT_EQ(output(run_through_command(probe("write-binary"))), bytes);
}
TEST(Output, TheStreamsAreKeptApart) {
  const SandboxResult result = run(probe("print one ; print-error two ; print three"));
  EXPECT_EQ(result.stdout_stream.bytes, "one\nthree\n");
  EXPECT_EQ(result.stderr_stream.bytes, "two\n");
  EXPECT_EQ(result.stdout_stream.total_bytes, 10u);
  EXPECT_EQ(result.stderr_stream.total_bytes, 4u);
}
TEST(Output, NothingIsStripped) {
  EXPECT_EQ(output(run(probe(std::vector<std::string>{"print", "  x \n\n "}))), "  x \n\n \n");
}
TEST(Output, AMegabyteOnBothStreamsDoesNotBlock) {
  const SandboxResult result =
      run(probe("write-stderr 1048576 ; write-stdout 1048576 ; write-stderr 1048576"));
  EXPECT_EQ(result.cause, Cause::exited);
  EXPECT_EQ(result.stdout_stream.bytes, pattern(0, kMiB));
  EXPECT_EQ(result.stderr_stream.bytes, pattern(0, kMiB) + pattern(0, kMiB));
}
TEST(Output, TheDefaultKeeps16MiBOfEach) {
  const SandboxResult result = run(probe("write-stdout 17825792 ; write-stderr 10"));
  EXPECT_EQ(result.stdout_stream.bytes.size(), 16 * kMiB);
  EXPECT_TRUE(result.stdout_stream.bytes == pattern(0, 16 * kMiB));
  EXPECT_EQ(result.stdout_stream.total_bytes, 17825792u);
  EXPECT_TRUE(result.stdout_stream.truncated);
  EXPECT_FALSE(result.stderr_stream.truncated);
}

TEST(OutputLimit, HeadKeepsTheFirstBytes) {
  const SandboxResult result =
      run(limited("write-stdout 1000000 ; exit 3", Bytes{1000}, OutputPolicy::head));
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(output(result), pattern(0, 1000));
  EXPECT_EQ(result.stdout_stream.total_bytes, 1000000u);
  EXPECT_TRUE(result.stdout_stream.truncated);
}
TEST(OutputLimit, TailKeepsTheLastBytes) {
  const SandboxResult result =
      run(limited("write-stdout 1000000", Bytes{1000}, OutputPolicy::tail));
  EXPECT_EQ(output(result), pattern(1000000 - 1000, 1000));
  EXPECT_EQ(result.stdout_stream.total_bytes, 1000000u);
  EXPECT_TRUE(result.stdout_stream.truncated);
}
TEST(OutputLimit, HeadAndTailKeepsHalfOfEach) {
  const SandboxResult result =
      run(limited("write-stdout 1000000", Bytes{1000}, OutputPolicy::head_tail));
  EXPECT_EQ(output(result), pattern(0, 500) + pattern(1000000 - 500, 500));
  EXPECT_TRUE(result.stdout_stream.truncated);
}
TEST(OutputLimit, KillEndsTheRun) {
  const std::string marker = unique_marker();
  const SandboxResult result =
      run(limited("mark " + marker + " ; ignore-signal 15 ; write-stdout 1000000 ; sleep 60",
                  Bytes{1000}, OutputPolicy::kill));
  EXPECT_EQ(result.cause, Cause::output_limit) << shown(result);
  EXPECT_EQ(result.process_status, ProcessStatus::error);
  EXPECT_EQ(exit_status(result), 137);
  EXPECT_EQ(output(result), pattern(0, 1000));
  EXPECT_TRUE(result.stdout_stream.truncated);
  EXPECT_EQ(processes_left(marker, 0), 0u);
}
TEST(OutputLimit, ExactlyTheLimitIsNotCut) {
  for (const OutputPolicy policy :
       {OutputPolicy::head, OutputPolicy::tail, OutputPolicy::head_tail, OutputPolicy::kill}) {
    const SandboxResult result = run(limited("write-stdout 1000", Bytes{1000}, policy));
    EXPECT_EQ(result.cause, Cause::exited) << shown(result);
    EXPECT_EQ(output(result), pattern(0, 1000));
    EXPECT_FALSE(result.stdout_stream.truncated);
  }
}
TEST(OutputLimit, OneByteMoreIs) {
  for (const OutputPolicy policy :
       {OutputPolicy::head, OutputPolicy::tail, OutputPolicy::head_tail}) {
    const SandboxResult result = run(limited("write-stdout 1001", Bytes{1000}, policy));
    EXPECT_EQ(output(result).size(), 1000u);
    EXPECT_EQ(result.stdout_stream.total_bytes, 1001u);
    EXPECT_TRUE(result.stdout_stream.truncated);
  }
}
TEST(OutputLimit, ZeroKeepsNothingAndCountsAll) {
  const SandboxResult result = run(limited("write-stdout 5000", Bytes{0}, OutputPolicy::head));
  EXPECT_EQ(output(result), "");
  EXPECT_EQ(result.stdout_stream.total_bytes, 5000u);
  EXPECT_TRUE(result.stdout_stream.truncated);
}
TEST(OutputLimit, HoldsForEachStreamByItself) {
  const SandboxResult result =
      run(limited("write-stdout 600 ; write-stderr 5000", Bytes{1000}, OutputPolicy::tail));
  EXPECT_EQ(result.stdout_stream.bytes, pattern(0, 600));
  EXPECT_FALSE(result.stdout_stream.truncated);
  EXPECT_EQ(result.stderr_stream.bytes, pattern(4000, 1000));
  EXPECT_TRUE(result.stderr_stream.truncated);
}
TEST(OutputLimit, AGibibyteIsCountedToTheByteAndCostsTheCallerNothing) {
  const SandboxSpec spec = limited("write-stdout " + std::to_string(very_much()), kibibytes(64),
                                   OutputPolicy::head_tail);
  (void)run_through_library(probe("exit 0"));  // what the engine needs once
  const std::uint64_t before = own_memory_kib("VmRSS:");
  std::ofstream("/proc/self/clear_refs") << "5";  // VmHWM starts anew
  const SandboxResult result = run_through_library(spec);
  EXPECT_EQ(result.stdout_stream.total_bytes, very_much()) << shown(result);
  EXPECT_EQ(result.stdout_stream.bytes.size(), 65536u);
  EXPECT_TRUE(result.stdout_stream.bytes ==
              pattern(0, 32768) + pattern(very_much() - 32768, 32768));
  EXPECT_TRUE(result.stdout_stream.truncated);
  EXPECT_LT(own_memory_kib("VmHWM:"), before + 16 * 1024);
}
TEST(OutputLimit, AGibibyteCostsTheCommandNothing) {
  const CommandOutcome outcome = run_command(
      cove_run({"--json", "--output-limit", "64k"}, "write-stdout " + std::to_string(very_much())));
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("\"stdout_bytes\":" + std::to_string(very_much())));
  EXPECT_GT(outcome.peak_resident_kib, 0u);
  EXPECT_LT(outcome.peak_resident_kib, 64u * 1024);
}
TEST(OutputLimit, AnEndlessTailOfMuchMemoryIsHeldInTheLimit) {
  const SandboxResult result =
      run(limited("write-stdout 100000000", mebibytes(1), OutputPolicy::tail));
  EXPECT_TRUE(result.stdout_stream.bytes == pattern(100000000 - kMiB, kMiB));
}

TEST(Output, OfATimedOutProgramIsKept) {
  SandboxSpec spec = probe("write-stdout 100000 ; print-error last ; sleep 60");
  spec.timeout = milliseconds(static_cast<int>(400 * slowness()));
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::timeout);
  EXPECT_EQ(result.stdout_stream.bytes, pattern(0, 100000));
  EXPECT_EQ(result.stderr_stream.bytes, "last\n");
}
TEST(Output, AProgramThatClosesItsOutputEarlyGoesOn) {
  const SandboxResult result = run(probe("print early ; close 1 ; close 2 ; sleep 0.2 ; exit 6"));
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  EXPECT_EQ(result.exit_code, 6);
  EXPECT_EQ(output(result), "early\n");
  EXPECT_GE(result.duration_ms, 200);
}
TEST(Output, ABackgroundProcessThatHoldsThePipeDoesNotKeepTheRunOpen) {
  const std::string marker = unique_marker();
  const double began = seconds_now();
  const SandboxResult result =
      run(probe("mark " + marker + " ; print before ; spawn sleep 60 ; exit 0"));
  EXPECT_LT(seconds_now() - began, 5);
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  EXPECT_EQ(output(result), "before\n");
  EXPECT_EQ(processes_left(marker, 0), 0u);
}
TEST(Output, WhatABackgroundProcessWroteBeforeTheEndIsKept) {
  EXPECT_EQ(output(run(probe("spawn print from-the-child ; sleep 0.3 ; exit 0"))),
            "from-the-child\n");
}
TEST(Output, AProgramMayReopenItsOwnStreams) {
  const SandboxResult result =
      run(probe("put /dev/stdout one ; put /dev/stderr two ; put /proc/self/fd/1 three"));
  EXPECT_EQ(output(result), "oneput: ok\nput: ok\nthreeput: ok\n") << shown(result);
  EXPECT_EQ(result.stderr_stream.bytes, "two");
}

// ---- passed on ----

TEST(OutputOfTheCommand, IsPassedOnAsItComes) {
  RunningCommand run(cove_run({}, "print now ; sleep 60"));
  EXPECT_TRUE(run.wait_for_output("now\n"));
}
TEST(OutputOfTheCommand, HasNoLimitUnlessAsked) {
  const CommandOutcome outcome = run_command(cove_run({}, "write-stdout 33554432"));
  EXPECT_EQ(outcome.status, 0);
  EXPECT_TRUE(outcome.out == pattern(0, 32 * kMiB));
  EXPECT_EQ(remarks_of(outcome), "");
  EXPECT_LT(outcome.peak_resident_kib, 64u * 1024);
}
TEST(OutputOfTheCommand, IsCutAtTheLimitAndSaysSo) {
  const CommandOutcome outcome =
      run_command(cove_run({"--output-limit", "1k"}, "write-stdout 5000"));
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.out, pattern(0, 1024));
  EXPECT_THAT(remarks_of(outcome), HasSubstr("cove: stdout is cut, of 5000 bytes"));
}
TEST(OutputOfTheCommand, ToAFullDeviceDoesNotHangTheRun) {
  RunningCommand run({"/bin/sh", "-c", "exec \"$0\" \"$@\" >/dev/full", command_path(), "run",
                      "--rootfs", RootDirectory::shared().path(), "--", "/bin/probe",
                      "write-stdout", "5000000", ";", "exit", "4"});
  const CommandOutcome outcome = run.wait();
  EXPECT_LT(outcome.seconds, 10);
  // It may learn of it as of a reader that has gone: SIGPIPE.
  EXPECT_THAT(outcome.status, ::testing::AnyOf(4, 141)) << outcome.err;
}
TEST(OutputOfTheCommand, ToAReaderThatHasGoneDoesNotHangTheRun) {
  const CommandOutcome outcome =
      run_command({"/bin/sh", "-c", "\"$0\" \"$@\" | head -c 1", command_path(), "run", "--rootfs",
                   RootDirectory::shared().path(), "--", "/bin/probe", "write-stdout", "50000000"});
  EXPECT_EQ(outcome.out, "a");
  EXPECT_LT(outcome.seconds, 10);
}

}  // namespace
}  // namespace cove::testing
