// CVE-2020-15257 (containerd): a service of the host's listened on an abstract socket, which belongs
// to a network namespace and not to the file tree.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

class Listener {
 public:
  // "@NAME" for an abstract one.
  explicit Listener(const std::string& name) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())),
              0);
    EXPECT_EQ(listen(fd_, 16), 0);
  }
  ~Listener() { close(fd_); }

 private:
  const int fd_;
};

TEST(Escape, Cve202015257AnAbstractSocketOfTheHostCannotBeReached) {
  const std::string name = "@" + unique_marker();
  const Listener listener(name);
  Attack attack("connect " + name);
  EXPECT_EQ(attack.outside(), "connect: ok\n");
  for (const char* user : {"1000", "root"}) {
    attack.spec.user = user;
    EXPECT_EQ(attack.inside(), "connect: ECONNREFUSED\n") << user;
    EXPECT_EQ(attack.without({Protection::seccomp}), "connect: ECONNREFUSED\n") << user;
  }
  attack.spec.network = NetworkMode::host;
  EXPECT_EQ(attack.without({Protection::network}), "connect: ok\n");
}
TEST(Escape, Cve202015257NorOneThatHasAPath) {
  const TempDirectory directory;
  const Listener listener(directory / "socket");
  const Attack attack("connect " + (directory / "socket"));
  EXPECT_EQ(attack.outside(), "connect: ok\n");
  EXPECT_EQ(attack.inside(), "connect: ENOENT\n");
}

}  // namespace
}  // namespace cove::testing
