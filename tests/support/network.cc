#include "tests/support/network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <net/route.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <stdexcept>

#include "tests/support/command.h"
#include "tests/support/files.h"

namespace cove::testing {
namespace {

constexpr const char* kInterface = "up0";

void must(bool done, const std::string& what) {
  if (!done) throw std::runtime_error("cannot " + what + ": " + std::strerror(errno));
}

// An address with its port, of either version.
struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  sockaddr* any() { return reinterpret_cast<sockaddr*>(&storage); }
};

Address address_of(const std::string& text, int port) {
  Address address;
  auto* const four = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* const six = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET, text.c_str(), &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(static_cast<std::uint16_t>(port));
    address.size = sizeof *four;
  } else {
    must(inet_pton(AF_INET6, text.c_str(), &six->sin6_addr) == 1, "read " + text);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(static_cast<std::uint16_t>(port));
    address.size = sizeof *six;
  }
  return address;
}

class Control {
 public:
  explicit Control(int family) : socket_(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;
  ~Control() { close(socket_); }
  template <typename Request>
  void ask(unsigned long code, Request& request, const char* what) const {
    must(ioctl(socket_, code, &request) == 0, what);
  }

 private:
  int socket_;
};

ifreq request_for(const std::string& interface) {
  ifreq request{};
  std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
  return request;
}

void bring_up(const std::string& interface) {
  ifreq request = request_for(interface);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  Control(AF_INET).ask(SIOCSIFFLAGS, request, "bring an interface up");
}

void put_address4(const std::string& label, const std::string& address, const char* mask) {
  const Control control(AF_INET);
  ifreq request = request_for(label);
  Address given = address_of(address, 0);
  std::memcpy(&request.ifr_addr, &given.storage, sizeof request.ifr_addr);
  control.ask(SIOCSIFADDR, request, "set an address");
  given = address_of(mask, 0);
  std::memcpy(&request.ifr_netmask, &given.storage, sizeof request.ifr_netmask);
  control.ask(SIOCSIFNETMASK, request, "set a netmask");
}

void put_address6(const std::string& interface, const std::string& address, unsigned length) {
  in6_ifreq request{};
  must(inet_pton(AF_INET6, address.c_str(), &request.ifr6_addr) == 1, "read " + address);
  request.ifr6_prefixlen = length;
  request.ifr6_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  Control(AF_INET6).ask(SIOCSIFADDR, request, "set an IPv6 address");
}

void add_default_routes() {
  rtentry four{};
  for (auto& [place, text] :
       {std::pair{&four.rt_dst, "0.0.0.0"}, std::pair{&four.rt_genmask, "0.0.0.0"},
        std::pair{&four.rt_gateway, "192.0.2.254"}}) {
    const Address address = address_of(text, 0);
    std::memcpy(place, &address.storage, sizeof *place);
  }
  four.rt_flags = RTF_UP | RTF_GATEWAY;
  Control(AF_INET).ask(SIOCADDRT, four, "add a default route");
  in6_rtmsg six{};
  inet_pton(AF_INET6, "2001:db8::fe", &six.rtmsg_gateway);
  six.rtmsg_flags = RTF_UP | RTF_GATEWAY;
  six.rtmsg_metric = 1;
  six.rtmsg_ifindex = static_cast<int>(if_nametoindex(kInterface));
  Control(AF_INET6).ask(SIOCADDRT, six, "add a default route for IPv6");
}

int listen_on(const std::string& address, int port, Transport transport, int& chosen) {
  Address bound = address_of(address, port);
  const int kind = transport == Transport::tcp ? SOCK_STREAM : SOCK_DGRAM;
  const int fd = socket(bound.storage.ss_family, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  // An IPv6 address is there a moment after it was set.
  const double end = seconds_now() + 5;
  int failed = bind(fd, bound.any(), bound.size);
  while (failed != 0 && errno == EADDRNOTAVAIL && seconds_now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    failed = bind(fd, bound.any(), bound.size);
  }
  must(fd >= 0 && failed == 0, "bind to " + address);
  must(transport == Transport::udp || listen(fd, 16) == 0, "listen");
  must(getsockname(fd, bound.any(), &bound.size) == 0, "getsockname");
  chosen = ntohs(bound.storage.ss_family == AF_INET
                     ? reinterpret_cast<sockaddr_in*>(&bound.storage)->sin_port
                     : reinterpret_cast<sockaddr_in6*>(&bound.storage)->sin6_port);
  return fd;
}

// False after a tenth of a second in which nothing came.
bool has_input(int fd) {
  pollfd event{fd, POLLIN, 0};
  return poll(&event, 1, 100) > 0;
}

void write_setting(const char* path, const char* value) {
  const int file = open(path, O_WRONLY | O_CLOEXEC);
  const bool done = file >= 0 && write(file, value, std::strlen(value)) > 0;
  close(file);
  must(done, std::string("write ") + path);
}

std::string network_of(const std::string& process) {
  std::array<char, 64> target{};
  const ssize_t length =
      readlink(("/proc/" + process + "/ns/net").c_str(), target.data(), target.size());
  return length > 0 ? std::string(target.data(), static_cast<std::size_t>(length)) : std::string();
}

}  // namespace

HostNetwork::Stay::Stay() : before_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
  must(before_ >= 0 && unshare(CLONE_NEWNET) == 0, "make a network namespace");
}

