// The network: none, one that leads out through pasta, or the host's. And who is asked for names.
#include <arpa/inet.h>

#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "runtime/host/network_facts.h"
#include "runtime/plan/draft.h"

namespace cove {
namespace {

// The ends of the link between a sandbox and its pasta. No network of anybody's is hidden behind
// them: 192.0.0.0/29 is for just such a link (RFC 7335), the other a random one of our own (RFC
// 4193). The same in every sandbox, so that a program learns nothing of the host's addresses.
struct Link {
  const char* inside;
  const char* gateway;  // and resolver
};
constexpr Link kLink4{"192.0.0.2", "192.0.0.1"};
constexpr const char* kLink4Length = "29";
constexpr Link kLink6{"fd3c:91a5:7be2::2", "fd3c:91a5:7be2::1"};
constexpr const char* kInterface = "eth0";
// pasta's own default since 2024; before, it was the host's.
constexpr const char* kGatewayMac = "9a:55:9a:55:9a:55";

// Never reached.
constexpr auto kAlwaysBlocked = std::to_array<std::string_view>({
    "0.0.0.0/8",           // "this host": pasta's sockets would take it for the host's loopback
    "127.0.0.0/8",         // loopback
    "169.254.0.0/16",      // link-local: metadata and keys of most clouds, 169.254.169.254
    "100.100.100.200/32",  // the same of Alibaba Cloud
    "168.63.129.16/32",    // the same of Azure, besides 169.254.169.254
    "192.0.0.192/32",      // the same of Oracle Cloud, first generation
    "224.0.0.0/4",         // multicast: what answers to it is near
    "240.0.0.0/4",         // reserved, and broadcast
    "::/64",               // ::1, and IPv4 in IPv6's clothes: ::ffff:127.0.0.1
    "fe80::/10",           // link-local
    "ff00::/8",            // multicast
    "fd00:ec2::/32",       // metadata of AWS
    "fd20:ce::/32",        // metadata of Google Cloud
});

// Blocked with PrivateNetworks::blocked.
constexpr auto kPrivate = std::to_array<std::string_view>({
    "10.0.0.0/8",      // RFC 1918
    "172.16.0.0/12",   //
    "192.168.0.0/16",  //
    "100.64.0.0/10",   // shared with a provider (RFC 6598); overlay networks
    "192.0.0.0/24",    // IETF protocol assignments
    "198.18.0.0/15",   // benchmarks (RFC 2544); proxies of a host
    "fc00::/7",        // unique local (RFC 4193)
    "fec0::/10",       // site-local, as it was
    "64:ff9b:1::/48",  // local translation to IPv4 (RFC 8215)
});

bool is_ip4(std::string_view prefix) { return prefix.find(':') == std::string_view::npos; }

// The same hosts through a translator from IPv6 (RFC 6052): "64:ff9b::10.0.0.0/104".
std::string translated(std::string_view prefix) {
  const std::size_t slash = prefix.find('/');
  const int length = 96 + std::stoi(std::string(prefix.substr(slash + 1)));
  return "64:ff9b::" + std::string(prefix.substr(0, slash)) + "/" + std::to_string(length);
}

void block(std::vector<std::string>& blocked, std::span<const std::string_view> prefixes) {
  for (const std::string_view prefix : prefixes) {
    blocked.emplace_back(prefix);
    if (is_ip4(prefix)) blocked.push_back(translated(prefix));
  }
}

// What resolv.conf(5) says, as far as it matters inside.
struct ResolvConf {
  bool server4 = false, server6 = false;  // there is one that pasta will ask
  std::string rest;                       // the lines that are not about servers
};

// Servers as pasta reads them: the first of each IP version counts, and a link-local one, which
// needs an interface, cannot be asked.
ResolvConf parse_resolv_conf(std::string_view text) {
  ResolvConf parsed;
  std::optional<bool> usable6;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with("nameserver ")) {
      const std::string server = line.substr(line.rfind(' ') + 1);
      in6_addr address{};
      if (inet_pton(AF_INET, server.c_str(), &address) == 1) parsed.server4 = true;
      const std::string unscoped = server.substr(0, server.find('%'));
      if (!usable6 && inet_pton(AF_INET6, unscoped.c_str(), &address) == 1)
        usable6 = !IN6_IS_ADDR_LINKLOCAL(&address);
    }
    for (const char* kept : {"search ", "domain ", "options "}) {
      if (line.starts_with(kept)) parsed.rest += line + "\n";
    }
  }
  parsed.server6 = usable6.value_or(false);
  return parsed;
}

