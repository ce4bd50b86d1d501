// A host's network of the test's own: an interface with addresses of documentation (RFC 5737, RFC
// 3849), a default route to nowhere, and a loopback. What a test starts from the same thread (an
// Engine, the command, a server) finds it as its host's network; no packet of it leaves.
//
//   COVE_NEEDS_OPEN_NETWORK();
//   const HostNetwork host;
//   EchoServer server(kHost4, 0);
//   it EXPECT_EQ(output(engine.run(probe("tcp 192.0.2.1 " + server.port()))), ...)
//
// Needs root.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/host.h"

namespace cove::testing {

inline constexpr const char* kHost4 = "192.0.2.1";
inline constexpr const char* kHost6 = "2001:db8::1";

class HostNetwork {
 public:
  enum class DefaultRoute { present, missing };
  explicit HostNetwork(DefaultRoute route = DefaultRoute::present);
  HostNetwork(const HostNetwork&) = delete;
  HostNetwork& operator=(const HostNetwork&) = delete;
  ~HostNetwork();

  // One more address of this host.
  void add_address(const std::string& address);
  // Processes whose network it is, and whose command line has `name`.
  std::vector<pid_t> processes(const std::string& name) const;
  // Waits until there is none, for that long at most; returns how many are left.
  std::size_t processes_left(const std::string& name, double seconds) const;

 private:
  // A network namespace, and the way back.
  class Stay {
   public:
    Stay();
    Stay(const Stay&) = delete;
    Stay& operator=(const Stay&) = delete;
    ~Stay();

   private:
    int before_;
  };
  const Stay stay_;
  int tap_ = -1;
  int aliases_ = 0;
};

enum class Transport { tcp, udp };

// Answers what is sent to it with "echo TEXT". On an address of this thread's network; port 0: any
// that is free.
class EchoServer {
 public:
  explicit EchoServer(const std::string& address, int port = 0,
                      Transport transport = Transport::tcp);
  EchoServer(const EchoServer&) = delete;
  EchoServer& operator=(const EchoServer&) = delete;
  ~EchoServer();

  std::string port() const { return std::to_string(port_); }
  // Connections accepted, or datagrams received.
  int contacts() const { return contacts_; }

 private:
  void serve();
  void answer(int connection);

  const Transport transport_;
  int port_ = 0;
  const int socket_;  // sets port_
  std::atomic<int> contacts_{0};
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

// Answers every question for an IPv4 address with 192.0.2.77.
class NameServer {
 public:
  explicit NameServer(const std::string& address);
  NameServer(const NameServer&) = delete;
  NameServer& operator=(const NameServer&) = delete;
  ~NameServer();

 private:
  void serve() const;

  int socket_ = -1;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace cove::testing

#define COVE_NEEDS_OPEN_NETWORK()                                                                \
  if (geteuid() != 0) GTEST_SKIP() << "needs root";                                              \
  if (const std::string& missing = ::cove::testing::host_facts().pasta_reason; !missing.empty()) \
  GTEST_SKIP() << "needs pasta (" << missing << ")"
