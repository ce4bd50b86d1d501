// How a program's end is told: its own exit, a signal, a command that is not there, and Cove's own
// failures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

void expect_exit(const SandboxResult& result, int code) {
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  EXPECT_EQ(result.exit_code, code);
  EXPECT_EQ(result.signal, std::nullopt);
  EXPECT_EQ(result.process_status, code == 0 ? ProcessStatus::completed : ProcessStatus::error);
  EXPECT_FALSE(result.error);
}

void expect_signal(const SandboxResult& result, const std::string& name) {
  EXPECT_EQ(result.cause, Cause::signaled) << shown(result);
  EXPECT_EQ(result.signal, name);
  EXPECT_EQ(result.exit_code, std::nullopt);
  EXPECT_EQ(result.process_status, ProcessStatus::error);
  EXPECT_FALSE(result.error);
}

void expect_error(const SandboxResult& result, ErrorCode code, const std::string& step,
                  int status) {
  EXPECT_EQ(result.cause, Cause::sandbox_error) << shown(result);
  EXPECT_EQ(result.exit_code, std::nullopt);
  ASSERT_TRUE(result.error) << shown(result);
  EXPECT_EQ(result.error->code, code) << result.error->message();
  EXPECT_EQ(result.error->step, step) << result.error->message();
  EXPECT_EQ(exit_status(result), status);
  EXPECT_THAT(result.error->message(), ::testing::Not(HasSubstr("\n")));
}

TEST(Exit, ZeroIsCompleted) {
  const SandboxResult result = run(probe("print hello"));
  expect_exit(result, 0);
  EXPECT_EQ(output(result), "hello\n");
  EXPECT_EQ(result.sandbox_id.size(), 26u);
  EXPECT_GT(result.startup_ms, 0);
  EXPECT_GT(result.duration_ms, 0);
}

TEST(Exit, KeepsTheProgramsCode) { expect_exit(run(probe("exit 42")), 42); }
TEST(Exit, Code124IsNoTimeout) {
  SandboxSpec spec = probe("exit 124");
  spec.timeout = std::chrono::seconds(20);
  expect_exit(run(spec), 124);
}
TEST(Exit, Code137IsNeitherKillNorOutOfMemory) { expect_exit(run(probe("exit 137")), 137); }
TEST(Exit, Code125IsTheProgramsOwn) { expect_exit(run(probe("exit 125")), 125); }
TEST(Exit, Code255IsKept) { expect_exit(run(probe("exit 255")), 255); }

TEST(Exit, KillingItselfIsASignalAndNotOutOfMemory) {
  const SandboxResult result = run(probe("kill-self 9"));
  expect_signal(result, "SIGKILL");
  EXPECT_EQ(exit_status(result), 137);
  EXPECT_EQ(result.events.oom_kills, 0u);
}
TEST(Exit, DefaultActionsOfSignalsWork) {
  expect_signal(run(probe("kill-self 15")), "SIGTERM");
  expect_signal(run(probe("kill-self 6")), "SIGABRT");
  expect_signal(run(probe("kill-self 13")), "SIGPIPE");
}
TEST(Exit, ARealTimeSignalHasAName) {
  const SandboxResult result = run(probe("kill-self 40"));
  EXPECT_EQ(result.cause, Cause::signaled) << shown(result);
  EXPECT_TRUE(result.signal);
  EXPECT_EQ(exit_status(result), 168);
}

TEST(Exit, AChildThatIsKilledDoesNotChangeTheParentsEnd) {
  const SandboxResult result = run(probe("spawn kill-self 9 ; wait ; exit 7"));
  expect_exit(result, 7);
  EXPECT_EQ(output(result), "child: signal 9\n");
}