// pasta forwards names over UDP alone (before 2024), so that a long answer should fit into a
// datagram: hence edns0.
std::string resolv_conf_of(const UplinkPlan& uplink, const ResolvConf& hosts) {
  if (uplink.resolvers.empty()) return "# The host names no name server.\n";
  std::string text = "# Asked here; pasta passes it on to the host's own name server.\n";
  for (const std::string& resolver : uplink.resolvers) text += "nameserver " + resolver + "\n";
  return text + "options edns0\n" + hosts.rest;
}

std::vector<std::string> pasta_command(const std::string& pasta,
                                       const std::vector<std::string>& resolvers) {
  std::vector<std::string> command{
      pasta, "--foreground", "--quiet", "--no-netns-quit",
      // The interface inside, and what leads to it.
      "--config-net", "--ns-ifname", kInterface, "--mac-addr", kGatewayMac, "--address",
      kLink4.inside, "--netmask", kLink4Length, "--gateway", kLink4.gateway, "--address",
      kLink6.inside, "--gateway", kLink6.gateway, "--no-dhcp", "--no-dhcpv6", "--no-ra",
      // What pasta would do by default: pass on every port that is listened on, both ways, and the
      // gateway's address to the host's loopback.
      "--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none",
      "--no-map-gw"};
  for (const std::string& resolver : resolvers) {
    command.emplace_back("--dns-forward");
    command.push_back(resolver);
  }
  return command;
}

void add_resolv_conf(Draft& draft, std::string content) {
  draft.plan.files.push_back({"/etc/resolv.conf", std::move(content), 0644});
}

void plan_open_network(Draft& draft) {
  if (draft.host.pasta.empty()) {
    const std::string& reason = draft.host.pasta_reason;
    draft.refuse(problem(ErrorCode::isolation_unavailable, "network", "$.network",
                         "\"open\" needs passt's `pasta`: " +
                             (reason.empty() ? "it was not looked for on this host" : reason),
                         cure_for_pasta(reason)));
    return;
  }
  const ResolvConf hosts = parse_resolv_conf(draft.host.resolv_conf);
  UplinkPlan uplink;
  if (hosts.server4) uplink.resolvers.emplace_back(kLink4.gateway);
  if (hosts.server6) uplink.resolvers.emplace_back(kLink6.gateway);
  uplink.pasta = pasta_command(draft.host.pasta, uplink.resolvers);
  block(uplink.blocked, kAlwaysBlocked);
  if (draft.spec.private_networks == PrivateNetworks::blocked) block(uplink.blocked, kPrivate);
  add_resolv_conf(draft, resolv_conf_of(uplink, hosts));
  draft.hold(Protection::network, "namespace+pasta");
  draft.plan.uplink = std::move(uplink);
}

// The name servers are the host's own, and so may be its loopback's.
void plan_host_network(Draft& draft) {
  if (!draft.host.resolv_conf.empty()) add_resolv_conf(draft, draft.host.resolv_conf);
  if (draft.spec.private_networks != PrivateNetworks::blocked) return;
  draft.refuse(problem(ErrorCode::invalid_argument, "network", "$.private_networks",
                       "nothing can be blocked in the host's network",
                       "say \"network\": \"open\", or leave it out"));
}

void check_requirement(Draft& draft, NetworkMode mode) {
  const bool host = mode == NetworkMode::host;
  const bool off = !draft.wanted(Protection::network);
  if (host && !off) {
    draft.refuse(problem(ErrorCode::invalid_argument, "network", "$.network",
                         "the host's network has to be asked for twice",
                         "add \"require\": {\"network\": \"off\"} (--danger-host-network)"));
  } else if (!host && off) {
    draft.refuse(problem(ErrorCode::invalid_argument, "network", "$.require.network",
                         "it can be off only with the host's network",
                         "add \"network\": \"host\""));
  }
}

}  // namespace

void plan_network(Draft& draft) {
  const NetworkMode mode = draft.spec.network.value_or(NetworkMode::none);
  check_requirement(draft, mode);
  if (mode != NetworkMode::host) draft.plan.namespaces.push_back(Protection::network);
  switch (mode) {
    case NetworkMode::none:
      draft.hold(Protection::network, "namespace");
      return add_resolv_conf(draft, "# No network, no name servers.\n");
    case NetworkMode::open:
      return plan_open_network(draft);
    case NetworkMode::host:
      return plan_host_network(draft);
  }
}

}  // namespace cove
