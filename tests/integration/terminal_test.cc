// A terminal of the sandbox's own, and the caller's while it is in use.
#include "tests/support/terminal.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <ctime>

#include "tests/support/host.h"
#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

SandboxSpec with_terminal(const std::string& commands) {
  SandboxSpec spec = probe(commands);
  spec.tty = true;
  return spec;
}

// A spec's program with a keyboard that a test types on.
class Keyboard {
 public:
  Keyboard() {
    if (pipe2(ends_.data(), O_CLOEXEC) != 0) std::abort();
    streams.stdin_fd = ends_[0];
  }
  ~Keyboard() {
    close(ends_[0]);
    if (ends_[1] >= 0) close(ends_[1]);
  }
  void type(const std::string& keys) const { (void)!write(ends_[1], keys.data(), keys.size()); }
  void end() {
    close(ends_[1]);
    ends_[1] = -1;
  }
  Streams streams;

 private:
  std::array<int, 2> ends_{};
};

SandboxSpec with_keyboard(const std::string& commands) {
  SandboxSpec spec = with_terminal(commands);
  spec.stdin_source = StdinInherit{};
  return spec;
}

// ---- What the program has ----

TEST(Terminal, IsNotThereUnlessAskedFor) {
  EXPECT_EQ(output(run(probe("terminal"))),
            "stream 0: none\nstream 1: none\nstream 2: none\ncontrolling: ENXIO\n");
}
TEST(Terminal, IsTheProgramsOwnAndControllingOne) {
  const SandboxResult result = run(with_terminal("terminal"));
  EXPECT_EQ(output(result),
            "stream 0: none\r\nstream 1: /dev/pts/0\r\nstream 2: /dev/pts/0\r\n"
            "controlling: ok foreground owner 1000\r\n")
      << shown(result);
}
TEST(Terminal, TakesStandardInputTooWhereThatIsPassedOn) {
  Keyboard keyboard;
  keyboard.end();
  const SandboxResult result = shared_engine().run(with_keyboard("terminal"), keyboard.streams);
  EXPECT_THAT(output(result), HasSubstr("stream 0: /dev/pts/0")) << shown(result);
}
TEST(Terminal, LeavesAPipedInputAsItIs) {
  Keyboard keyboard;
  keyboard.type(std::string("a\x03\x04z", 4));
  keyboard.end();
  keyboard.streams.input = TerminalInput::piped;
  const SandboxResult result =
      shared_engine().run(with_keyboard("raw ; count-stdin ; terminal"), keyboard.streams);
  EXPECT_THAT(output(result), HasSubstr("stdin: 4 ok\r\n")) << shown(result);
  EXPECT_THAT(output(result), HasSubstr("stream 0: none\r\nstream 1: /dev/pts/0"));
}
TEST(Terminal, MakesOneStreamOfTheOutput) {
  const SandboxResult result = run(with_terminal("print out ; print-error err ; print out"));
  EXPECT_EQ(output(result), "out\r\nerr\r\nout\r\n") << shown(result);
  EXPECT_EQ(result.stderr_stream.total_bytes, 0u);
}
TEST(Terminal, NamesItselfToProgramsAsDockersDoes) {
  EXPECT_THAT(output(run(with_terminal("env"))), HasSubstr("TERM=xterm\r\n"));
  SandboxSpec spec = with_terminal("env");
  spec.env["TERM"] = "vt100";
  EXPECT_THAT(output(run(spec)), HasSubstr("TERM=vt100\r\n"));
  EXPECT_THAT(output(run(probe("env"))), Not(HasSubstr("TERM=")));
}
TEST(Terminal, DeliversEverythingThatWasWrittenBeforeTheEnd) {
  constexpr std::uint64_t kMuch = 1 << 20;
  SandboxSpec spec = with_terminal("raw ; write-stdout " + std::to_string(kMuch));
  for (int i = 0; i < 5; ++i) {
    const SandboxResult result = run(spec);
    // raw has no keyboard to act on here: newlines of the pattern may become two bytes.
    EXPECT_GE(result.stdout_stream.total_bytes, kMuch) << shown(result).substr(0, 2000);
    EXPECT_EQ(result.cause, Cause::exited);
  }
}
TEST(Terminal, HoldsTheOutputLimit) {
  SandboxSpec spec = with_terminal("write-stdout 1000000");
  spec.resources.output = kibibytes(64);
  SandboxResult result = run(spec);
  EXPECT_EQ(result.stdout_stream.bytes.size(), 65536u);
  EXPECT_TRUE(result.stdout_stream.truncated);
  EXPECT_GE(result.stdout_stream.total_bytes, 1000000u);
  spec.resources.output_policy = OutputPolicy::kill;
  result = run(spec);
  EXPECT_EQ(result.cause, Cause::output_limit) << shown(result);
}
TEST(Terminal, StaysThoughAProgramClosesAllItsStreams) {
  const SandboxResult result =
      run(with_terminal("print before ; close 0 ; close 1 ; close 2 ; sleep 0.2 ; "
                        "put /dev/tty after"));
  EXPECT_THAT(output(result), ::testing::StartsWith("before\r\n")) << shown(result);
  EXPECT_THAT(output(result), HasSubstr("after")) << shown(result);
}
TEST(Terminal, EndsWithTheProgramThoughAChildHasItOpen) {
  const double began = seconds_now();
  const SandboxResult result = run(with_terminal("ignore-signal 1 ; spawn sleep 60 ; print done"));
  EXPECT_EQ(output(result), "done\r\n") << shown(result);
  EXPECT_LT(seconds_now() - began, 5 * slowness());
}
TEST(Terminal, IsKilledAtTheTimeLimitLikeAnyProgram) {
  SandboxSpec spec = with_terminal("print start ; ignore-signal 1 ; sleep 60");
  spec.timeout = std::chrono::milliseconds(300);
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::timeout) << shown(result);
  EXPECT_EQ(output(result), "start\r\n");
}

