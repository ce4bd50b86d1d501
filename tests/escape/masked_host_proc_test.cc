// Cove in a container whose /proc is masked: the kernel then refuses a new procfs, which would show
// what is masked. The host's own must not be bound in its place.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

enum class Proc { whole, masked };

void write_once(const char* path, const std::string& text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text.data(), text.size()) < 0) _exit(70);
  close(fd);
}

// A caller in a user and mount namespace of its own, with one id.
CommandOptions in_a_container(Proc proc) {
  CommandOptions options;
  const std::string uid = std::to_string(geteuid()), gid = std::to_string(getegid());
  options.in_child = [=] {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) _exit(71);
    write_once("/proc/self/setgroups", "deny");
    write_once("/proc/self/uid_map", uid + " " + uid + " 1");
    write_once("/proc/self/gid_map", gid + " " + gid + " 1");
    if (proc == Proc::whole) return;
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("/dev/null", "/proc/interrupts", nullptr, MS_BIND, nullptr) != 0)
      _exit(72);
  };
  return options;
}

TEST(Escape, AMaskedProcOfTheHostIsNotGotAround) {
  const Attack attack("read-file /proc/self/comm ; ps");
  // Of such a container's root nothing is left for the next one but the one id.
  const std::vector<std::string> as_user{"--best-effort", "--read-only"};
  EXPECT_EQ(output(attack.through_command(in_a_container(Proc::whole), as_user)),
            "attacker\nprocess 1: cove-init\nprocess 2: attacker\n");
  const SandboxResult result = attack.through_command(in_a_container(Proc::masked), as_user);
  EXPECT_EQ(refusal(result), "isolation_unavailable, mount, EPERM") << shown(result);
  EXPECT_THAT(result.error->hint, ::testing::HasSubstr("procfs"));
}

}  // namespace
}  // namespace cove::testing
