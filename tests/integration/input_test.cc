// Where the program's standard input comes from.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "tests/support/host.h"
#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

constexpr std::size_t kMuch = std::size_t{10} << 20;

SandboxSpec with_input(const std::string& commands, std::string bytes) {
  SandboxSpec spec = probe(commands);
  spec.stdin_source = StdinData{std::move(bytes)};
  return spec;
}

TEST(Input, IsEmptyByDefault) {
  const SandboxResult result = run(probe("count-stdin ; readlink /proc/self/fd/0"));
  EXPECT_EQ(output(result), "stdin: 0 ok\nlink: /dev/null\n");
}
TEST(Input, DataArrivesAndEnds) {
  const SandboxResult result = run(with_input("echo-stdin ; count-stdin", "line\n\xff\x01 end"));
  EXPECT_EQ(output(result), "line\n\xff\x01 endstdin: 0 ok\n") << shown(result);
}
TEST(Input, EmptyDataIsAnEmptyStream) {
  EXPECT_EQ(output(run(with_input("count-stdin", ""))), "stdin: 0 ok\n");
}
TEST(Input, TenMebibytesComeBackWhole) {
  const std::string bytes = pattern(0, kMuch);
  SandboxSpec spec = with_input("echo-stdin", bytes);
  const SandboxResult result = run_through_library(spec);
  EXPECT_TRUE(output(result) == bytes) << shown(result);
}
TEST(Input, AProgramThatNeverReadsIsNotHeldUp) {
  const double began = seconds_now();
  const SandboxResult result = run_through_library(with_input("exit 3", pattern(0, kMuch)));
  EXPECT_EQ(result.exit_code, 3) << shown(result);
  EXPECT_LT(seconds_now() - began, 5);
}
TEST(Input, AProgramThatClosesItEarlyIsNotHeldUp) {
  const SandboxResult result =
      run_through_library(with_input("close 0 ; print on ; sleep 0.1 ; exit 3", pattern(0, kMuch)));
  EXPECT_EQ(result.exit_code, 3) << shown(result);
  EXPECT_EQ(output(result), "on\n");
}
TEST(Input, InheritOfTheLibraryCopiesTheDescriptor) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  SandboxSpec spec = probe("echo-stdin");
  spec.stdin_source = StdinInherit{};
  Streams streams;
  streams.stdin_fd = ends[0];
  auto sandbox = shared_engine().launch(spec, streams);
  ASSERT_TRUE(sandbox) << sandbox.error().message();
  ASSERT_EQ(write(ends[1], "given", 5), 5);
  close(ends[1]);
  EXPECT_EQ(output(sandbox->wait()), "given");
  close(ends[0]);
}
TEST(Input, TheCallersDescriptorItselfIsNeverInside) {
  const TempDirectory directory;
  put_file(directory / "input", "original", 0666);
  const int fd = open((directory / "input").c_str(), O_RDONLY | O_CLOEXEC);
  SandboxSpec spec =
      probe("readlink /proc/self/fd/0 ; put /proc/self/fd/0 overwritten ; open /proc/self/fd/0 rw");
  spec.stdin_source = StdinInherit{};
  Streams streams;
  streams.stdin_fd = fd;
  const SandboxResult result = shared_engine().run(spec, streams);
  close(fd);
  EXPECT_THAT(output(result), ::testing::StartsWith("link: pipe:")) << shown(result);
  EXPECT_EQ(contents_of(directory / "input"), "original");
}

