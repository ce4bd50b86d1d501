// What the kernel counts for a user or for the whole machine, and not for a sandbox. These two are
// known, and open: a program that takes all of them leaves none for the host. Disabled until they
// are held; docs/security-model.md says so.
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

// The commands that often, and then a while with what they made.
SandboxSpec holding(const std::string& command, int count, const std::string& marker) {
  std::string commands = "mark " + marker + " ; ";
  while (count-- > 0) commands += command + " ; ";
  return Attack(commands + "put /dev/shm/made x ; sleep 60").spec;
}
bool has_made(const std::string& marker) {
  for (const pid_t pid : processes_with(marker)) {
    if (exists("/proc/" + std::to_string(pid) + "/root/dev/shm/made")) return true;
  }
  return false;
}

// fs.inotify.max_user_instances, 128, is the caller's: a user namespace's are charged to whoever made
// it as well.
TEST(Escape, DISABLED_InotifyInstancesAreNotTheCallers) {
  const auto possible = [] {
    std::vector<int> made;
    for (int fd; made.size() < 10000 && (fd = inotify_init1(IN_CLOEXEC)) >= 0;) made.push_back(fd);
    for (const int fd : made) close(fd);
    return made.size();
  };
  const std::size_t before = possible();
  const std::string marker = unique_marker();
  auto sandbox = shared_engine().launch(holding("syscall inotify_init 253", 16, marker));
  ASSERT_TRUE(sandbox);
  ASSERT_TRUE(eventually([&] { return has_made(marker); }));
  EXPECT_EQ(possible(), before);
  sandbox->cancel();
  sandbox->wait();
}

// fs.aio-max-nr, 65536, is the machine's.
TEST(Escape, DISABLED_AsynchronousRequestsAreNotTheMachines) {
  const auto in_use = [] { return std::stoul(contents_of("/proc/sys/fs/aio-nr")); };
  const std::string marker = unique_marker();
  const unsigned long before = in_use();
  auto sandbox = shared_engine().launch(holding("syscall io_setup 206 1000 z:8", 1, marker));
  ASSERT_TRUE(sandbox);
  ASSERT_TRUE(eventually([&] { return has_made(marker); }));
  EXPECT_EQ(in_use(), before);
  sandbox->cancel();
  sandbox->wait();
}

}  // namespace
}  // namespace cove::testing
