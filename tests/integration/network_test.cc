// `network: open`: what it reaches, what it does not, and what becomes of pasta. All in networks of
// the tests' own (tests/support/network.h).
#include "tests/support/network.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "tests/support/host.h"
#include "tests/support/plain_user.h"
#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kPasta = "/pasta";

SandboxSpec open_probe(const std::string& commands) {
  SandboxSpec spec = probe(commands);
  spec.network = NetworkMode::open;
  return spec;
}

// With an engine of the test's own: its launcher has to be started in the test's network.
SandboxResult run_here(const SandboxSpec& spec) {
  auto engine = Engine::create();
  EXPECT_TRUE(engine) << engine.error().message();
  return engine->run(spec);
}

std::string out_of(const SandboxSpec& spec) {
  const SandboxResult result = run_here(spec);
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  return output(result);
}

// What comes through comes at once.
std::string briefly() { return "patience " + std::to_string(0.2 * slowness()) + " ; "; }

class OpenNetwork : public ::testing::Test {
 protected:
  void SetUp() override {
    COVE_NEEDS_OPEN_NETWORK();
    host_.emplace();
  }
  std::optional<HostNetwork> host_;
};

// ---- what it reaches ----

TEST_F(OpenNetwork, ReachesAServerAsTheFirstActOfTheProgram) {
  const EchoServer server(kHost4);
  const SandboxResult result =
      run_here(open_probe(std::string("tcp ") + kHost4 + " " + server.port()));
  EXPECT_EQ(output(result), "tcp: echo hello\n") << shown(result);
  EXPECT_EQ(result.enforced.at(Protection::network), "namespace+pasta");
  EXPECT_EQ(server.contacts(), 1);
}
TEST_F(OpenNetwork, ReachesItEveryTime) {
  const EchoServer server(kHost4);
  auto engine = Engine::create();
  ASSERT_TRUE(engine);
  for (int i = 0; i < 10; ++i) {
    const SandboxResult result =
        engine->run(open_probe(std::string("tcp ") + kHost4 + " " + server.port()));
    EXPECT_EQ(output(result), "tcp: echo hello\n") << i << shown(result);
  }
}
TEST_F(OpenNetwork, ReachesServersByIp6AndByUdp) {
  const EchoServer six(kHost6), datagrams(kHost4, 0, Transport::udp),
      six_datagrams(kHost6, 0, Transport::udp);
  EXPECT_EQ(
      out_of(open_probe(std::string("tcp ") + kHost6 + " " + six.port() + " ; udp " + kHost4 + " " +
                        datagrams.port() + " ; udp " + kHost6 + " " + six_datagrams.port())),
      "tcp: echo hello\nudp: echo hello\nudp: echo hello\n");
}
TEST_F(OpenNetwork, ManySandboxesHaveItAtOnce) {
  const EchoServer server(kHost4);
  auto engine = Engine::create();
  ASSERT_TRUE(engine);
  std::vector<Sandbox> sandboxes;
  for (int i = 0; i < 8; ++i) {
    auto sandbox = engine->launch(
        open_probe(std::string("tcp ") + kHost4 + " " + server.port() + " ; interfaces"));
    ASSERT_TRUE(sandbox) << sandbox.error().message();
    sandboxes.push_back(std::move(*sandbox));
  }
  for (Sandbox& sandbox : sandboxes) {
    const SandboxResult result = sandbox.wait();
    EXPECT_EQ(output(result), "tcp: echo hello\ninterface: lo\ninterface: eth0\n") << shown(result);
  }
}
TEST_F(OpenNetwork, SaysWhatItCosts) {
  const SandboxResult result = run_here(open_probe("exit 0"));
  const auto step = std::find_if(result.steps.begin(), result.steps.end(),
                                 [](const auto& each) { return each.first == "init: uplink"; });
  ASSERT_NE(step, result.steps.end()) << shown(result);
  EXPECT_GT(step->second, 0);
}
TEST_F(OpenNetwork, PythonFetches) {
  COVE_NEEDS_PROGRAM("/usr/bin/python3");
  const EchoServer server(kHost4);
  SandboxSpec spec;
  spec.rootfs = "/";
  spec.network = NetworkMode::open;
  spec.command = {"/usr/bin/python3", "-c",
                  "import socket, sys\n"
                  "s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)\n"
                  "s.sendall(b'from python')\n"
                  "print(s.recv(100).decode())\n",
                  kHost4, server.port()};
  EXPECT_EQ(out_of(spec), "echo from python\n");
}
TEST_F(OpenNetwork, TheDefaultNetworkReachesNothing) {
  const EchoServer server(kHost4), six(kHost6);
  EXPECT_EQ(out_of(probe(std::string("tcp ") + kHost4 + " " + server.port() + " ; tcp " + kHost6 +
                         " " + six.port() + " ; interfaces ; resolve example.org")),
            "tcp: ENETUNREACH\ntcp: ENETUNREACH\ninterface: lo\nresolve: no name server\n");
  EXPECT_EQ(server.contacts() + six.contacts(), 0);
}

