// The probe's commands about networks; see probe.cc.
#pragma once

#include <string>
#include <vector>

namespace probe {

// Each prints one line, "NAME: ..."; words[0] is the command's own name.

// patience SECONDS: how long all of these wait from now on; at first, five.
void patience(const std::vector<std::string>& words);
// tcp ADDRESS PORT [INTERFACE [SEGMENT]]: says "hello" there, and prints what comes back.
// INTERFACE ("-": none) binds the socket to it; SEGMENT sends over that address first, by an IPv6
// routing header.
void tcp(const std::vector<std::string>& words);
// udp ADDRESS PORT [INTERFACE [SOURCE_PORT]]: the same by one datagram.
void udp(const std::vector<std::string>& words);
// tcp-listen PORT: prints "ready", then whether a connection came.
void tcp_listen(const std::vector<std::string>& words);
// resolve NAME: asks the name servers of /etc/resolv.conf for its IPv4 address.
void resolve(const std::vector<std::string>& words);
// interface-down NAME, and add-route: what only an administrator of the network may do.
void interface_down(const std::vector<std::string>& words);
void add_route(const std::vector<std::string>& words);

}  // namespace probe
