// SeccompMode::trace on the real kernel: nothing is refused, everything that would be is counted.
#include "runtime/seccomp/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>

#include "runtime/init/traced_filter.h"
#include "runtime/kernel/message.h"
#include "runtime/seccomp/filter.h"
#include "tests/support/host.h"
#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kDockersProfile = COVE_SOURCE_DIR "/tests/fixtures/seccomp/docker.json";

// Refused by every filter, and without a harm or an effect where it is not: keyctl(0), which asks
// for the number of a key that is not there.
const std::string kRefused = std::to_string(SYS_keyctl);

std::string calls(const std::string& times) {
  return "calls " + kRefused + " " + kRefused + " " + times;
}

SandboxSpec traced(const std::string& commands, const std::string& filter = "default") {
  SandboxSpec spec = probe(commands);
  spec.seccomp = filter;
  spec.seccomp_mode = SeccompMode::trace;
  spec.require[Protection::seccomp] = Requirement::off;
  return spec;
}

// "12 socket EAFNOSUPPORT", a line each; that of another architecture named.
std::vector<std::string> table(const SandboxResult& result) {
  std::vector<std::string> lines;
  if (!result.seccomp_trace) return {"no trace"};
  for (const TracedCall& call : result.seccomp_trace->calls) {
    lines.push_back(std::to_string(call.count) + " " + call.syscall + " " + call.answer +
                    (call.architecture == "x86_64" ? "" : " " + call.architecture));
  }
  return lines;
}

// A filter of Cove's format that allows all but one call.
std::string all_but(const std::string& syscall, const std::string& action) {
  return R"({"version": 1, "description": "a test", "default": "allow", "groups": [
    {"reason": "a test", "syscalls": [")" +
         syscall + R"("], "action": ")" + action + R"("}]})";
}

TEST(SeccompTrace, LetsThroughWhatIsRefusedOtherwiseAndCountsIt) {
  COVE_NEEDS_NO_FILTER_AROUND();
  SandboxSpec spec = probe(calls("7") + " ; socket 38");
  EXPECT_EQ(output(run(spec)), "calls: EPERM\nsocket 38: EAFNOSUPPORT\n");
  const SandboxResult result = run(traced(calls("7") + " ; socket 2 ; socket 17"));
  EXPECT_EQ(result.exit_code, 0) << shown(result);
  // The kernel's own answers: to keyctl, and to a raw socket without CAP_NET_RAW.
  EXPECT_EQ(lines_of(output(result))[0].find("calls: EPERM"), std::string::npos) << shown(result);
  EXPECT_THAT(table(result), ElementsAre("7 keyctl EPERM", "1 socket EAFNOSUPPORT"))
      << shown(result);
  EXPECT_EQ(result.seccomp_trace->filter, "default");
  EXPECT_EQ(result.seccomp_trace->other_calls, 0u);
}

TEST(SeccompTrace, IsNotSaidToBeEnforced) {
  const SandboxResult result = run(traced("exit 0"));
  EXPECT_EQ(result.exit_code, 0) << shown(result);
  EXPECT_FALSE(result.enforced.contains(Protection::seccomp)) << shown(result);
  EXPECT_THAT(table(result), IsEmpty());
}

TEST(SeccompTrace, IsOnlyThereWhereItWasAskedFor) {
  EXPECT_EQ(run(probe("exit 0")).seccomp_trace, std::nullopt);
}

TEST(SeccompTrace, HasToBeSaidTwice) {
  SandboxSpec spec = traced("exit 0");
  spec.require.clear();
  const SandboxResult result = run_through_library(spec);
  EXPECT_EQ(result.cause, Cause::sandbox_error);
  ASSERT_TRUE(result.error);
  EXPECT_EQ(result.error->code, ErrorCode::invalid_argument);
  EXPECT_EQ(result.error->step, "seccomp");
  EXPECT_EQ(result.error->where, "$.seccomp_mode");
  EXPECT_THAT(result.error->hint, HasSubstr("--danger-no-seccomp"));
}

TEST(SeccompTrace, CountsThreadsAndChildren) {
  COVE_NEEDS_NO_FILTER_AROUND();
  const SandboxResult result =
      run(traced(calls("2") + " ; in-thread " + calls("30") + " ; spawn " + calls("400") +
                 " ; spawn in-thread " + calls("5000") + " ; wait"));
  EXPECT_EQ(result.exit_code, 0) << shown(result);
  // The C library tries clone3 for a thread, and then clone.
  EXPECT_THAT(table(result), ElementsAre("5432 keyctl EPERM", "2 clone3 ENOSYS")) << shown(result);
}

