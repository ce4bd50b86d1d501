// CVE-2025-52565 (runc): /dev/console was bound over what the image had there, from a terminal that
// could be exchanged. CVE-2017-5226 (bubblewrap): a program typed into the terminal that it had been
// started from (TIOCSTI), and the shell there ran that.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A terminal of the test's.
class Terminal {
 public:
  Terminal() : master_(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    EXPECT_EQ(unlockpt(master_), 0);
    EXPECT_EQ(ptsname_r(master_, name_.data(), name_.size()), 0);
    slave_ = open(name_.data(), O_RDWR | O_NOCTTY | O_CLOEXEC);
    EXPECT_GE(slave_, 0);
  }
  ~Terminal() {
    close(slave_);
    close(master_);
  }
  std::string name() const { return name_.data(); }
  // For a child whose controlling terminal this is.
  CommandOptions controlling() const {
    CommandOptions options;
    options.in_child = [this] {
      if (setsid() < 0 || ioctl(slave_, TIOCSCTTY, 0) != 0) _exit(70);
    };
    return options;
  }

 private:
  int master_, slave_ = -1;
  std::array<char, 64> name_{};
};

TEST(Escape, Cve202552565TerminalsOfTheHostAreNotThere) {
  const Terminal terminal;
  const Attack attack("put " + terminal.name() + " x");
  EXPECT_EQ(attack.outside(), "put: ok\n");
  // Its devpts is its own, and nothing can be made there.
  EXPECT_THAT(attack.inside(), ::testing::AnyOf("put: EACCES\n", "put: EPERM\n"));
  EXPECT_EQ(Attack("list /dev/pts").inside(), "ptmx\n");
  EXPECT_EQ(Attack("open " + terminal.name() + " rw").inside(), "open: ENOENT\n");
}
TEST(Escape, Cve202552565TheConsoleOfTheImageIsNotUsed) {
  const TempDirectory victim;
  put_file(victim / "file", "of the host");
  const AttackerRoot root;
  root.make_directory("/dev");
  root.link("/dev/console", victim / "file");
  root.link("/dev/pts", "/proc/sys/kernel");
  root.link("/dev/ptmx", "/proc/sysrq-trigger");
  EXPECT_EQ(contents_of(root.outside("/dev/console")), "of the host");  // who follows it
  EXPECT_EQ(Attack("open /dev/console rw ; list /dev/pts ; readlink /dev/ptmx", root).inside(),
            "open: ENOENT\nptmx\nlink: pts/ptmx\n");
  EXPECT_EQ(contents_of(victim / "file"), "of the host");
}
TEST(Escape, TheTerminalOfTheCallerIsNotReached) {
  const Terminal terminal;
  const Attack attack("open /dev/tty rw");
  EXPECT_EQ(attack.outside(terminal.controlling()), "open: ok\n");
  EXPECT_EQ(output(attack.through_command(terminal.controlling())), "open: ENXIO\n");
  EXPECT_EQ(attack.inside(), "open: ENXIO\n");
}
TEST(Escape, Cve20175226CharactersCannotBePushedIntoATerminal) {
  constexpr const char* kPushed = "ioctl: ok\nthe terminal's next reader gets: x\n";
  // TIOCSTI, and the same number to the kernel; since Linux 6.2 it can be switched off.
  for (const char* request : {"0x5412", "0x100005412", "0xffffffff00005412"}) {
    Attack attack(std::string("push-characters ") + request);
    const bool kernel_has_it = contents_of("/proc/sys/dev/tty/legacy_tiocsti") != "0\n";
    EXPECT_EQ(attack.without({Protection::seccomp}), kernel_has_it ? kPushed : "ioctl: EIO\n");
    attack.spec.user = "root";
    EXPECT_EQ(attack.inside(), "ioctl: EPERM\n") << request;
  }
  // TIOCLINUX and TIOCSETD: not of such a terminal, which the kernel finds out when it is asked.
  for (const char* request : {"0x541c", "0x10000541c"}) {
    const Attack attack(std::string("push-characters ") + request);
    EXPECT_EQ(attack.without({Protection::seccomp}), "ioctl: ENOTTY\n");
    EXPECT_EQ(attack.inside(), "ioctl: EPERM\n") << request;
  }
}

}  // namespace
}  // namespace cove::testing
