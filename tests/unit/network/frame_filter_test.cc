// The filter of frames, run by the kernel: a datagram socket takes the same programs as a tap device.
#include "runtime/network/frame_filter.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <string>

#include "runtime/kernel/fd.h"

namespace cove {
namespace {

constexpr std::uint8_t kTcp = 6, kUdp = 17, kIcmp = 1, kIcmp6 = 58;

struct Packet {
  std::string to;
  std::uint8_t protocol = kTcp;
  int from_port = 40000, to_port = 443;
};

void put16(std::string& bytes, int value) {
  bytes += static_cast<char>(value >> 8);
  bytes += static_cast<char>(value);
}

std::string ethernet(int type) {
  std::string frame(12, '\x02');
  put16(frame, type);
  return frame;
}

std::string address(int family, const std::string& text) {
  std::array<char, 16> bytes{};
  EXPECT_EQ(inet_pton(family, text.c_str(), bytes.data()), 1) << text;
  return {bytes.data(), family == AF_INET ? 4u : 16u};
}

std::string transport(const Packet& packet) {
  std::string bytes;
  put16(bytes, packet.from_port);
  put16(bytes, packet.to_port);
  return bytes + std::string(16, '\0');
}

std::string ip4(const Packet& packet) {
  std::string frame = ethernet(0x0800);
  frame += '\x45';
  frame += std::string(8, '\0');
  frame += static_cast<char>(packet.protocol);
  frame += std::string(2, '\0') + address(AF_INET, "192.0.0.2") + address(AF_INET, packet.to);
  return frame + transport(packet);
}

std::string ip6(const Packet& packet) {
  std::string frame = ethernet(0x86dd);
  frame += '\x60';
  frame += std::string(5, '\0');
  frame += static_cast<char>(packet.protocol);
  frame += '\x40' + address(AF_INET6, "fd3c:91a5:7be2::2") + address(AF_INET6, packet.to);
  return frame + transport(packet);
}

class FrameFilter : public ::testing::Test {
 protected:
  void use(const std::vector<std::string>& resolvers, const std::vector<std::string>& blocked) {
    program_ =
        compile_frame_filter(parse_prefixes(resolvers).value(), parse_prefixes(blocked).value());
    std::array<int, 2> ends{};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    sending_.reset(ends[0]);
    receiving_.reset(ends[1]);
    const sock_fprog attach{static_cast<unsigned short>(program_.size()), program_.data()};
    ASSERT_EQ(setsockopt(ends[1], SOL_SOCKET, SO_ATTACH_FILTER, &attach, sizeof attach), 0);
  }
  void SetUp() override {
    use({"192.0.0.1", "fd3c:91a5:7be2::1"},
        {"169.254.0.0/16", "127.0.0.0/8", "100.100.100.200/32", "224.0.0.0/4", "::/64", "fe80::/10",
         "fd00:ec2::/32", "64:ff9b::169.254.0.0/112"});
  }
  // Whether the whole frame comes through.
  bool passes(const std::string& frame) const {
    // A UNIX socket says EPERM where the receiver's filter drops.
    if (send(sending_.number(), frame.data(), frame.size(), 0) < 0) return false;
    std::array<char, 2048> buffer{};
    const ssize_t got = recv(receiving_.number(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    return got == static_cast<ssize_t>(frame.size());
  }

  std::vector<sock_filter> program_;
  UniqueFd sending_, receiving_;
};

TEST_F(FrameFilter, PassesConnectionsToTheWorld) {
  EXPECT_TRUE(passes(ip4({"192.0.2.1"})));
  EXPECT_TRUE(passes(ip4({"192.0.2.1", kUdp})));
  EXPECT_TRUE(passes(ip4({"10.0.0.1"})));
  EXPECT_TRUE(passes(ip6({"2001:db8::1"})));
  EXPECT_TRUE(passes(ip6({"2001:db8::1", kUdp})));
  EXPECT_TRUE(passes(ip6({"fd00:abcd::1"})));
}
TEST_F(FrameFilter, DropsWhatIsBlocked) {
  for (const char* to : {"169.254.169.254", "169.254.0.0", "169.254.255.255", "127.0.0.1",
                         "127.255.255.254", "100.100.100.200", "224.0.0.251", "239.255.255.250"}) {
    EXPECT_FALSE(passes(ip4({to}))) << to;
    EXPECT_FALSE(passes(ip4({to, kUdp}))) << to;
  }
  for (const char* to : {"::1", "::", "::ffff:127.0.0.1", "::ffff:192.0.2.1", "fe80::1", "febf::1",
                         "fd00:ec2::254", "64:ff9b::169.254.169.254"}) {
    EXPECT_FALSE(passes(ip6({to}))) << to;
    EXPECT_FALSE(passes(ip6({to, kUdp}))) << to;
  }
}
TEST_F(FrameFilter, PassesWhatLiesBesideABlockedRange) {
  for (const char* to : {"169.253.255.255", "169.255.0.0", "126.255.255.255", "128.0.0.0",
                         "100.100.100.199", "100.100.100.201", "223.255.255.255"})
    EXPECT_TRUE(passes(ip4({to}))) << to;
  for (const char* to : {"0:0:0:1::1", "fec0::1", "fe7f::1", "fd00:ec1:ffff::1", "fd00:ec3::1",
                         "64:ff9b::169.255.0.1", "64:ff9b::192.0.2.1"})
    EXPECT_TRUE(passes(ip6({to}))) << to;
}
TEST_F(FrameFilter, AResolverAnswersOnPort53Alone) {
  for (const std::uint8_t protocol : {kTcp, kUdp}) {
    EXPECT_TRUE(passes(ip4({"192.0.0.1", protocol, 40000, 53})));
    EXPECT_TRUE(passes(ip6({"fd3c:91a5:7be2::1", protocol, 40000, 53})));
    for (const int port : {0, 22, 52, 54, 80, 853, 65535}) {
      EXPECT_FALSE(passes(ip4({"192.0.0.1", protocol, 40000, port}))) << port;
      EXPECT_FALSE(passes(ip6({"fd3c:91a5:7be2::1", protocol, 40000, port}))) << port;
    }
  }
}
TEST_F(FrameFilter, AResolverMayLieInABlockedRange) {
  use({"10.0.0.1"}, {"10.0.0.0/8"});
  EXPECT_TRUE(passes(ip4({"10.0.0.1", kUdp, 40000, 53})));
  EXPECT_FALSE(passes(ip4({"10.0.0.2", kUdp, 40000, 53})));
}
TEST_F(FrameFilter, AProgramCannotChooseWhichUdpPortOfTheHostItAnswersOn) {
  for (const int port : {0, 53, 1024, 5353, 8125, 32767}) {
    EXPECT_FALSE(passes(ip4({"192.0.2.1", kUdp, port}))) << port;
    EXPECT_FALSE(passes(ip6({"2001:db8::1", kUdp, port}))) << port;
    EXPECT_TRUE(passes(ip4({"192.0.2.1", kTcp, port}))) << "pasta's own port is another";
  }
  for (const int port : {32768, 60999, 65535})
    EXPECT_TRUE(passes(ip4({"192.0.2.1", kUdp, port}))) << port;
}
TEST_F(FrameFilter, PassesNoOtherProtocol) {
  for (int protocol = 0; protocol < 256; ++protocol) {
    const auto number = static_cast<std::uint8_t>(protocol);
    EXPECT_EQ(passes(ip4({"192.0.2.1", number})), number == kTcp || number == kUdp) << protocol;
    // Of IPv6 also: extension headers, among them routing (43).
    EXPECT_EQ(passes(ip6({"2001:db8::1", number})), number == kTcp || number == kUdp) << protocol;
  }
}
TEST_F(FrameFilter, FindsNeighboursAndNothingElseByIcmp) {
  for (int type = 0; type < 256; ++type) {
    std::string frame = ip6({"ff02::1:ff00:1", kIcmp6});
    frame[54] = static_cast<char>(type);
    EXPECT_EQ(passes(frame), type == 135 || type == 136) << type;
  }
  EXPECT_FALSE(passes(ip4({"192.0.2.1", kIcmp})));
}
TEST_F(FrameFilter, DropsIp4OptionsAndFragments) {
  std::string frame = ip4({"192.0.2.1"});
  frame[14] = '\x46';
  EXPECT_FALSE(passes(frame));
  frame[14] = '\x55';
  EXPECT_FALSE(passes(frame));
  for (const auto& [at, bits] :
       {std::pair(20, '\x20'), std::pair(20, '\x01'), std::pair(21, '\x01')}) {
    frame = ip4({"192.0.2.1"});
    frame[static_cast<std::size_t>(at)] = bits;
    EXPECT_FALSE(passes(frame)) << at;
  }
  frame = ip4({"192.0.2.1"});
  frame[20] = '\x40';  // do not fragment
  EXPECT_TRUE(passes(frame));
}
TEST_F(FrameFilter, PassesArpAndNoOtherKindOfFrame) {
  EXPECT_TRUE(passes(ethernet(0x0806) + std::string(28, '\0')));
  for (const int type : {0x8100, 0x88a8, 0x8847, 0x0801, 0, 0xffff})
    EXPECT_FALSE(passes(ethernet(type) + std::string(60, '\0'))) << type;
}
TEST_F(FrameFilter, DropsWhatIsCutShort) {
  for (const std::string& whole : {ip4({"192.0.2.1", kUdp}), ip6({"2001:db8::1", kUdp})}) {
    const std::size_t ports = whole.size() - 20;
    for (std::size_t size = 1; size < ports; ++size)
      EXPECT_FALSE(passes(whole.substr(0, size))) << size;
  }
}
TEST_F(FrameFilter, HoldsManyRanges) {
  std::vector<std::string> blocked;
  for (int i = 0; i < 200; ++i) {
    blocked.push_back("11." + std::to_string(i) + ".0.0/16");
    blocked.push_back("2001:db8:" + std::to_string(i) + "::/48");
  }
  use({}, blocked);
  for (int i = 0; i < 200; ++i) {
    EXPECT_FALSE(passes(ip4({"11." + std::to_string(i) + ".1.2"}))) << i;
    EXPECT_FALSE(passes(ip6({"2001:db8:" + std::to_string(i) + "::1"}))) << i;
  }
  EXPECT_TRUE(passes(ip4({"11.200.0.1"})));
  EXPECT_TRUE(passes(ip6({"2001:db8:200::1"})));
}

}  // namespace
}  // namespace cove