TEST(SeccompTrace, OutlivesAnExec) {
  COVE_NEEDS_NO_FILTER_AROUND();
  const SandboxResult result = run(traced(calls("1") + " ; exec /bin/probe " + calls("2")));
  EXPECT_THAT(table(result), ElementsAre("3 keyctl EPERM")) << shown(result);
}

TEST(SeccompTrace, OfACallThatWouldKillGoesOn) {
  COVE_NEEDS_NO_FILTER_AROUND();
  const TempDirectory directory;
  put_file(directory / "filter.json", all_but("keyctl", "kill_process"));
  SandboxSpec spec = probe(calls("1"));
  spec.seccomp = directory / "filter.json";
  EXPECT_EQ(run(spec).cause, Cause::seccomp);
  const SandboxResult result = run(traced(calls("3") + " ; print on", *spec.seccomp));
  EXPECT_EQ(result.exit_code, 0) << shown(result);
  EXPECT_THAT(output(result), HasSubstr("on\n"));
  EXPECT_THAT(table(result), ElementsAre("3 keyctl kill_process")) << shown(result);
  EXPECT_EQ(result.seccomp_trace->filter, *spec.seccomp);
}

TEST(SeccompTrace, ShowsANumberThatHasNoName) {
  COVE_NEEDS_NO_FILTER_AROUND();
  const SandboxResult result = run(traced("calls 1000 1000 2 ; calls 400 400 1"));
  EXPECT_THAT(output(result), HasSubstr("calls: ENOSYS"));
  EXPECT_THAT(table(result), ElementsAre("2 1000 ENOSYS", "1 400 ENOSYS")) << shown(result);
}

TEST(SeccompTrace, IsBoundedWhateverIsCalled) {
  COVE_NEEDS_NO_FILTER_AROUND();
  const SandboxResult result = run(traced("calls 10000 10999 2"));
  EXPECT_EQ(result.exit_code, 0) << shown(result);
  ASSERT_TRUE(result.seccomp_trace);
  EXPECT_EQ(result.seccomp_trace->calls.size(), 512u);
  EXPECT_EQ(result.seccomp_trace->other_calls, 2u * (1000 - 512));
}

// execve itself, and all that comes before the first instruction of the program.
TEST(SeccompTrace, OfAFilterThatRefusesEverythingStartsTheProgramToo) {
  const TempDirectory directory;
  put_file(directory / "filter.json", R"({"defaultAction": "SCMP_ACT_KILL_PROCESS"})");
  const SandboxResult result = run(traced("print here", directory / "filter.json"));
  EXPECT_EQ(output(result), "here\n") << shown(result);
  EXPECT_THAT(table(result), ::testing::Contains("1 execve kill_process")) << shown(result);
  EXPECT_THAT(table(result), ::testing::Contains("1 exit_group kill_process")) << shown(result);
}

TEST(SeccompTrace, OfACommandThatIsNotThereEndsAsWithoutIt) {
  SandboxSpec spec = traced("");
  spec.command = {"no-such-command"};
  const SandboxResult result = run(spec);
  ASSERT_TRUE(result.error) << shown(result);
  EXPECT_EQ(result.error->code, ErrorCode::command_not_found);
  EXPECT_EQ(result.error->step, "exec");
  EXPECT_EQ(exit_status(result), 127);
}

TEST(SeccompTrace, OfDockersProfile) {
  if (!exists(kDockersProfile)) GTEST_SKIP() << "needs file " << kDockersProfile;
  const SandboxResult result = run(traced(calls("2") + " ; unshare 0x10000000", kDockersProfile));
  EXPECT_EQ(result.exit_code, 0) << shown(result);
  EXPECT_THAT(table(result), ElementsAre("2 keyctl EPERM", "1 unshare EPERM")) << shown(result);
}

TEST(SeccompTrace, OfAnActionThatAsksAListenerIsENOSYS) {
  COVE_NEEDS_NO_FILTER_AROUND();
  const TempDirectory directory;
  put_file(directory / "filter.json", R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
    {"names": ["keyctl"], "action": "SCMP_ACT_NOTIFY"}]})");
  SandboxSpec spec = probe(calls("1"));
  spec.seccomp = directory / "filter.json";
  EXPECT_EQ(output(run(spec)), "calls: ENOSYS\n");
  const SandboxResult result = run(traced(calls("2"), *spec.seccomp));
  EXPECT_THAT(table(result), ElementsAre("2 keyctl ENOSYS")) << shown(result);
}