TEST(InputOfTheCommand, IsEmptyUnlessAskedFor) {
  CommandOptions options;
  options.input = "secret of the caller's";
  EXPECT_EQ(run_command(cove_run({}, "count-stdin"), options).out, "stdin: 0 ok\n");
}
TEST(InputOfTheCommand, ComesFromAPipe) {
  CommandOptions options;
  options.input = pattern(0, kMuch);
  const CommandOutcome outcome = run_command(cove_run({"-i"}, "echo-stdin"), options);
  EXPECT_TRUE(outcome.out == pattern(0, kMuch)) << outcome.err;
  EXPECT_LT(outcome.peak_resident_kib, 64u * 1024);
}
TEST(InputOfTheCommand, ComesFromAFile) {
  const TempDirectory directory;
  put_file(directory / "input", pattern(0, 300'000));
  CommandOptions options;
  options.stdin_fd = open((directory / "input").c_str(), O_RDONLY | O_CLOEXEC);
  const CommandOutcome outcome =
      run_command(cove_run({"-i"}, "readlink /proc/self/fd/0 ; echo-stdin"), options);
  close(options.stdin_fd);
  const std::size_t newline = outcome.out.find('\n');
  EXPECT_THAT(outcome.out.substr(0, newline), ::testing::StartsWith("link: pipe:"));
  EXPECT_TRUE(outcome.out.substr(newline + 1) == pattern(0, 300'000));
}
TEST(InputOfTheCommand, ComesFromASocket) {
  std::array<int, 2> ends{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  CommandOptions options;
  options.stdin_fd = ends[0];
  RunningCommand run(cove_run({"-i"}, "echo-stdin"), options);
  close(ends[0]);
  ASSERT_EQ(write(ends[1], "by socket", 9), 9);
  close(ends[1]);
  EXPECT_EQ(run.wait().out, "by socket");
}
TEST(InputOfTheCommand, ArrivesAsItIsWritten) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  CommandOptions options;
  options.stdin_fd = ends[0];
  RunningCommand run(cove_run({"-i"}, "echo-stdin"), options);
  close(ends[0]);
  ASSERT_EQ(write(ends[1], "first\n", 6), 6);
  EXPECT_TRUE(run.wait_for_output("first\n"));
  ASSERT_EQ(write(ends[1], "second\n", 7), 7);
  EXPECT_TRUE(run.wait_for_output("second\n"));
  close(ends[1]);
  EXPECT_EQ(run.wait().status, 0);
}
TEST(InputOfTheCommand, ThatIsClosedIsAClearErrorOrEmpty) {
  CommandOptions options;
  options.in_child = [] { close(0); };
  const CommandOutcome outcome = run_command(cove_run({"-i"}, "count-stdin"), options);
  if (outcome.status == 0) {
    EXPECT_EQ(outcome.out, "stdin: 0 ok\n");
  } else {
    EXPECT_EQ(outcome.status, 125);
    EXPECT_EQ(lines_of(outcome.err).size(), 1u) << outcome.err;
  }
}
TEST(InputOfTheCommand, AllStreamsClosedHarmNothing) {
  COVE_NEEDS_IDMAPPED_BINDS();
  CommandOptions options;
  options.in_child = [] {
    for (int fd = 0; fd < 3; ++fd) close(fd);
  };
  const RootDirectory& root = RootDirectory::shared();
  const TempDirectory directory;
  // Descriptors that Cove opens now take the numbers 0 to 2: none may reach the program, or be
  // written to.
  std::vector<std::string> argv =
      cove_run({"-v", directory.path() + ":/out"},
               "write-file /out/done 10 ; write-stdout 100 ; exit 5", root);
  const CommandOutcome outcome = run_command(argv, options);
  EXPECT_EQ(outcome.status, 5);
  EXPECT_EQ(contents_of(directory / "done"), "xxxxxxxxxx");
  EXPECT_EQ(outcome.out, "");
}
TEST(InputOfTheCommand, WithinTheSpecArrives) {
  const SandboxResult result =
      run_through_command(with_input("echo-stdin", std::string("a\0b\xff", 4)));
  EXPECT_EQ(output(result), std::string("a\0b\xff", 4));
}
TEST(InputOfTheCommand, TheSpecMayComeFromStdin) {
  CommandOptions options;
  options.input = R"({"rootfs": ")" + RootDirectory::shared().path() +
                  R"(", "command": ["/bin/probe", "count-stdin"]})";
  const CommandOutcome outcome = run_command({command_path(), "run", "--spec", "-"}, options);
  EXPECT_EQ(outcome.out, "stdin: 0 ok\n") << outcome.err;
}

}  // namespace
}  // namespace cove::testing