// ---- What is typed ----

TEST(Terminal, EditsAndEchoesLines) {
  Keyboard keyboard;
  keyboard.type("helxx\x7f\x7flo\n");
  keyboard.end();
  const SandboxResult result = shared_engine().run(with_keyboard("echo-stdin"), keyboard.streams);
  EXPECT_EQ(result.exit_code, 0) << shown(result);
  EXPECT_THAT(output(result), HasSubstr("hello\r\n")) << shown(result);
}
TEST(Terminal, TurnsControlCIntoASignalOfTheForeground) {
  Keyboard keyboard;
  auto sandbox = shared_engine().launch(with_keyboard("on-signal 2 interrupted 9 ; ready /tmp/x ; "
                                                      "sleep 60"),
                                        keyboard.streams);
  ASSERT_TRUE(sandbox) << sandbox.error().message();
  usleep(300000);
  keyboard.type("\x03");
  const SandboxResult result = sandbox->wait();
  EXPECT_EQ(result.exit_code, 9) << shown(result);
  EXPECT_THAT(output(result), HasSubstr("interrupted")) << shown(result);
}
TEST(Terminal, PassesEveryKeyToARawProgram) {
  Keyboard keyboard;
  auto sandbox = shared_engine().launch(with_keyboard("raw ; read-keys 4"), keyboard.streams);
  ASSERT_TRUE(sandbox) << sandbox.error().message();
  usleep(300000);
  keyboard.type("\x03\x1a\x04\x11");
  const SandboxResult result = sandbox->wait();
  EXPECT_EQ(output(result), "raw: ok\nkey: 3\nkey: 26\nkey: 4\nkey: 17\n") << shown(result);
}
TEST(Terminal, TypesTheEndOfFileAtTheEndOfTheInput) {
  Keyboard keyboard;
  keyboard.type("one\ntwo\n");
  keyboard.end();
  const SandboxResult result = shared_engine().run(with_keyboard("count-stdin"), keyboard.streams);
  EXPECT_THAT(output(result), HasSubstr("stdin: 8 ok")) << shown(result);
}
// A closed descriptor whose file is open elsewhere stays in an epoll set, and is reported for ever.
TEST(Terminal, WaitingBehindTheEndOfTheInputCostsNothing) {
  for (const TerminalInput input : {TerminalInput::typed, TerminalInput::piped}) {
    Keyboard keyboard;
    keyboard.streams.input = input;
    keyboard.type("one\n");
    keyboard.end();
    const std::clock_t before = std::clock();  // of all threads of this process
    const SandboxResult result =
        shared_engine().run(with_keyboard("sleep 1 ; exit 3"), keyboard.streams);
    EXPECT_EQ(result.exit_code, 3) << shown(result);
    EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.2 * slowness())
        << static_cast<int>(input);
  }
}