TEST(SeccompTrace, LeavesTheHostsDirectoriesGuarded) {
  COVE_NEEDS_NO_FILTER_AROUND();
  COVE_NEEDS_IDMAPPED_BINDS();
  const TempDirectory source;
  SandboxSpec spec = traced("put /data/file x ; chmod /data/file 04755 ; " + calls("1"), "strict");
  spec.mounts = {bind_of(source.path(), "/data")};
  const SandboxResult result = run(spec);
  EXPECT_THAT(output(result), HasSubstr("chmod: EPERM\n")) << shown(result);
  EXPECT_EQ(result.enforced.at(Protection::setuid_files), "filter:no-setuid-files");
  EXPECT_THAT(table(result), ElementsAre("1 keyctl EPERM")) << shown(result);
}

TEST(SeccompTrace, WorksWithATerminal) {
  COVE_NEEDS_NO_FILTER_AROUND();
  SandboxSpec spec = traced(calls("2"));
  spec.tty = true;
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.exit_code, 0) << shown(result);
  EXPECT_THAT(table(result), ElementsAre("2 keyctl EPERM")) << shown(result);
}

TEST(SeccompTrace, DoesNotHoldUpTheTimeLimit) {
  COVE_NEEDS_NO_FILTER_AROUND();
  SandboxSpec spec = traced("spawn " + calls("0") + " ; spawn " + calls("0") + " ; " + calls("0"));
  spec.timeout = std::chrono::milliseconds(300);
  const auto began = std::chrono::steady_clock::now();
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::timeout) << shown(result);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
  ASSERT_EQ(result.seccomp_trace->calls.size(), 1u) << shown(result);
  EXPECT_GT(result.seccomp_trace->calls[0].count, 100u) << shown(result);
}

TEST(SeccompTrace, NeedsADescriptorForItself) {
  SandboxSpec spec = traced("exit 0");
  spec.resources.open_files = 3;
  const SandboxResult result = run(spec);
  ASSERT_TRUE(result.error) << shown(result);
  EXPECT_EQ(result.error->code, ErrorCode::setup_failed);
  EXPECT_EQ(result.error->step, "seccomp");
  EXPECT_EQ(result.error->sys_errno, EMFILE);
  EXPECT_THAT(result.error->hint, HasSubstr("open_files"));
}

// Allows all but what lies on the way from the filter to the program's first instruction.
constexpr const char* kRefusesTheWay = R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
  {"names": ["execve", "sendmsg", "close"], "action": "SCMP_ACT_KILL_PROCESS"}]})";

class TracedFilter : public ::testing::Test {
 protected:
  static constexpr int kNotLoaded = 202;

  void SetUp() override {
    const TempDirectory directory;
    put_file(directory / "filter.json", kRefusesTheWay);
    const auto filter = find_filter(directory / "filter.json", -1);
    ASSERT_TRUE(filter.has_value()) << filter.error().message();
    auto traced = tracing_filter(filter->program);
    ASSERT_TRUE(traced.has_value()) << traced.error().message();
    program_ = std::move(*traced);
    auto link = make_socket_pair();
    ASSERT_TRUE(link.has_value());
    link_ = std::move(*link);
  }

  // A process that loads the filter and exits with what `then` says.
  template <typename Then>
  pid_t load_in_child(Then then) {
    const pid_t child = fork();
    EXPECT_GE(child, 0);
    if (child != 0) return child;
    alarm(10);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) _exit(201);
    if (!load_traced_filter(program_, link_.second)) _exit(kNotLoaded);
    _exit(then());
  }

  static int status_of(pid_t child) {
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
  }

  std::vector<sock_filter> program_;
  SocketPair link_;
};

// Else an exec that waits for an answer would wait for ever behind a supervisor that was killed: the
// caller itself would keep open what it waits for.
TEST_F(TracedFilter, IsKeptByNobodyButWhoListens) {
  const pid_t child = load_in_child([] {
    char* const words[] = {const_cast<char*>("/bin/true"), nullptr};
    execve(words[0], words, words + 1);
    return errno;
  });
  auto message = receive_message(link_.first);
  ASSERT_TRUE(message.has_value());
  ASSERT_EQ(message->fds.size(), 1u);
  pollfd asked{message->fds[0].number(), POLLIN, 0};
  EXPECT_EQ(poll(&asked, 1, 5000), 1) << "its execve waits";
  message->fds.clear();
  EXPECT_EQ(status_of(child), ENOSYS);
}