TEST(Exit, ACommandThatIsNotInThePathIsNotFound) {
  SandboxSpec spec = probe("");
  spec.command = {"no-such-program"};
  const SandboxResult result = run(spec);
  expect_error(result, ErrorCode::command_not_found, "exec", 127);
  EXPECT_EQ(result.error->where, "no-such-program");
}
TEST(Exit, AFileThatIsNotThereIsNotFound) {
  SandboxSpec spec = probe("");
  spec.command = {"/bin/no-such-program"};
  expect_error(run(spec), ErrorCode::command_not_found, "exec", 127);
}
TEST(Exit, ACommandIsFoundInThePathOfTheSpec) {
  const RootDirectory root;
  root.make_directory("/odd place");
  std::rename(root.outside("/bin/probe").c_str(), root.outside("/odd place/tool").c_str());
  SandboxSpec spec = probe({}, root);
  spec.command = {"tool", "print", "here"};
  spec.env["PATH"] = "/nowhere:/odd place";
  EXPECT_EQ(output(run(spec)), "here\n");
}
TEST(Exit, AFileWithoutExecutePermissionIsNotExecutable) {
  const RootDirectory root;
  root.put("/bin/plain", "#!/bin/probe\n", 0644);
  SandboxSpec spec = probe({}, root);
  for (const char* name : {"/bin/plain", "plain"}) {
    spec.command = {name};
    const SandboxResult result = run(spec);
    expect_error(result, ErrorCode::command_not_executable, "exec", 126);
    EXPECT_EQ(result.error->sys_errno, EACCES);
    EXPECT_EQ(result.error->where, "/bin/plain");
    EXPECT_THAT(result.error->hint, HasSubstr("execute permission"));
  }
}
TEST(Exit, ADirectoryIsNotExecutable) {
  SandboxSpec spec = probe("");
  spec.command = {"/srv"};
  expect_error(run(spec), ErrorCode::command_not_executable, "exec", 126);
}
TEST(Exit, AFileOfNoKnownFormatIsNotHandedToAShell) {
  const RootDirectory root;
  root.put("/bin/noise", std::string("\x01\x02\x03\x04", 4), 0755);
  root.put("/bin/bare", "exit 3\n", 0755);
  SandboxSpec spec = probe({}, root);
  for (const char* name : {"/bin/noise", "bare"}) {
    spec.command = {name};
    const SandboxResult result = run(spec);
    expect_error(result, ErrorCode::command_not_executable, "exec", 126);
    EXPECT_EQ(result.error->sys_errno, ENOEXEC);
    EXPECT_THAT(result.error->hint, HasSubstr("#!"));
  }
}
TEST(Exit, AMissingInterpreterIsNotAMissingCommand) {
  const RootDirectory root;
  root.put("/bin/script", "#!/usr/bin/no-such-interpreter\n", 0755);
  SandboxSpec spec = probe({}, root);
  spec.command = {"/bin/script"};
  const SandboxResult result = run(spec);
  expect_error(result, ErrorCode::command_not_executable, "exec", 126);
  EXPECT_THAT(result.error->what, HasSubstr("interpreter"));
}
TEST(Exit, AScriptIsRunByItsInterpreter) {
  const RootDirectory root;
  root.put("/bin/script", "#!/bin/probe print\n", 0755);
  SandboxSpec spec = probe({}, root);
  spec.command = {"script"};
  EXPECT_EQ(output(run(spec)), "/bin/script\n");
}
TEST(Exit, ALinkThatLeadsNowhereIsNotFound) {
  const RootDirectory root;
  root.link("/bin/dangling", "/bin/gone");
  SandboxSpec spec = probe({}, root);
  spec.command = {"/bin/dangling"};
  expect_error(run(spec), ErrorCode::command_not_found, "exec", 127);
}