// ---- Its size ----

TEST(Terminal, HasTheSizeThatItWasGiven) {
  Streams streams;
  streams.window = {33, 111};
  EXPECT_EQ(output(shared_engine().run(with_terminal("window"), streams)), "window: 33 111\r\n");
}
TEST(Terminal, TellsItsProgramOfANewSize) {
  Streams streams;
  streams.window = {10, 20};
  SandboxSpec spec = with_terminal("on-signal 28 resized 5 ; window ; sleep 60");
  auto sandbox = shared_engine().launch(spec, streams);
  ASSERT_TRUE(sandbox) << sandbox.error().message();
  usleep(300000);
  sandbox->resize({11, 21});
  const SandboxResult result = sandbox->wait();
  EXPECT_EQ(output(result), "window: 10 20\r\nresized\r\n") << shown(result);
  EXPECT_EQ(result.exit_code, 5);
}
TEST(Terminal, ANewSizeWithoutATerminalIsNothing) {
  auto sandbox = shared_engine().launch(probe("sleep 0.3 ; exit 4"), {});
  ASSERT_TRUE(sandbox) << sandbox.error().message();
  sandbox->resize({11, 21});
  EXPECT_EQ(sandbox->wait().exit_code, 4);
}

// ---- `cove run -it`, driven ----

TEST(DrivenTerminal, IsRawWhileTheProgramRunsAndAsBeforeAfterwards) {
  DrivenTerminal terminal(cove_run({"-it"}, "print ready ; read-keys 1 ; exit 3"));
  ASSERT_TRUE(terminal.wait_for("ready")) << terminal.screen();
  EXPECT_TRUE(terminal.is_raw());
  terminal.type("\r");
  EXPECT_EQ(terminal.wait(), 3) << terminal.screen();
  EXPECT_TRUE(terminal.is_as_before());
}
TEST(DrivenTerminal, FollowsTheCallersSize) {
  DrivenTerminal terminal(
      cove_run({"-it"}, "window ; spawn on-signal 28 told 0 ; read-keys 1 ; window"), {31, 101});
  ASSERT_TRUE(terminal.wait_for("window: 31 101")) << terminal.screen();
  terminal.resize({41, 99});
  terminal.read_for(0.3);
  terminal.type("\r");
  EXPECT_TRUE(terminal.wait_for("window: 41 99")) << terminal.screen();
  EXPECT_EQ(terminal.wait(), 0);
}
TEST(DrivenTerminal, SendsControlCInsideOnly) {
  DrivenTerminal terminal(cove_run({"-it"}, "on-signal 2 interrupted 9 ; print ready ; sleep 60"));
  ASSERT_TRUE(terminal.wait_for("ready")) << terminal.screen();
  terminal.type("\x03");
  EXPECT_EQ(terminal.wait(), 9) << terminal.screen();
  EXPECT_THAT(terminal.screen(), HasSubstr("interrupted"));
}
TEST(DrivenTerminal, IsSaneAfterTheProgramWasKilled) {
  DrivenTerminal terminal(cove_run({"-it"}, "raw ; print ready ; sleep 0.1 ; kill-self 9"));
  ASSERT_TRUE(terminal.wait_for("ready")) << terminal.screen();
  EXPECT_EQ(terminal.wait(), 137) << terminal.screen();
  EXPECT_TRUE(terminal.is_as_before());
}
TEST(DrivenTerminal, IsSaneAfterTheSupervisorWasKilled) {
  DrivenTerminal terminal(cove_run({"-it"}, "print ready ; sleep 60"));
  ASSERT_TRUE(terminal.wait_for("ready")) << terminal.screen();
  ASSERT_TRUE(terminal.is_raw());
  terminal.kill(SIGKILL);
  EXPECT_EQ(terminal.wait(), 128 + SIGKILL);
  EXPECT_TRUE(terminal.becomes_as_before());
}
TEST(DrivenTerminal, IsSaneWhileTheSupervisorIsStopped) {
  DrivenTerminal terminal(cove_run({"-it"}, "print ready ; read-keys 1"));
  ASSERT_TRUE(terminal.wait_for("ready")) << terminal.screen();
  terminal.kill(SIGTSTP);
  EXPECT_TRUE(terminal.becomes_as_before());
  terminal.kill(SIGCONT);
  for (int i = 0; i < 100 && !terminal.is_raw(); ++i) usleep(10000);
  EXPECT_TRUE(terminal.is_raw());
  terminal.type("\r");
  EXPECT_EQ(terminal.wait(), 0) << terminal.screen();
}
TEST(DrivenTerminal, IsLeftAloneWithoutInput) {
  DrivenTerminal terminal(cove_run({"-t"}, "on-signal 2 interrupted 9 ; print ready ; sleep 60"));
  ASSERT_TRUE(terminal.wait_for("ready")) << terminal.screen();
  EXPECT_TRUE(terminal.is_as_before());
  terminal.type("\x03");
  EXPECT_EQ(terminal.wait(), 9) << terminal.screen();
}
TEST(DrivenTerminal, IsSaneWhereTheLaunchFails) {
  DrivenTerminal terminal(cove_run({"-it", "-w", "/bin/probe"}, "print never"));
  EXPECT_EQ(terminal.wait(), 125);
  EXPECT_TRUE(terminal.is_as_before());
  EXPECT_THAT(terminal.screen(), HasSubstr("workdir")) << terminal.screen();
}

