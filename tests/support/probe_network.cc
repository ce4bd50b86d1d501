#include "tests/support/probe_network.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace probe {
namespace {

using Words = std::vector<std::string>;

int patience_milliseconds = 5000;

void line(const std::string& text) {
  const std::string whole = text + "\n";
  if (write(1, whole.data(), whole.size()) < 0) _exit(74);
}

std::string error_name() {
  const char* name = strerrorname_np(errno);
  return name ? name : std::to_string(errno);
}

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* any() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Address address_of(const std::string& text, const std::string& port) {
  Address address;
  const auto number = htons(static_cast<std::uint16_t>(std::atoi(port.c_str())));
  auto* const four = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* const six = reinterpret_cast<sockaddr_in6*>(&address.storage);
  const std::size_t percent = text.find('%');
  if (inet_pton(AF_INET, text.c_str(), &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = number;
    address.size = sizeof *four;
  } else if (inet_pton(AF_INET6, text.substr(0, percent).c_str(), &six->sin6_addr) == 1) {
    six->sin6_family = AF_INET6;
    six->sin6_port = number;
    if (percent != std::string::npos)
      six->sin6_scope_id = if_nametoindex(text.substr(percent + 1).c_str());
    address.size = sizeof *six;
  }
  return address;
}

std::string word(const Words& words, std::size_t index) {
  return index < words.size() && words[index] != "-" ? words[index] : std::string();
}

// RFC 8754, a routing header of type 4: one segment before the address itself.
bool route_over(int fd, const std::string& segment, const Address& target) {
  struct {
    std::uint8_t next_header = 0, length = 4, type = 4, segments_left = 1;
    std::uint8_t last_entry = 1, flags = 0, tag[2] = {0, 0};
    std::array<in6_addr, 2> segments{};
  } routing;
  routing.segments[0] = reinterpret_cast<const sockaddr_in6*>(&target.storage)->sin6_addr;
  return inet_pton(AF_INET6, segment.c_str(), &routing.segments[1]) == 1 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_RTHDR, &routing, sizeof routing) == 0;
}

bool bind_to(int fd, const std::string& interface) {
  return interface.empty() || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                                         static_cast<socklen_t>(interface.size() + 1)) == 0;
}

bool wait_for(int fd, short events) {
  pollfd event{fd, events, 0};
  if (poll(&event, 1, patience_milliseconds) > 0) return true;
  errno = ETIMEDOUT;
  return false;
}

bool connect_patiently(int fd, const Address& address) {
  if (connect(fd, address.any(), address.size) == 0) return true;
  if (errno != EINPROGRESS || !wait_for(fd, POLLOUT)) return false;
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  errno = error;
  return error == 0;
}

// What comes back, or what went wrong.
std::string exchange(int fd, const std::string& text) {
  if (send(fd, text.data(), text.size(), MSG_NOSIGNAL) < 0) return error_name();
  if (!wait_for(fd, POLLIN)) return error_name();
  std::array<char, 256> reply{};
  const ssize_t got = recv(fd, reply.data(), reply.size(), 0);
  return got < 0 ? error_name() : std::string(reply.data(), static_cast<std::size_t>(got));
}

std::string tcp_outcome(const Words& words) {
  const Address address = address_of(words[1], words[2]);
  const int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || !bind_to(fd, word(words, 3))) return error_name();
  const std::string segment = word(words, 4);
  if (!segment.empty() && !route_over(fd, segment, address)) return "routing " + error_name();
  if (!connect_patiently(fd, address)) return error_name();
  return exchange(fd, "hello");
}

std::string udp_outcome(const Words& words) {
  const Address address = address_of(words[1], words[2]);
  const int fd = socket(address.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || !bind_to(fd, word(words, 3))) return error_name();
  if (const std::string port = word(words, 4); !port.empty()) {
    const Address own = address_of(address.storage.ss_family == AF_INET ? "0.0.0.0" : "::", port);
    if (bind(fd, own.any(), own.size) != 0) return "bind " + error_name();
  }
  if (connect(fd, address.any(), address.size) != 0) return error_name();
  return exchange(fd, "hello");
}

std::string read_file(const char* path) {
  std::string text;
  std::array<char, 4096> buffer;
  FILE* const file = std::fopen(path, "re");
  if (file == nullptr) return text;
  for (std::size_t got; (got = std::fread(buffer.data(), 1, buffer.size(), file)) > 0;)
    text.append(buffer.data(), got);
  std::fclose(file);
  return text;
}

std::string question_for(const std::string& name) {
  std::string packet("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
  for (std::size_t at = 0; at < name.size();) {
    const std::size_t dot = std::min(name.find('.', at), name.size());
    packet += static_cast<char>(dot - at);
    packet += name.substr(at, dot - at);
    at = dot + 1;
  }
  return packet + std::string("\0\0\x01\0\x01", 5);
}

std::string ask(const std::string& server, const std::string& name) {
  const Address address = address_of(server, "53");
  const int fd = socket(address.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, address.any(), address.size) != 0) return error_name();
  const std::string question = question_for(name);
  const std::string reply = exchange(fd, question);
  close(fd);
  if (reply.size() < question.size() + 16 || reply[7] != '\x01') return reply;
  std::array<char, INET_ADDRSTRLEN> text{};
  return inet_ntop(AF_INET, reply.data() + reply.size() - 4, text.data(), text.size());
}

}  // namespace

void patience(const Words& words) {
  patience_milliseconds = static_cast<int>(std::strtod(words[1].c_str(), nullptr) * 1000);
}

void tcp(const Words& words) { line("tcp: " + tcp_outcome(words)); }
void udp(const Words& words) { line("udp: " + udp_outcome(words)); }

void tcp_listen(const Words& words) {
  const Address own = address_of("::", words[1]);
  const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(fd, own.any(), own.size) != 0 || listen(fd, 4) != 0)
    return line("tcp-listen: " + error_name());
  line("ready");
  line(std::string("tcp-listen: ") + (wait_for(fd, POLLIN) ? "contacted" : error_name()));
}

void resolve(const Words& words) {
  const std::string text = read_file("/etc/resolv.conf");
  const std::string start = "nameserver ";
  std::string outcome = "no name server";
  for (std::size_t at = 0; (at = text.find(start, at)) != std::string::npos;) {
    at += start.size();
    outcome = ask(text.substr(at, text.find('\n', at) - at), words[1]);
    if (outcome.find('.') != std::string::npos) break;
  }
  line("resolve: " + outcome);
}

void interface_down(const Words& words) {
  ifreq request{};
  std::strncpy(request.ifr_name, words[1].c_str(), IFNAMSIZ - 1);
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  line("interface-down: " + (ioctl(fd, SIOCSIFFLAGS, &request) == 0 ? "ok" : error_name()));
}

void add_route(const Words&) {
  rtentry route{};
  for (sockaddr* place : {&route.rt_dst, &route.rt_gateway, &route.rt_genmask})
    place->sa_family = AF_INET;
  route.rt_flags = RTF_UP;
  char interface[] = "eth0";
  route.rt_dev = interface;
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  line("add-route: " + (ioctl(fd, SIOCADDRT, &route) == 0 ? std::string("ok") : error_name()));
}

}  // namespace probe