// ---- names ----

// `cove run` with another /etc/resolv.conf on the host.
CommandOutcome run_with_resolv_conf(const std::string& resolv_conf,
                                    const std::vector<std::string>& arguments,
                                    const std::string& commands) {
  const TempDirectory directory;
  const std::string file = directory / "resolv.conf";
  put_file(file, resolv_conf);
  CommandOptions options;
  options.in_child = [&file] {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount(file.c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr) != 0)
      _exit(99);
  };
  return run_command(cove_run(arguments, commands), options);
}

TEST_F(OpenNetwork, AsksTheHostsNameServerAlsoOnItsLoopback) {
  const NameServer server("127.0.0.53");
  const CommandOutcome outcome =
      run_with_resolv_conf("search corp.example\nnameserver 127.0.0.53\n", {"--network", "open"},
                           "resolve host.example ; udp 127.0.0.53 53 ; read-file /etc/resolv.conf");
  EXPECT_THAT(outcome.out, StartsWith("resolve: 192.0.2.77\nudp: ECONNREFUSED\n")) << outcome.err;
  EXPECT_THAT(outcome.out, Not(HasSubstr("127.0.0.53")));
  EXPECT_THAT(outcome.out, HasSubstr("search corp.example\n"));
}
TEST_F(OpenNetwork, NamesAreAskedAlsoWherePrivateNetworksAreBlocked) {
  host_->add_address("10.0.0.53");
  const NameServer server("10.0.0.53");
  const CommandOutcome outcome = run_with_resolv_conf(
      "nameserver 10.0.0.53\n", {"--network", "open", "--private-networks", "blocked"},
      "resolve host.example ; udp 10.0.0.53 53");
  EXPECT_EQ(outcome.out, "resolve: 192.0.2.77\nudp: EACCES\n") << outcome.err;
}
TEST_F(OpenNetwork, AHostWithoutANameServerLendsNone) {
  const NameServer server("127.0.0.1");
  const CommandOutcome outcome =
      run_with_resolv_conf("# none\n", {"--network", "open"},
                           "resolve host.example ; " + briefly() + "udp 192.0.0.1 53");
  EXPECT_EQ(outcome.out, "resolve: no name server\nudp: ETIMEDOUT\n") << outcome.err;
}
TEST_F(OpenNetwork, TheHostsNetworkHasTheHostsNameServers) {
  const NameServer server("127.0.0.53");
  const CommandOutcome outcome =
      run_with_resolv_conf("nameserver 127.0.0.53\n",
                           {"--network", "host", "--danger-host-network"}, "resolve host.example");
  EXPECT_EQ(outcome.out, "resolve: 192.0.2.77\n") << outcome.err;
}

// ---- what it does not reach ----