TEST(Exit, ARootDirectoryThatIsMissingIsCovesError) {
  SandboxSpec spec = probe("exit 0");
  spec.rootfs = "/no/such/directory";
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::sandbox_error);
  ASSERT_TRUE(result.error);
  EXPECT_THAT(result.error->message(), HasSubstr("/no/such/directory"));
  EXPECT_EQ(exit_status(result), 125);
  EXPECT_THAT(result.sandbox_id, IsEmpty());
}
TEST(Exit, ARootThatIsAFileIsCovesError) {
  const TempDirectory directory;
  put_file(directory / "file", "x");
  SandboxSpec spec = probe("exit 0");
  spec.rootfs = directory / "file";
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::sandbox_error) << shown(result);
  EXPECT_EQ(exit_status(result), 125);
}
TEST(Exit, MistakesOfASpecAreReportedTogether) {
  SandboxSpec spec = probe("exit 0");
  spec.resources.memory = kibibytes(1);
  spec.timeout = std::chrono::seconds(0);
  spec.workdir = "relative";
  const SandboxResult result = run(spec);
  ASSERT_TRUE(result.error) << shown(result);
  EXPECT_EQ(result.error->code, ErrorCode::invalid_argument);
  EXPECT_EQ(lines_of(result.error->message()).size(), 3u) << result.error->message();
}
TEST(Exit, AnEmptyCommandIsRefused) {
  SandboxSpec spec = probe("");
  spec.command = std::vector<std::string>{};
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::sandbox_error);
  ASSERT_TRUE(result.error);
  EXPECT_EQ(result.error->where, "$.command");
}
TEST(Exit, AVeryLongArgumentArrivesWhole) {
  const std::string word(100'000, 'x');
  EXPECT_EQ(output(run(probe(std::vector<std::string>{"print", word}))), word + "\n");
}
TEST(Exit, ArgumentsThatTheKernelFindsTooLongAreAClearError) {
  const std::string word(200'000, 'x');  // MAX_ARG_STRLEN is 131072
  const SandboxResult result = run(probe(std::vector<std::string>{"print", word}));
  expect_error(result, ErrorCode::command_not_executable, "exec", 126);
  EXPECT_EQ(result.error->sys_errno, E2BIG);
}
TEST(Exit, ArgumentsKeepEveryByte) {
  const std::string word = "a b\tc\n\xff\x80 \"'\\$(id)";
  EXPECT_EQ(output(run(probe(std::vector<std::string>{"print", word}))), word + "\n");
}

// ---- the same through the command line: status, and one line on stderr ----

CommandOutcome run_program(const RootDirectory& root, const std::vector<std::string>& words) {
  std::vector<std::string> argv{command_path(), "run", "--rootfs", root.path(), "--"};
  argv.insert(argv.end(), words.begin(), words.end());
  return run_command(argv);
}

void expect_one_line(const CommandOutcome& outcome, int status) {
  EXPECT_EQ(outcome.status, status);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(remarks_of(outcome), StartsWith("cove: "));
  EXPECT_EQ(lines_of(remarks_of(outcome)).size(), 1u) << outcome.err;
}

TEST(ExitOfTheCommand, IsTheProgramsAndSaysNothingMore) {
  for (const int code : {0, 1, 42, 124, 125, 126, 127, 137, 255}) {
    const CommandOutcome outcome = run_command(cove_run({}, "exit " + std::to_string(code)));
    EXPECT_EQ(outcome.status, code);
    EXPECT_EQ(remarks_of(outcome), "");
  }
}
TEST(ExitOfTheCommand, IsPassedOnWithTheOutput) {
  const CommandOutcome outcome = run_command(cove_run({}, "print out ; print-error err ; exit 3"));
  EXPECT_EQ(outcome.status, 3);
  EXPECT_EQ(outcome.out, "out\n");
  EXPECT_EQ(remarks_of(outcome), "err\n");
}
TEST(ExitOfTheCommand, SaysWhichSignal) {
  const CommandOutcome outcome = run_command(cove_run({}, "kill-self 9"));
  expect_one_line(outcome, 137);
  EXPECT_THAT(remarks_of(outcome), HasSubstr("SIGKILL"));
}
TEST(ExitOfTheCommand, Is127ForAMissingProgram) {
  const CommandOutcome outcome = run_program(RootDirectory::shared(), {"no-such-program"});
  expect_one_line(outcome, 127);
  EXPECT_THAT(remarks_of(outcome), HasSubstr("no-such-program"));
}
TEST(ExitOfTheCommand, Is126ForWhatCannotBeExecuted) {
  const RootDirectory root;
  root.put("/bin/plain", "x", 0644);
  const CommandOutcome outcome = run_program(root, {"/bin/plain"});
  expect_one_line(outcome, 126);
  EXPECT_THAT(remarks_of(outcome), HasSubstr("Permission denied"));
}
TEST(ExitOfTheCommand, Is125ForAMissingRoot) {
  const CommandOutcome outcome =
      run_command({command_path(), "run", "--rootfs", "/no/such/directory", "--", "true"});
  expect_one_line(outcome, 125);
}
TEST(ExitOfTheCommand, Is125ForAnUnknownOption) {
  expect_one_line(run_command({command_path(), "run", "--no-such-option", "--rootfs", "/", "true"}),
                  125);
}
TEST(ExitOfTheCommand, Is125ForAnImageThatIsNotThere) {
  const CommandOutcome outcome =
      run_command({command_path(), "run", "no-such-image-at-all", "--", "true"});
  expect_one_line(outcome, 125);
  EXPECT_THAT(remarks_of(outcome), HasSubstr("no-such-image-at-all"));
}
TEST(ExitOfTheCommand, TellsTheSameInJson) {
  const CommandOutcome outcome = run_command(cove_run({"--json"}, "exit 124"));
  EXPECT_EQ(outcome.status, 124);
  EXPECT_EQ(remarks_of(outcome), "");
  EXPECT_EQ(lines_of(outcome.out).size(), 1u);
  EXPECT_THAT(outcome.out, HasSubstr(R"("cause":"exited")"));
}
TEST(ExitOfTheCommand, TheLibraryAndTheCommandSayTheSame) {
  const SandboxSpec spec = probe("print one ; print-error two ; exit 9");
  const SandboxResult library = run_through_library(spec), command = run_through_command(spec);
  EXPECT_EQ(library.cause, command.cause) << shown(library) << shown(command);
  EXPECT_EQ(library.exit_code, command.exit_code);
  EXPECT_EQ(library.stdout_stream.bytes, command.stdout_stream.bytes);
  EXPECT_EQ(library.stderr_stream.bytes, command.stderr_stream.bytes);
  EXPECT_EQ(library.enforced, command.enforced);
}

}  // namespace
}  // namespace cove::testing
