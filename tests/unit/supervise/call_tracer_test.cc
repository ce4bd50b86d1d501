// What of traced calls is kept, whatever a program calls. The rest is tests/integration's.
#include "runtime/supervise/call_tracer.h"

#include <gtest/gtest.h>
#include <seccomp.h>
#include <sys/syscall.h>

#include <cerrno>

namespace cove {
namespace {

constexpr std::uint32_t kEperm = SECCOMP_RET_ERRNO | EPERM;

seccomp_data call(int number, std::uint32_t architecture = seccomp_arch_native()) {
  seccomp_data data{};
  data.nr = number;
  data.arch = architecture;
  return data;
}

void add_times(CallCounts& counts, int number, std::uint32_t answer, int times) {
  for (int i = 0; i < times; ++i) counts.add(call(number), answer);
}

std::string text(const TracedCall& call) {
  return call.syscall + " " + call.architecture + " " + call.answer + " " +
         std::to_string(call.count);
}

TEST(CallCounts, AreSortedByCountAndThenByName) {
  CallCounts counts;
  add_times(counts, SYS_socket, SECCOMP_RET_ERRNO | EAFNOSUPPORT, 2);
  add_times(counts, SYS_mount, kEperm, 5);
  add_times(counts, SYS_bpf, SECCOMP_RET_KILL_PROCESS, 2);
  const auto calls = counts.calls();
  ASSERT_EQ(calls.size(), 3u);
  EXPECT_EQ(text(calls[0]), "mount x86_64 EPERM 5");
  EXPECT_EQ(text(calls[1]), "bpf x86_64 kill_process 2");
  EXPECT_EQ(text(calls[2]), "socket x86_64 EAFNOSUPPORT 2");
  EXPECT_EQ(counts.others(), 0u);
}

TEST(CallCounts, TellAnswersAndArchitecturesApart) {
  CallCounts counts;
  add_times(counts, SYS_ioctl, kEperm, 1);
  add_times(counts, SYS_ioctl, SECCOMP_RET_ERRNO | ENOTTY, 1);
  counts.add(call(54, SCMP_ARCH_X86), SECCOMP_RET_ERRNO | ENOSYS);
  const auto calls = counts.calls();
  ASSERT_EQ(calls.size(), 3u);
  EXPECT_EQ(text(calls[0]), "ioctl i386 ENOSYS 1");
  EXPECT_EQ(text(calls[1]), "ioctl x86_64 ENOTTY 1");
  EXPECT_EQ(text(calls[2]), "ioctl x86_64 EPERM 1");
}

TEST(CallCounts, AreBounded) {
  CallCounts counts;
  const int kinds = static_cast<int>(CallCounts::kMostCalls);
  for (int number = 10000; number < 10000 + kinds + 100; ++number)
    add_times(counts, number, SECCOMP_RET_ERRNO | ENOSYS, 1);
  add_times(counts, 10000, SECCOMP_RET_ERRNO | ENOSYS, 8);
  const auto calls = counts.calls();
  ASSERT_EQ(calls.size(), CallCounts::kMostCalls);
  EXPECT_EQ(text(calls[0]), "10000 x86_64 ENOSYS 9") << "a known one is counted further";
  EXPECT_EQ(counts.others(), 100u);
}

}  // namespace
}  // namespace cove