HostNetwork::Stay::~Stay() {
  setns(before_, CLONE_NEWNET);
  close(before_);
}

HostNetwork::HostNetwork(DefaultRoute route) {
  bring_up("lo");
  // An IPv6 address is else not to be used for a second.
  write_setting("/proc/sys/net/ipv6/conf/all/accept_dad", "0");
  write_setting("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
  tap_ = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  ifreq request = request_for(kInterface);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  must(tap_ >= 0 && ioctl(tap_, TUNSETIFF, &request) == 0, "make a tap device");
  bring_up(kInterface);
  put_address4(kInterface, kHost4, "255.255.255.0");
  put_address6(kInterface, kHost6, 64);
  if (route == DefaultRoute::present) add_default_routes();
}

HostNetwork::~HostNetwork() { close(tap_); }

void HostNetwork::add_address(const std::string& address) {
  if (address.find(':') != std::string::npos) return put_address6(kInterface, address, 128);
  put_address4(kInterface + (":" + std::to_string(++aliases_)), address, "255.255.255.255");
}

std::vector<pid_t> HostNetwork::processes(const std::string& name) const {
  const std::string own = network_of("thread-self");
  std::vector<pid_t> found;
  for (const pid_t pid : processes_with(name)) {
    if (network_of(std::to_string(pid)) == own) found.push_back(pid);
  }
  return found;
}

std::size_t HostNetwork::processes_left(const std::string& name, double seconds) const {
  const double end = seconds_now() + seconds;
  for (;;) {
    const std::size_t left = processes(name).size();
    if (left == 0 || seconds_now() > end) return left;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

EchoServer::EchoServer(const std::string& address, int port, Transport transport)
    : transport_(transport),
      socket_(listen_on(address, port, transport, port_)),
      thread_([this] { serve(); }) {}

EchoServer::~EchoServer() {
  ending_ = true;
  thread_.join();
  close(socket_);
}

void EchoServer::serve() {
  while (!ending_) {
    if (!has_input(socket_)) continue;
    if (transport_ == Transport::udp) {
      answer(socket_);
      continue;
    }
    const int connection = accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    answer(connection);
    close(connection);
  }
}

void EchoServer::answer(int connection) {
  ++contacts_;
  std::array<char, 256> text{};
  Address from;
  from.size = sizeof from.storage;
  const ssize_t got = recvfrom(connection, text.data(), text.size(), 0, from.any(), &from.size);
  if (got <= 0) return;
  const std::string reply = "echo " + std::string(text.data(), static_cast<std::size_t>(got));
  const bool datagram = transport_ == Transport::udp;
  (void)sendto(connection, reply.data(), reply.size(), MSG_NOSIGNAL,
               datagram ? from.any() : nullptr, datagram ? from.size : 0);
}

NameServer::NameServer(const std::string& address) {
  int chosen = 0;
  socket_ = listen_on(address, 53, Transport::udp, chosen);
  thread_ = std::thread([this] { serve(); });
}

NameServer::~NameServer() {
  ending_ = true;
  thread_.join();
  close(socket_);
}

// RFC 1035, 4.1: the question again, then one record that points back to its name.
void NameServer::serve() const {
  constexpr std::size_t kHeader = 12;
  while (!ending_) {
    if (!has_input(socket_)) continue;
    std::array<char, 512> packet{};
    Address from;
    from.size = sizeof from.storage;
    const ssize_t got = recvfrom(socket_, packet.data(), packet.size(), 0, from.any(), &from.size);
    if (got < static_cast<ssize_t>(kHeader)) continue;
    std::string reply(packet.data(), static_cast<std::size_t>(got));
    reply[2] = '\x81';  // an answer; recursion was desired
    reply[3] = '\x80';  // and is available
    reply[7] = '\x01';  // one answer
    reply += std::string("\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04", 12);
    reply += std::string("\xc0\x00\x02\x4d", 4);  // 192.0.2.77
    (void)sendto(socket_, reply.data(), reply.size(), MSG_NOSIGNAL, from.any(), from.size);
  }
}

}  // namespace cove::testing