// All that a program can do to reach an address. A bound socket passes by what only routes hold.
std::string every_way_to(const std::string& address, const std::string& port) {
  std::string commands;
  for (const char* protocol : {"tcp ", "udp "}) {
    for (const char* interface : {"-", "eth0"})
      commands += protocol + address + " " + port + " " + interface + " ; ";
  }
  return commands;
}

// Servers of both transports on addresses of the host, on one port each.
class Services {
 public:
  Services(HostNetwork& host, std::vector<std::string> addresses)
      : addresses_(std::move(addresses)) {
    for (const std::string& address : addresses_) {
      host.add_address(address);
      servers_.push_back(std::make_unique<EchoServer>(address));
      const int port = std::stoi(servers_.back()->port());
      servers_.push_back(std::make_unique<EchoServer>(address, port, Transport::udp));
    }
  }
  std::string every_way() const {
    std::string commands;
    for (std::size_t i = 0; i < addresses_.size(); ++i)
      commands += every_way_to(addresses_[i], servers_[2 * i]->port());
    return commands;
  }
  int contacts() const {
    int sum = 0;
    for (const auto& server : servers_) sum += server->contacts();
    return sum;
  }

 private:
  const std::vector<std::string> addresses_;
  std::vector<std::unique_ptr<EchoServer>> servers_;
};

std::string times(int count, const std::string& text) {
  std::string repeated;
  while (count-- > 0) repeated += text;
  return repeated;
}

void expect_no_contact(const std::string& commands) {
  const SandboxResult result = run_here(open_probe(briefly() + commands + "exit 0"));
  EXPECT_EQ(result.exit_code, 0) << shown(result);
  EXPECT_THAT(output(result), Not(HasSubstr("echo")));
}

TEST_F(OpenNetwork, TheHostsLoopbackIsOutOfReach) {
  const EchoServer four("127.0.0.1"), six("::1");
  const int port4 = std::stoi(four.port()), port6 = std::stoi(six.port());
  const EchoServer datagrams4("127.0.0.1", port4, Transport::udp),
      datagrams6("::1", port6, Transport::udp);
  std::string commands;
  for (const char* address : {"127.0.0.1", "127.1.2.3", "0.0.0.0", "192.0.0.1", "192.0.0.2",
                              "::ffff:127.0.0.1", "64:ff9b::127.0.0.1"})
    commands += every_way_to(address, four.port());
  for (const char* address : {"::1", "::", "fd3c:91a5:7be2::1", "fd3c:91a5:7be2::2"})
    commands += every_way_to(address, six.port());
  expect_no_contact(commands);
  EXPECT_EQ(four.contacts() + six.contacts(), 0);
  EXPECT_EQ(datagrams4.contacts() + datagrams6.contacts(), 0);
}
TEST_F(OpenNetwork, ARoutingHeaderLeadsNowhere) {
  const EchoServer loopback("127.0.0.1"), six(kHost6);
  std::string commands;
  for (const char* interface : {"-", "eth0"}) {
    for (const char* segment : {"::ffff:127.0.0.1", "::1", kHost6}) {
      for (const std::string& port : {loopback.port(), six.port()})
        commands +=
            std::string("tcp ") + kHost6 + " " + port + " " + interface + " " + segment + " ; ";
    }
  }
  expect_no_contact(commands);
  EXPECT_EQ(loopback.contacts() + six.contacts(), 0);
}
TEST_F(OpenNetwork, LinkLocalAndMetadataAddressesAreOutOfReach) {
  const Services services(*host_, {"169.254.169.254", "169.254.170.2", "100.100.100.200",
                                   "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"});
  // Said at once where a route decides, silent where only the frame filter does.
  const std::string expected = "tcp: EACCES\ntcp: ETIMEDOUT\nudp: EACCES\nudp: ETIMEDOUT\n";
  EXPECT_EQ(out_of(open_probe(briefly() + services.every_way())), times(6, expected));
  EXPECT_EQ(services.contacts(), 0);
}
TEST_F(OpenNetwork, NeighboursOnTheHostsLinkAreOutOfReach) {
  host_->add_address("fe80::99");
  const EchoServer server("::");
  const EchoServer datagrams("::", std::stoi(server.port()), Transport::udp);
  expect_no_contact(every_way_to("fe80::99%eth0", server.port()) +
                    every_way_to("ff02::1%eth0", server.port()) +
                    every_way_to("224.0.0.1", server.port()));
  EXPECT_EQ(server.contacts() + datagrams.contacts(), 0);
}
TEST_F(OpenNetwork, PrivateNetworksAreReachableUnlessBlocked) {
  const Services services(*host_,
                          {"10.1.2.3", "172.16.0.9", "192.168.1.1", "100.64.0.7", "fd99::1"});
  SandboxSpec spec = open_probe(services.every_way());
  EXPECT_EQ(out_of(spec), times(5,
                                "tcp: echo hello\ntcp: echo hello\n"
                                "udp: echo hello\nudp: echo hello\n"));
  EXPECT_EQ(services.contacts(), 5 * 4);
  spec = open_probe(briefly() + services.every_way());
  spec.private_networks = PrivateNetworks::blocked;
  EXPECT_EQ(out_of(spec), times(5, "tcp: EACCES\ntcp: ETIMEDOUT\nudp: EACCES\nudp: ETIMEDOUT\n"));
  EXPECT_EQ(services.contacts(), 5 * 4);
}
TEST_F(OpenNetwork, TheWorldIsReachableWherePrivateNetworksAreBlocked) {
  const EchoServer four(kHost4), six(kHost6);
  SandboxSpec spec = open_probe(std::string("tcp ") + kHost4 + " " + four.port() + " ; tcp " +
                                kHost6 + " " + six.port());
  spec.private_networks = PrivateNetworks::blocked;
  EXPECT_EQ(out_of(spec), "tcp: echo hello\ntcp: echo hello\n");
}
TEST_F(OpenNetwork, AnAbstractSocketOfTheHostCannotBeReached) {
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = unique_marker();
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  EXPECT_EQ(out_of(open_probe("connect @" + name)), "connect: ECONNREFUSED\n");
  close(listener);
}