TEST_F(TracedFilter, WithNobodyThereToListenFailsAndDoesNotWait) {
  link_.first.reset();
  EXPECT_EQ(status_of(load_in_child([] { return 0; })), kNotLoaded);
}

TEST_F(TracedFilter, IsTheOnlyOneOfAProcessWithAListener) {
  const pid_t child = load_in_child([this] {
    const auto second = load_traced_filter(program_, link_.second);
    return second || second.error().hint.empty() ? 0 : second.error().sys_errno;
  });
  EXPECT_EQ(status_of(child), EBUSY);
}

std::vector<std::string> tracing_command(const std::string& commands) {
  return cove_run({"--seccomp-mode", "trace", "--danger-no-seccomp"}, commands);
}

TEST(SeccompTraceCommand, PrintsATable) {
  COVE_NEEDS_NO_FILTER_AROUND();
  const CommandOutcome outcome = run_command(tracing_command(calls("12")));
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(remarks_of(outcome),
              HasSubstr("cove: the seccomp filter default was not enforced; it would have refused "
                        "12 calls\n"
                        "cove:        12  keyctl  EPERM\n"
                        "cove: to allow these: \"syscalls\": [\"keyctl\"]\n"));
}

TEST(SeccompTraceCommand, IsRefusedWithoutItsDanger) {
  const CommandOutcome outcome = run_command(cove_run({"--seccomp-mode", "trace"}, "print ran"));
  EXPECT_EQ(outcome.status, 125);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("add --danger-no-seccomp"));
}

TEST(SeccompTraceCommand, LosesNoCallToSignals) {
  COVE_NEEDS_NO_FILTER_AROUND();
  RunningCommand run(tracing_command("print up ; spawn " + calls("5000") + " ; in-thread " +
                                     calls("5000") + " ; wait"));
  ASSERT_TRUE(run.wait_for_output("up\n"));
  for (int i = 0; i < 400; ++i) {
    run.kill(SIGWINCH);
    std::this_thread::sleep_for(std::chrono::microseconds(500));
  }
  const CommandOutcome outcome = run.wait();
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.err, HasSubstr("    10000  keyctl  EPERM\n"));
}

// Stopped while calls wait for its answers, and killed: what waited fails, and nothing is left.
TEST(SeccompTraceCommand, KilledWhileCallsWaitLeavesNothing) {
  const std::string marker = unique_marker();
  RunningCommand run(
      tracing_command("mark " + marker + " ; print up ; spawn " + calls("0") + " ; " + calls("0")));
  ASSERT_TRUE(run.wait_for_output("up\n"));
  run.kill(SIGSTOP);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(processes_with(marker).size(), 3u) << "two wait; the third is `cove`";
  run.kill(SIGKILL);
  run.wait();
  EXPECT_EQ(processes_left(marker, 2), 0u);
}

// Before, while and after the listener goes up; and while the exec waits for an answer, and init for
// the exec.
TEST(SeccompTraceCommand, KilledAtAnyMomentOfItsStartLeavesNothing) {
  const PrivateGroups groups;
  const TempDirectory directory;
  put_file(directory / "filter.json", R"({"defaultAction": "SCMP_ACT_KILL_PROCESS"})");
  const std::string marker = unique_marker();
  for (int i = 0; i < 40; ++i) {
    RunningCommand run(
        cove_run({"--seccomp-mode", "trace", "--danger-no-seccomp", "--security-opt",
                  "seccomp=" + (directory / "filter.json"), "--cgroup-parent", groups.parent()},
                 "mark " + marker + " ; sleep 300"));
    std::this_thread::sleep_for(std::chrono::microseconds(i * 200));
    run.kill(SIGKILL);
    run.wait();
  }
  EXPECT_EQ(processes_left(marker, 2), 0u);
  const double end = seconds_now() + 2;
  while (!groups.left().empty() && seconds_now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_THAT(groups.left(), IsEmpty()) << "a group with a process in it cannot be removed";
}

}  // namespace
}  // namespace cove::testing
