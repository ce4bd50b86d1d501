// A launch finds its image as fast among a hundred as alone. System calls are counted: they say
// the same on every machine, however busy it is.
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>

#include "tests/integration/images/image_store.h"

namespace cove::testing {
namespace {

// An allocator's own: it takes memory when it runs out of it, whatever was asked of it.
bool is_for_memory(std::uint64_t call) {
  return call == SYS_mmap || call == SYS_munmap || call == SYS_mprotect || call == SYS_madvise ||
         call == SYS_brk;
}

// Of what a child of ours does between a signal that tells us so and its end. -1: it cannot be
// traced.
template <typename Work>
int count_system_calls(Work work) {
  const pid_t child = fork();
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(1);
    raise(SIGSTOP);
    const bool done = work();
    _exit(done ? 0 : 2);
  }
  int status = 0, calls = 0;
  waitpid(child, &status, 0);
  if (!WIFSTOPPED(status)) return -1;
  EXPECT_EQ(ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD), 0);
  while (ptrace(PTRACE_SYSCALL, child, nullptr, nullptr) == 0 &&
         waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
    __ptrace_syscall_info info{};
    EXPECT_GT(ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info), 0);
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY && !is_for_memory(info.entry.nr)) ++calls;
  }
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  return calls;
}

TEST_F(ImageStore, FindsAnImageAmongAHundredWithTheSameSystemCalls) {
  const auto load = [&](int number) {
    const std::string name = "image-" + std::to_string(number) + ":v1";
    const Image image{{tar({file("base")}), tar({file("own", name)})}, Filter::none, name};
    const Outcome outcome = run("load -q " + archive("image.tar", image.docker_archive()));
    ASSERT_EQ(outcome.status, 0) << outcome.err;
  };
  const std::string directory = store();
  const auto by_name = [&] { return hold_image(directory, "image-0:v1").has_value(); };
  const auto without_holding = [&] { return find_image(directory, "image-0:v1").has_value(); };
  load(0);
  const int alone = count_system_calls(by_name);
  if (alone < 0) GTEST_SKIP() << "ptrace(2) is forbidden here";
  for (int number = 1; number <= 100; ++number) load(number);
  EXPECT_EQ(count("images/names"), 101U);
  const std::string digest = found("image-0:v1").digest;
  const auto by_digest = [&] { return hold_image(directory, digest).has_value(); };

  EXPECT_EQ(count_system_calls(by_name), alone);
  EXPECT_EQ(count_system_calls(by_digest), alone);
  EXPECT_LE(alone, 12) << "open, lock, look, read, close, and what a process needs to end";
  EXPECT_EQ(alone - count_system_calls(without_holding), 2) << "what it costs to hold it";
}

}  // namespace
}  // namespace cove::testing