// ---- what reaches it ----

TEST_F(OpenNetwork, NothingComesIn) {
  RunningCommand run(cove_run({"--network", "open"}, "patience 1 ; tcp-listen 8080"));
  ASSERT_TRUE(run.wait_for_output("ready"));
  for (const char* address : {"127.0.0.1", kHost4}) {
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in server{};
    server.sin_family = AF_INET;
    server.sin_port = htons(8080);
    inet_pton(AF_INET, address, &server.sin_addr);
    EXPECT_EQ(connect(client, reinterpret_cast<sockaddr*>(&server), sizeof server), -1) << address;
    EXPECT_EQ(errno, ECONNREFUSED) << address;
    close(client);
  }
  EXPECT_EQ(run.wait().out, "ready\ntcp-listen: ETIMEDOUT\n");
}
// pasta (before 2024) answers on the host's port of the same number.
TEST_F(OpenNetwork, APortOfTheHostIsNotTheProgramsToChoose) {
  const EchoServer server(kHost4, 0, Transport::udp);
  const std::string to = std::string("udp ") + kHost4 + " " + server.port() + " - ";
  EXPECT_EQ(
      out_of(open_probe(briefly() + to + "5353 ; " + to + "32767 ; patience 5 ; " + to + "32768")),
      "udp: ETIMEDOUT\nudp: ETIMEDOUT\nudp: echo hello\n");
  EXPECT_EQ(server.contacts(), 1);
}
TEST_F(OpenNetwork, TheProgramCannotChangeIt) {
  SandboxSpec spec = open_probe(
      "interface-down eth0 ; add-route ; socket 2 3 1 ; socket 17 3 ; open /dev/net/tun rw ; put "
      "/proc/sys/net/ipv4/conf/eth0/route_localnet 1");
  for (const char* user : {"1000", "root"}) {
    spec.user = user;
    const std::string out = out_of(spec);
    EXPECT_THAT(out, StartsWith("interface-down: EPERM\nadd-route: EPERM\n")) << user;
    EXPECT_THAT(out, Not(HasSubstr(": ok"))) << user;
  }
}

