// The judge of every frame that a sandbox sends into its tap device: classic BPF, which the kernel
// runs before pasta sees the frame (TUNATTACHFILTER, linux/if_tun.h).
//
// Routes are no guard against the program inside. A socket that is bound to an interface
// (SO_BINDTODEVICE, which needs no privilege since Linux 5.7, or IP_PKTINFO) sends to an IPv4
// address for which there is no route, or one that prohibits it, as if that address were on the
// link; IPv6 passes over routes that refuse. What a frame says it is for, however, is what pasta
// connects to.
//
// Passed are: ARP; neighbour discovery; TCP and UDP over IPv4 without options or fragments, and
// over IPv6 without extension headers (which can lead elsewhere than they say), to
// - port 53 of a resolver,
// - any address that is neither a resolver nor blocked.
// UDP moreover only from kFirstUdpPort on: pasta (before 2024) opens the same port on all addresses
// of the host for the answers, so that a program could choose which of the host's ports to answer.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <vector>

#include "runtime/network/prefix.h"

namespace cove {

// Where Linux begins to number sockets that ask for no port (net.ipv4.ip_local_port_range).
inline constexpr std::uint16_t kFirstUdpPort = 32768;

std::vector<sock_filter> compile_frame_filter(const std::vector<Prefix>& resolvers,
                                              const std::vector<Prefix>& blocked);

}  // namespace cove
