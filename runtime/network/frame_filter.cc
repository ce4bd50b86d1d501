#include "runtime/network/frame_filter.h"

#include <linux/if_ether.h>
#include <netinet/in.h>

#include "runtime/seccomp/assembler.h"

namespace cove {
namespace {

constexpr std::uint32_t kPass = ~0u;  // this many bytes of it
constexpr std::uint32_t kDrop = 0;

// Places in a frame. A load from behind its end drops it.
constexpr std::uint32_t kEtherType = 12;
constexpr std::uint32_t kIp = 14;
constexpr std::uint32_t kFragment4 = kIp + 6, kProtocol4 = kIp + 9, kTarget4 = kIp + 16;
constexpr std::uint32_t kTransport4 = kIp + 20;
constexpr std::uint32_t kProtocol6 = kIp + 6, kTarget6 = kIp + 24;
constexpr std::uint32_t kTransport6 = kIp + 40;
constexpr std::uint32_t kDestinationPort = 2;  // from the transport header on

constexpr std::uint32_t kPlainIp4 = 0x45;  // version 4, a header of 5 words
constexpr std::uint32_t kFragmented = 0x3fff;
constexpr std::uint32_t kDnsPort = 53;
constexpr std::uint32_t kNeighbourSolicitation = 135, kNeighbourAdvertisement = 136;

// What is asked of a packet of one IP version.
class PacketFilter {
 public:
  PacketFilter(const std::vector<Prefix>& resolvers, const std::vector<Prefix>& blocked)
      : resolvers_(resolvers), blocked_(blocked) {}

  std::vector<sock_filter> compile_ip4() {
    load_byte(kIp);
    unless_equal(kPlainIp4, [&] { code_.answer(kDrop); });
    load_half(kFragment4);
    code_.emit(BPF_ALU | BPF_AND | BPF_K, kFragmented);
    unless_equal(0, [&] { code_.answer(kDrop); });
    load_byte(kProtocol4);
    judge_transport(kTransport4);
    judge_target(IpVersion::four, kTarget4, kTransport4);
    return finish();
  }

  std::vector<sock_filter> compile_ip6() {
    load_byte(kProtocol6);
    if_equal(IPPROTO_ICMPV6, [&] {
      load_byte(kTransport6);
      if_equal(kNeighbourSolicitation, [&] { code_.answer(kPass); });
      if_equal(kNeighbourAdvertisement, [&] { code_.answer(kPass); });
      code_.answer(kDrop);
    });
    judge_transport(kTransport6);
    judge_target(IpVersion::six, kTarget6, kTransport6);
    return finish();
  }

 private:
  // The protocol is loaded. Goes on where it may pass.
  void judge_transport(std::uint32_t transport) {
    unless_equal(IPPROTO_TCP, [&] {
      unless_equal(IPPROTO_UDP, [&] { code_.answer(kDrop); });
      load_half(transport);
      const auto high = code_.label();
      code_.jump_if(BPF_JGE, kFirstUdpPort, high, std::nullopt);
      code_.answer(kDrop);
      code_.place(high);
    });
  }

  void judge_target(IpVersion version, std::uint32_t target, std::uint32_t transport) {
    for (const Prefix& resolver : resolvers_) {
      if (resolver.version != version) continue;
      if_within(resolver, target, [&] {
        load_half(transport + kDestinationPort);
        if_equal(kDnsPort, [&] { code_.answer(kPass); });
        code_.answer(kDrop);
      });
    }
    for (const Prefix& prefix : blocked_) {
      if (prefix.version == version) if_within(prefix, target, [&] { code_.answer(kDrop); });
    }
    code_.answer(kPass);
  }

  template <typename Block>
  void if_within(const Prefix& prefix, std::uint32_t target, const Block& block) {
    const auto outside = code_.label();
    for (unsigned word = 0; word * 32 < prefix.length; ++word) {
      const unsigned bits = prefix.length - word * 32;
      std::uint32_t value = 0;
      for (unsigned byte = 0; byte < 4; ++byte)
        value = value << 8 | prefix.address[word * 4 + byte];
      code_.load(target + word * 4);
      if (bits < 32) code_.emit(BPF_ALU | BPF_AND | BPF_K, ~0u << (32 - bits));
      code_.jump_if(BPF_JEQ, value, std::nullopt, outside);
    }
    block();
    code_.place(outside);
  }

  // What is loaded stays so where the block is passed over.
  template <typename Block>
  void if_equal(std::uint32_t value, const Block& block) {
    const auto end = code_.label();
    code_.jump_if(BPF_JEQ, value, std::nullopt, end);
    block();
    code_.place(end);
  }
  template <typename Block>
  void unless_equal(std::uint32_t value, const Block& block) {
    const auto end = code_.label();
    code_.jump_if(BPF_JEQ, value, end, std::nullopt);
    block();
    code_.place(end);
  }

  void load_half(std::uint32_t offset) { code_.emit(BPF_LD | BPF_H | BPF_ABS, offset); }
  void load_byte(std::uint32_t offset) { code_.emit(BPF_LD | BPF_B | BPF_ABS, offset); }

  // No jump is over more than a dozen instructions.
  std::vector<sock_filter> finish() { return code_.finish().value(); }

  const std::vector<Prefix>& resolvers_;
  const std::vector<Prefix>& blocked_;
  Assembler code_;
};

}  // namespace

std::vector<sock_filter> compile_frame_filter(const std::vector<Prefix>& resolvers,
                                              const std::vector<Prefix>& blocked) {
  const auto ip4 = PacketFilter(resolvers, blocked).compile_ip4();
  const auto ip6 = PacketFilter(resolvers, blocked).compile_ip6();
  const auto size4 = static_cast<std::uint32_t>(ip4.size());
  std::vector<sock_filter> program{
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kEtherType),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 1),
      BPF_STMT(BPF_JMP | BPF_JA, 5),  // to ip4
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 1),
      BPF_STMT(BPF_JMP | BPF_JA, 3 + size4),  // to ip6
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_ARP, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, kPass),
      BPF_STMT(BPF_RET | BPF_K, kDrop),
  };
  program.insert(program.end(), ip4.begin(), ip4.end());
  program.insert(program.end(), ip6.begin(), ip6.end());
  return program;
}

}  // namespace cove