// Nor may a program that may change everything in its namespace: what counts is outside of that.
TEST_F(OpenNetwork, ARightToChangeItIsNoWayOut) {
  const EchoServer loopback("127.0.0.1"), six("::1");
  const Services services(*host_, {"169.254.169.254"});
  SandboxSpec spec = open_probe(briefly() + "add-route ; open /dev/net/tun rw ; " +
                                every_way_to("127.0.0.1", loopback.port()) +
                                every_way_to("::ffff:127.0.0.1", loopback.port()) +
                                every_way_to("::1", six.port()) + services.every_way() + "tcp " +
                                kHost4 + " 9 ; interface-down eth0");
  spec.user = "root";
  spec.capabilities = {"net_admin", "net_raw"};
  const std::string out = out_of(spec);
  EXPECT_THAT(out, StartsWith("add-route: ok\nopen: ENOENT\n"));
  EXPECT_THAT(out, ::testing::EndsWith("interface-down: ok\n"));
  EXPECT_THAT(out, Not(HasSubstr("echo")));
  EXPECT_EQ(loopback.contacts() + six.contacts() + services.contacts(), 0);
}

// ---- pasta ----

TEST_F(OpenNetwork, PastaHasNoRightOnTheHostAndNoFile) {
  COVE_NEEDS_PRIVILEGE();
  auto engine = Engine::create();
  ASSERT_TRUE(engine);
  auto sandbox = engine->launch(open_probe("sleep 60"));
  ASSERT_TRUE(sandbox) << sandbox.error().message();
  // It has its filter last; by then everything else is so.
  std::string status, directory;
  const double end = seconds_now() + 10;
  while (line_after(status, "Seccomp:\t") != "2") {
    ASSERT_LT(seconds_now(), end) << status;
    for (const pid_t pid : host_->processes(kPasta)) {
      directory = "/proc/" + std::to_string(pid);
      status = contents_of(directory + "/status");
    }
  }
  for (const char* ids : {"Uid:\t", "Gid:\t"})
    EXPECT_GE(std::stoul(line_after(status, ids)), 0x70000000u) << status;
  EXPECT_EQ(line_after(status, "Groups:\t"), " ") << status;
  for (const char* set : {"CapInh:\t", "CapBnd:\t", "CapAmb:\t"})
    EXPECT_EQ(line_after(status, set), "0000000000000000") << set;
  // CAP_SYS_ADMIN, in a user namespace that is not ours.
  EXPECT_EQ(line_after(status, "CapEff:\t"), "0000000000200000") << status;
  EXPECT_EQ(line_after(status, "NoNewPrivs:\t"), "1");
  std::array<char, 64> theirs{}, ours{};
  for (const char* space : {"/ns/user", "/ns/mnt", "/ns/pid", "/ns/ipc", "/ns/uts"}) {
    ASSERT_GT(readlink((directory + space).c_str(), theirs.data(), theirs.size()), 0);
    ASSERT_GT(readlink((std::string("/proc/self") + space).c_str(), ours.data(), ours.size()), 0);
    EXPECT_STRNE(theirs.data(), ours.data()) << space;
  }
  EXPECT_THAT(names_in(directory + "/root"), IsEmpty());
  EXPECT_THAT(contents_of(directory + "/limits"), HasSubstr("Max core file size        0"));
}
TEST_F(OpenNetwork, PastaEndsWithTheProgram) {
  auto engine = Engine::create();
  ASSERT_TRUE(engine);
  for (int i = 0; i < 3; ++i) {
    const SandboxResult result = engine->run(open_probe("exit 3"));
    EXPECT_EQ(result.exit_code, 3) << shown(result);
    EXPECT_EQ(host_->processes_left(kPasta, 2), 0u);
    EXPECT_THAT(groups_left("cove-" + result.sandbox_id), IsEmpty());
  }
}
TEST_F(OpenNetwork, PastaEndsWithACancelledSandbox) {
  auto engine = Engine::create();
  ASSERT_TRUE(engine);
  // At every stage of its start.
  for (const int milliseconds : {0, 1, 3, 5, 10, 20, 40, 100, 300}) {
    auto sandbox = engine->launch(open_probe("sleep 60"));
    ASSERT_TRUE(sandbox) << sandbox.error().message();
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    sandbox->cancel();
    const SandboxResult result = sandbox->wait();
    EXPECT_EQ(result.cause, Cause::cancelled) << milliseconds << shown(result);
    EXPECT_EQ(host_->processes_left(kPasta, 2), 0u) << milliseconds;
    EXPECT_THAT(groups_left("cove-" + result.sandbox_id), IsEmpty());
  }
}
TEST_F(OpenNetwork, PastaEndsWithACallerThatIsKilled) {
  for (const int milliseconds : {0, 10, 30, 300}) {
    const std::string marker = unique_marker();
    RunningCommand run(
        cove_run({"--network", "open"}, "mark " + marker + " ; print up ; sleep 60"));
    if (milliseconds == 300) {
      ASSERT_TRUE(run.wait_for_output("up"));
      EXPECT_EQ(host_->processes(kPasta).size(), 1u);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    run.kill(SIGKILL);
    run.wait();
    EXPECT_EQ(host_->processes_left(kPasta, 2), 0u) << milliseconds;
    EXPECT_EQ(processes_left(marker, 2), 0u) << milliseconds;
  }
  EXPECT_EQ(host_->processes_left("cove-launcher", 2), 0u);
}
TEST_F(OpenNetwork, PastaEndsWithALauncherThatIsKilled) {
  RunningCommand run(cove_run({"--network", "open"}, "print up ; sleep 60"));
  ASSERT_TRUE(run.wait_for_output("up"));
  ASSERT_EQ(host_->processes(kPasta).size(), 1u);
  const std::vector<pid_t> launchers = host_->processes("cove-launcher");
  ASSERT_EQ(launchers.size(), 1u);
  kill(launchers[0], SIGKILL);
  EXPECT_EQ(host_->processes_left(kPasta, 2), 0u);
  const CommandOutcome outcome = run.wait();
  EXPECT_EQ(outcome.status, 125) << outcome.err;
  auto engine = Engine::create();
  ASSERT_TRUE(engine);
  EXPECT_TRUE(engine->collect());
}
TEST_F(OpenNetwork, ASandboxGoesOnWithoutAPastaThatIsKilled) {
  RunningCommand run(
      cove_run({"--network", "open"}, std::string("print up ; sleep 1 ; tcp ") + kHost4 + " 9"));
  ASSERT_TRUE(run.wait_for_output("up"));
  const std::vector<pid_t> pastas = host_->processes(kPasta);
  ASSERT_EQ(pastas.size(), 1u);
  kill(pastas[0], SIGKILL);
  EXPECT_EQ(host_->processes_left(kPasta, 2), 0u);
  const CommandOutcome outcome = run.wait();
  EXPECT_THAT(outcome.out, HasSubstr("tcp: ENETUNREACH")) << outcome.err;
  EXPECT_EQ(outcome.status, 0) << outcome.err;
}
TEST_F(OpenNetwork, IsInvisibleToTheCallersWait) {
  auto engine = Engine::create();
  ASSERT_TRUE(engine);
  auto sandbox = engine->launch(open_probe("sleep 0.2"));
  ASSERT_TRUE(sandbox);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
  EXPECT_EQ(sandbox->wait().cause, Cause::exited);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}
TEST_F(OpenNetwork, LeavesNoDescriptorBehind) {
  COVE_NEEDS_PRIVILEGE();
  auto engine = Engine::create();
  ASSERT_TRUE(engine);
  EXPECT_EQ(engine->run(open_probe("exit 0")).exit_code, 0);
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(engine->run(open_probe("exit 0")).exit_code, 0);
  EXPECT_EQ(open_descriptors(), before);

  auto running = engine->launch(open_probe("sleep 60"));
  ASSERT_TRUE(running);
  std::string launcher;
  for (const double end = seconds_now() + 5; launcher.empty() && seconds_now() < end;) {
    for (const pid_t pid : host_->processes(kPasta))
      launcher = line_after(contents_of("/proc/" + std::to_string(pid) + "/status"), "PPid:\t");
  }
  running->cancel();
  running->wait();
  const auto of_launcher = [&] { return names_in("/proc/" + launcher + "/fd").size(); };
  ASSERT_EQ(host_->processes_left(kPasta, 2), 0u);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const std::size_t quiet = of_launcher();
  ASSERT_GT(quiet, 0u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(engine->run(open_probe("exit 0")).exit_code, 0);
  const double end = seconds_now() + 2;
  while (of_launcher() != quiet && seconds_now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(of_launcher(), quiet);
}

// ---- hosts that cannot ----

TEST(OpenNetworkOfAHost, WithoutADefaultRouteSaysSoOrHasNone) {
  COVE_NEEDS_OPEN_NETWORK();
  const HostNetwork host(HostNetwork::DefaultRoute::missing);
  const SandboxResult result = run_here(open_probe("tcp 198.51.100.1 9"));
  // pasta of 2024 and later goes on, for what the host's loopback could be mapped to.
  if (result.cause == Cause::exited) {
    EXPECT_THAT(output(result), Not(HasSubstr("echo")));
    return;
  }
  ASSERT_TRUE(result.error) << shown(result);
  EXPECT_EQ(result.error->code, ErrorCode::setup_failed);
  EXPECT_EQ(result.error->step, "network");
  EXPECT_THAT(result.error->what, HasSubstr("pasta could not start"));
  EXPECT_THAT(result.error->hint, HasSubstr("default route"));
  EXPECT_EQ(host.processes_left(kPasta, 2), 0u);
}
TEST(OpenNetworkOfAHost, WhosePastaIsNoneIsToldWhatItSaid) {
  COVE_NEEDS_OPEN_NETWORK();
  const HostNetwork host;
  const TempDirectory directory;
  std::filesystem::copy_file(probe_path(), directory / "pasta");
  ASSERT_EQ(chmod((directory / "pasta").c_str(), 0755), 0);
  CommandOptions options;
  options.environment = {"PATH=" + directory.path()};
  const CommandOutcome outcome = run_command(cove_run({"--network", "open"}, "exit 0"), options);
  EXPECT_EQ(outcome.status, 125);
  EXPECT_THAT(outcome.err, HasSubstr("network: pasta could not start: payload: no command"))
      << outcome.err;
}

TEST(OpenNetworkOfAHost, WhosePastaNeverComesUpIsGivenUpAndHoldsNobodyUp) {
  COVE_NEEDS_OPEN_NETWORK();
  const HostNetwork host;
  const TempDirectory directory;
  put_file(directory / "pasta", "#!/bin/sh\nsleep 60\n", 0755);
  const std::string path = std::getenv("PATH");
  setenv("PATH", (directory.path() + ":" + path).c_str(), 1);
  auto engine = Engine::create();
  ASSERT_TRUE(engine);
  auto waiting = engine->launch(open_probe("exit 0"));
  setenv("PATH", path.c_str(), 1);
  ASSERT_TRUE(waiting) << waiting.error().message();
  const double began = seconds_now();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(engine->run(probe("exit 3")).exit_code, 3);
  EXPECT_LT(seconds_now() - began, 5);
  EXPECT_EQ(host.processes(kPasta).size(), 1u);
  const SandboxResult result = waiting->wait();
  ASSERT_TRUE(result.error) << shown(result);
  EXPECT_EQ(result.error->code, ErrorCode::setup_failed);
  EXPECT_EQ(result.error->step, "network");
  EXPECT_THAT(result.error->what, HasSubstr("not ready after 10 s"));
  EXPECT_EQ(host.processes_left(kPasta, 2), 0u);
}

// ---- a plain user ----

TEST_F(OpenNetwork, IsAPlainUsersToo) {
  const TempDirectory runtime;
  const EchoServer server(kHost4), six(kHost6), loopback("127.0.0.1");
  host_->add_address("169.254.169.254");
  const EchoServer metadata("169.254.169.254");
  std::vector<std::string> argv =
      cove_run({"--network", "open", "--read-only"},
               std::string("tcp ") + kHost4 + " " + server.port() + " ; tcp " + kHost6 + " " +
                   six.port() + " ; " + briefly() + "tcp 127.0.0.1 " + loopback.port() +
                   " eth0 ; tcp 169.254.169.254 " + metadata.port() + " ; tcp 169.254.169.254 " +
                   metadata.port() + " eth0 ; interface-down eth0");
  const CommandOutcome outcome = run_command(argv, as_plain_user(runtime));
  EXPECT_EQ(outcome.out,
            "tcp: echo hello\ntcp: echo hello\ntcp: ETIMEDOUT\ntcp: EACCES\ntcp: "
            "ETIMEDOUT\ninterface-down: EPERM\n")
      << outcome.err;
  EXPECT_EQ(loopback.contacts() + metadata.contacts(), 0);
  EXPECT_EQ(host_->processes_left(kPasta, 2), 0u);
}
TEST_F(OpenNetwork, OfAPlainUserWithSubordinateIdsHasAPastaThatIsNobody) {
  COVE_NEEDS_PRIVILEGE();
  COVE_NEEDS_PROGRAM("/usr/bin/newuidmap");
  const TempDirectory runtime, lies;
  const CommandOptions options = as_plain_user_with_many_ids(runtime, lies);
  const EchoServer server(kHost4);
  RunningCommand run(cove_run({"--network", "open", "--read-only"},
                              std::string("tcp ") + kHost4 + " " + server.port() + " ; sleep 60"),
                     options);
  ASSERT_TRUE(run.wait_for_output("tcp: echo hello\n"));
  const std::vector<pid_t> pastas = host_->processes(kPasta);
  ASSERT_EQ(pastas.size(), 1u);
  const std::string status = contents_of("/proc/" + std::to_string(pastas[0]) + "/status");
  // 65534 inside; one less, since 1000 inside is the caller.
  EXPECT_THAT(line_after(status, "Uid:\t"), StartsWith("600165533\t")) << status;
  run.kill(SIGKILL);
  run.wait();
  EXPECT_EQ(host_->processes_left(kPasta, 2), 0u);
}
TEST_F(OpenNetwork, OfAPlainUserEndsWithACallerOrLauncherThatIsKilled) {
  for (const char* victim : {"cove-launcher", "run"}) {
    const TempDirectory runtime;
    RunningCommand run(cove_run({"--network", "open", "--read-only"}, "print up ; sleep 60"),
                       as_plain_user(runtime));
    ASSERT_TRUE(run.wait_for_output("up"));
    ASSERT_EQ(host_->processes(kPasta).size(), 1u);
    const std::vector<pid_t> launchers = host_->processes("cove-launcher");
    ASSERT_EQ(launchers.size(), 1u);
    kill(std::string(victim) == "run" ? run.pid() : launchers[0], SIGKILL);
    EXPECT_EQ(host_->processes_left(kPasta, 2), 0u) << victim;
    run.wait();
    EXPECT_EQ(host_->processes_left("cove-launcher", 2), 0u) << victim;
  }
}

}  // namespace
}  // namespace cove::testing
