#include "cli/remarks.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace cove::cli {
namespace {

using Lines = std::vector<std::string>;

SandboxResult ended(Cause cause) {
  SandboxResult result;
  result.cause = cause;
  return result;
}

TEST(Remarks, SaysNothingOfAProgramThatExits) {
  SandboxResult result = ended(Cause::exited);
  result.exit_code = 137;  // its own: no word of memory
  EXPECT_EQ(remarks({}, result), Lines{});
}

TEST(Remarks, NamesTheLimitThatEndedTheProgram) {
  SandboxSpec spec;
  spec.timeout = std::chrono::seconds(1);
  spec.cpu_timeout = std::chrono::milliseconds(1500);
  spec.resources.memory = mebibytes(64);
  spec.resources.output = kibibytes(4);
  EXPECT_EQ(remarks(spec, ended(Cause::timeout)), Lines{"killed after 1 s (--timeout)"});
  EXPECT_EQ(remarks(spec, ended(Cause::cpu_timeout)),
            Lines{"killed after 1.5 s of processor time (--cpu-timeout)"});
  EXPECT_EQ(remarks(spec, ended(Cause::out_of_memory)),
            Lines{"out of memory: limit 64 MiB (--memory)"});
  EXPECT_EQ(remarks(spec, ended(Cause::output_limit)),
            Lines{"killed for its output: limit 4 KiB (--output-limit)"});
}

TEST(Remarks, SaysWhereALimitComesFromThatNobodyNamed) {
  EXPECT_EQ(remarks({}, ended(Cause::out_of_memory)),
            Lines{"out of memory: limit of the profile (raise it with --memory)"});
  EXPECT_EQ(remarks({}, ended(Cause::timeout)),
            Lines{"killed after the profile's time limit (--timeout)"});
}

TEST(Remarks, NamesASignalUnlessItIsAnOrdinaryEnd) {
  SandboxResult result = ended(Cause::signaled);
  result.signal = "SIGSEGV";
  EXPECT_EQ(remarks({}, result), Lines{"the program was ended by SIGSEGV"});
  result.signal = "SIGTERM";
  EXPECT_EQ(remarks({}, result), Lines{});
}

TEST(Remarks, ListsEveryEventAndLossOnItsOwnLine) {
  SandboxSpec spec;
  spec.resources.pids_limit = 8;
  spec.resources.output = Bytes{10};
  SandboxResult result = ended(Cause::exited);
  result.events.oom_kills = 2;
  result.events.pids_limit_hits = 1;
  result.events.disk_full = true;
  result.stdout_stream.truncated = true;
  result.stdout_stream.total_bytes = 4096;
  result.degraded.push_back({Protection::pids, "no controller"});
  EXPECT_EQ(remarks(spec, result),
            (Lines{"out of memory 2 times, a process was killed: limit of the profile (raise it "
                   "with --memory)",
                   "out of processes once: limit 8 (--pids-limit)",
                   "out of disk: limit of the profile (raise it with --disk)",
                   "stdout is cut, of 4096 bytes: limit 10 bytes (--output-limit)",
                   "degraded: pids: no controller"}));
}

TEST(Remarks, GivesTheSandboxErrorInItsOwnWords) {
  SandboxResult result = ended(Cause::sandbox_error);
  result.error.emplace();
  result.error->step = "mount 3";
  result.error->what = "tmpfs on /tmp";
  EXPECT_EQ(remarks({}, result), Lines{"mount 3: tmpfs on /tmp"});
}

}  // namespace
}  // namespace cove::cli