// ---- Leaving ----

TEST(DrivenTerminal, LetsGoOfASandboxThatGoesOn) {
  const TempDirectory directory;
  const std::string marker = unique_marker();
  const RootDirectory root;
  std::vector<std::string> command = cove_run(
      {"-it", "-v", directory.path() + ":/out"},
      "print ready ; sleep 1 ; print much ; write-file /out/done yes ; print " + marker, root);
  COVE_NEEDS_IDMAPPED_BINDS();
  DrivenTerminal terminal(command);
  ASSERT_TRUE(terminal.wait_for("ready")) << terminal.screen();
  terminal.type("\x10");
  terminal.read_for(0.1);
  EXPECT_TRUE(terminal.is_raw());
  terminal.type("\x11");
  EXPECT_EQ(terminal.wait(), 0) << terminal.screen();
  EXPECT_TRUE(terminal.is_as_before());
  EXPECT_THAT(terminal.screen(), HasSubstr("detached; sandbox "));
  EXPECT_FALSE(exists(directory / "done"));
  EXPECT_EQ(processes_left(marker, 5), 0u);
  EXPECT_TRUE(exists(directory / "done"));
  EXPECT_THAT(terminal.screen(), Not(HasSubstr("much")));
}
TEST(DrivenTerminal, TypesHalfOfTheDetachKeysWithTheNextKey) {
  DrivenTerminal terminal(cove_run({"-it"}, "raw ; print ready ; read-keys 3"));
  ASSERT_TRUE(terminal.wait_for("ready")) << terminal.screen();
  terminal.type("\x10\x10x");
  EXPECT_TRUE(terminal.wait_for("key: 16\nkey: 16\nkey: 120")) << terminal.screen();
  EXPECT_EQ(terminal.wait(), 0);
}
TEST(DrivenTerminal, HasOtherDetachKeysOrNone) {
  DrivenTerminal none(cove_run({"-it", "--detach-keys", ""}, "raw ; print ready ; read-keys 2"));
  ASSERT_TRUE(none.wait_for("ready")) << none.screen();
  none.type("\x10\x11");
  EXPECT_TRUE(none.wait_for("key: 16\nkey: 17")) << none.screen();
  EXPECT_EQ(none.wait(), 0);

  DrivenTerminal other(
      cove_run({"-it", "--detach-keys", "ctrl-a,d"}, "raw ; print ready ; sleep 1"));
  ASSERT_TRUE(other.wait_for("ready")) << other.screen();
  other.type(
      "\x01"
      "d");
  EXPECT_EQ(other.wait(), 0) << other.screen();
  EXPECT_THAT(other.screen(), HasSubstr("detached"));
}

}  // namespace
}  // namespace cove::testing
