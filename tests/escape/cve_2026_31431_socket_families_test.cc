// CVE-2026-31431 ("Copy Fail", AF_ALG), CVE-2026-43284 and CVE-2026-43500 ("Dirty Frag"),
// CVE-2026-46300 ("Fragnesia": XFRM and RxRPC): socket families that no ordinary program uses, whose
// code wrote into the page cache. An allow list lets the kernel never see the others.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

std::string socket_call(const std::string& name, long number, std::uint64_t family,
                        std::uint64_t type, std::uint64_t protocol) {
  const std::string pair = number == SYS_socketpair ? " z:8" : "";
  return "syscall " + name + " " + std::to_string(number) + " " + hex(family) + " " + hex(type) +
         " " + hex(protocol) + pair;
}

// The kernel looks at the flags in a socket's type first. With flags that do not exist it says
// EINVAL, also where it was built without the family: so a test sees who has answered.
constexpr std::uint64_t kNoSuchFlag = 0x10000000;
constexpr std::uint64_t kHighBit = std::uint64_t{1} << 32;
constexpr std::uint64_t kHighBits = std::uint64_t{0xffffffff} << 32;

std::string repeated(const std::string& line, int count) {
  std::string text;
  while (count-- > 0) text += line;
  return text;
}

// Each way to ask for the family and protocol.
void expect_out_of_reach(std::uint64_t family, std::uint64_t protocol = 0) {
  for (const auto& [name, number] :
       {std::pair{"socket", SYS_socket}, {"socketpair", SYS_socketpair}}) {
    std::string calls;
    for (const std::uint64_t high : {std::uint64_t{0}, kHighBit, kHighBits}) {
      calls +=
          socket_call(name, number, family | high, SOCK_SEQPACKET | kNoSuchFlag, protocol | high) +
          " ; ";
    }
    const Attack attack(calls);
    const std::string start = std::string(name) + ": ";
    EXPECT_EQ(attack.without({Protection::seccomp}), repeated(start + "EINVAL\n", 3));
    EXPECT_EQ(attack.inside(), repeated(start + "EAFNOSUPPORT\n", 3)) << hex(family);
  }
}

// Where this kernel has it, it really is to be had without the filter.
void expect_refused_though_there(std::uint64_t family, std::uint64_t type, std::uint64_t protocol) {
  const Attack attack(socket_call("socket", SYS_socket, family, type, protocol));
  if (attack.outside() == "socket: ok\n") {
    EXPECT_EQ(attack.without({Protection::seccomp}), "socket: ok\n") << hex(family);
  }
  EXPECT_EQ(attack.inside(), "socket: EAFNOSUPPORT\n") << hex(family);
}

constexpr std::uint64_t kAlg = 38, kVsock = 40, kKey = 15, kRxrpc = 33, kPacket = 17, kXdp = 44,
                        kCan = 29, kTipc = 30, kBluetooth = 31, kNetlink = 16;
constexpr std::uint64_t kXfrm = 6, kNetfilter = 12, kAudit = 9, kGeneric = 16, kSockDiag = 4,
                        kConnector = 11, kCrypto = 21;

TEST(Escape, Cve202631431AfAlg) {
  expect_out_of_reach(kAlg);
  expect_refused_though_there(kAlg, SOCK_SEQPACKET, 0);
}
TEST(Escape, AfVsock) {
  expect_out_of_reach(kVsock);
  expect_refused_though_there(kVsock, SOCK_STREAM, 0);  // past every namespace
}
TEST(Escape, Cve202643284XfrmKeyAndRxrpc) {
  expect_out_of_reach(kKey, 2);  // PF_KEY_V2
  expect_out_of_reach(kRxrpc, 2);
  expect_out_of_reach(kNetlink, kXfrm);
  expect_refused_though_there(kRxrpc, SOCK_DGRAM, 2);
  expect_refused_though_there(kNetlink, SOCK_RAW, kXfrm);
}
TEST(Escape, Cve20241086Netfilter) {
  expect_out_of_reach(kNetlink, kNetfilter);
  expect_refused_though_there(kNetlink, SOCK_RAW, kNetfilter);
}
TEST(Escape, NetlinkIsRouteOnly) {
  for (const std::uint64_t protocol : {kAudit, kGeneric, kSockDiag, kConnector, kCrypto})
    expect_out_of_reach(kNetlink, protocol);
  // High bits do not smuggle one in, nor do they keep the one out that there is.
  EXPECT_EQ(
      Attack(socket_call("socket", SYS_socket, kNetlink | kHighBit, SOCK_RAW, kHighBits)).inside(),
      "socket: ok\n");
}
TEST(Escape, SocketsOfOtherFamiliesAreRefused) {
  for (const std::uint64_t family : {kPacket, kXdp, kCan, kTipc, kBluetooth})
    expect_out_of_reach(family);
}
TEST(Escape, RawSocketsNeedWhatNobodyHas) {
  const Attack attack("socket 2 3 1");
  EXPECT_EQ(attack.in_naive_container({}, Capabilities::kept), "socket 2: ok\n");
  EXPECT_EQ(attack.inside(), "socket 2: EPERM\n");
}
// The multiplexer of i386 has its arguments in memory, where no filter sees the family.
TEST(Escape, Cve202631431AfAlgBySocketcall) {
  const Attack any("int80 socketcall 102 1 w:1,1,0");
  if (any.outside() != "socketcall: ok\n") GTEST_SKIP() << "needs kernel 32-bit emulation";
  EXPECT_EQ(any.without({Protection::seccomp}), "socketcall: ok\n");
  EXPECT_EQ(any.inside(), "socketcall: ENOSYS\n");
  const Attack alg("int80 socketcall 102 1 w:38," + std::to_string(SOCK_SEQPACKET | kNoSuchFlag) +
                   ",0");
  EXPECT_EQ(alg.without({Protection::seccomp}), "socketcall: EINVAL\n");
  EXPECT_EQ(alg.inside(), "socketcall: ENOSYS\n");
}

}  // namespace
}  // namespace cove::testing
