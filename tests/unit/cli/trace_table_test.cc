#include "cli/trace_table.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/remarks.h"

namespace cove::cli {
namespace {

using Lines = std::vector<std::string>;

TEST(TraceTable, ShowsWhatWouldHaveBeenRefusedAndTheNamesToAllow) {
  const SeccompTrace trace{"strict",
                           {{"socket", "x86_64", "EAFNOSUPPORT", 1200},
                            {"ptrace", "x86_64", "EPERM", 7},
                            {"470", "x86_64", "ENOSYS", 1}},
                           0};
  EXPECT_EQ(trace_table(trace),
            (Lines{"the seccomp filter strict was not enforced; it would have refused 1208 calls",
                   "     1200  socket  EAFNOSUPPORT", "        7  ptrace  EPERM",
                   "        1  470     ENOSYS",
                   "to allow these: \"syscalls\": [\"ptrace\", \"socket\", 470]"}));
}

TEST(TraceTable, DoesNotOfferWhatNoFilterCanAllow) {
  const SeccompTrace trace{"default",
                           {{"getpid", "i386", "ENOSYS", 2},
                            {"getpid", "x32", "ENOSYS", 2},
                            {"-1", "x86_64", "ENOSYS", 2},
                            {"70000", "x86_64", "ENOSYS", 2}},
                           0};
  const Lines lines = trace_table(trace);
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[1], "        2  getpid (i386)  ENOSYS");
  EXPECT_EQ(lines[2], "        2  getpid (x32)   ENOSYS");
}

TEST(TraceTable, NamesACallOnceWhateverItsAnswers) {
  const SeccompTrace trace{
      "f.json", {{"ioctl", "x86_64", "EPERM", 2}, {"ioctl", "x86_64", "ENOTTY", 1}}, 0};
  EXPECT_EQ(trace_table(trace).back(), "to allow these: \"syscalls\": [\"ioctl\"]");
}

TEST(TraceTable, CountsWhatIsNotToldApart) {
  const SeccompTrace trace{"default", {{"bpf", "x86_64", "EPERM", 2}}, 40};
  const Lines lines = trace_table(trace);
  EXPECT_EQ(lines[0],
            "the seccomp filter default was not enforced; it would have refused 42 calls");
  EXPECT_EQ(lines[2], "and 40 calls more, of so many different kinds that they are only counted");
}

TEST(TraceTable, SaysSoWhereNothingWouldHaveBeenRefused) {
  EXPECT_EQ(trace_table({"default", {}, 0}),
            Lines{"the seccomp filter default was not enforced; it would have refused no call"});
}

TEST(TraceTable, StandsBehindTheOtherRemarks) {
  SandboxResult result;
  result.cause = Cause::signaled;
  result.signal = "SIGSEGV";
  result.seccomp_trace = SeccompTrace{"default", {}, 0};
  const Lines lines = remarks({}, result);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], "the program was ended by SIGSEGV");
  EXPECT_EQ(lines[1], trace_table(*result.seccomp_trace)[0]);
}

}  // namespace
}  // namespace cove::cli
