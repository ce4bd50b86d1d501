#include <gmock/gmock.h>

#include "runtime/network/prefix.h"
#include "tests/unit/plan/plan_fixture.h"

namespace cove {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Planning open_network(const std::string& resolv_conf = "nameserver 10.0.0.53\n") {
  Planning planning;
  planning.spec.network = NetworkMode::open;
  planning.host.resolv_conf = resolv_conf;
  return planning;
}

std::string resolv_conf(const Plan& plan) {
  for (const FilePlan& file : plan.files) {
    if (file.path == "/etc/resolv.conf") return file.content;
  }
  return "(none)";
}

// The values of an option of pasta's.
std::vector<std::string> values_of(const Plan& plan, std::string_view option) {
  const std::vector<std::string>& words = plan.uplink->pasta;
  std::vector<std::string> values;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == option) values.push_back(words[i + 1]);
  }
  return values;
}

TEST(NetworkPlan, HasNoUplinkByDefaultAndAnEmptyResolvConf) {
  const Plan plan = Planning().plan();
  EXPECT_FALSE(plan.uplink);
  EXPECT_THAT(resolv_conf(plan), Not(HasSubstr("nameserver")));
  EXPECT_EQ(enforced_text(plan, Protection::network), "namespace");
}

TEST(NetworkPlan, OpenIsANamespaceOfItsOwnWithPasta) {
  const Plan plan = open_network().plan();
  ASSERT_TRUE(plan.uplink);
  EXPECT_EQ(plan.uplink->pasta.front(), "/usr/bin/pasta");
  EXPECT_EQ(enforced_text(plan, Protection::network), "namespace+pasta");
  EXPECT_THAT(plan.namespaces, Contains(Protection::network));
}

TEST(NetworkPlan, SwitchesOffWhatPastaForwardsByItself) {
  const Plan plan = open_network().plan();
  for (const char* option : {"--tcp-ports", "--udp-ports", "--tcp-ns", "--udp-ns"})
    EXPECT_THAT(values_of(plan, option), ElementsAre("none")) << option;
  EXPECT_THAT(plan.uplink->pasta, Contains("--no-map-gw"));
}

TEST(NetworkPlan, NeedsPasta) {
  Planning planning = open_network();
  planning.host.pasta.clear();
  planning.host.pasta_reason = "it is not installed";
  expect_error(planning.refusal(), ErrorCode::isolation_unavailable, "$.network",
               "apt install passt");
  EXPECT_EQ(planning.refusal().step, "network");
  planning.host.pasta_reason.clear();  // facts recorded before there was the field
  expect_error(planning.refusal(), ErrorCode::isolation_unavailable, "$.network", "not looked for");
}

TEST(NetworkPlan, ItsLossCannotBePreferred) {
  Planning planning = open_network();
  planning.host.pasta.clear();
  planning.spec.require[Protection::network] = Requirement::preferred;
  EXPECT_EQ(planning.refusal().code, ErrorCode::isolation_unavailable)
      << "a run that asked for a network does not run without";
}

TEST(NetworkPlan, OpenCannotBeSwitchedOff) {
  Planning planning = open_network();
  planning.spec.require[Protection::network] = Requirement::off;
  expect_error(planning.refusal(), ErrorCode::invalid_argument, "$.require.network",
               "\"network\": \"host\"");
}

TEST(NetworkPlan, BlocksMetadataAlwaysAndPrivateNetworksOnRequest) {
  Planning planning = open_network();
  for (const char* prefix : {"127.0.0.0/8", "0.0.0.0/8", "169.254.0.0/16", "100.100.100.200/32",
                             "::/64", "fe80::/10", "fd00:ec2::/32", "64:ff9b::169.254.0.0/112"})
    EXPECT_THAT(planning.plan().uplink->blocked, Contains(prefix));
  for (const auto state :
       {std::optional<PrivateNetworks>(), std::optional(PrivateNetworks::reachable)}) {
    planning.spec.private_networks = state;
    EXPECT_THAT(planning.plan().uplink->blocked, Not(Contains("10.0.0.0/8")));
  }
  planning.spec.private_networks = PrivateNetworks::blocked;
  for (const char* prefix : {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
                             "fc00::/7", "64:ff9b::10.0.0.0/104", "169.254.0.0/16"})
    EXPECT_THAT(planning.plan().uplink->blocked, Contains(prefix));
}

TEST(NetworkPlan, NamesPrefixesThatTheLaunchUnderstands) {
  Planning planning = open_network("nameserver 10.0.0.53\nnameserver 2001:db8::53\n");
  planning.spec.private_networks = PrivateNetworks::blocked;
  const UplinkPlan uplink = *planning.plan().uplink;
  EXPECT_TRUE(parse_prefixes(uplink.blocked));
  EXPECT_TRUE(parse_prefixes(uplink.resolvers));
}

TEST(NetworkPlan, AsksPastaForNamesAndNobodyElse) {
  const Plan plan = open_network("nameserver 127.0.0.53\n").plan();
  EXPECT_THAT(plan.uplink->resolvers, ElementsAre("192.0.0.1"));
  EXPECT_THAT(values_of(plan, "--dns-forward"), ElementsAre("192.0.0.1"));
  EXPECT_THAT(resolv_conf(plan), HasSubstr("nameserver 192.0.0.1\n"));
  EXPECT_THAT(resolv_conf(plan), Not(HasSubstr("127.0.0.53")));
}

// Which is to say: --dns-forward of a version for which the host has no server would lead to its
// loopback.
TEST(NetworkPlan, ForwardsNamesOnlyToAServerThatPastaWillFind) {
  struct Case {
    const char* hosts;
    std::vector<std::string> resolvers;
  };
  const Case cases[] = {
      {"", {}},
      {"# nameserver 10.0.0.53\n", {}},
      {"nameserver\t10.0.0.53\n", {}},  // pasta wants a space
      {"nameserver 10.0.0.53", {"192.0.0.1"}},
      {"nameserver 10.0.0.53 # ours\n", {}},
      {"nameserver 2001:db8::53\n", {"fd3c:91a5:7be2::1"}},
      {"nameserver fe80::1%eth0\n", {}},
      {"nameserver fe80::1%eth0\nnameserver 2001:db8::53\n", {}},  // the first one is asked
      {"nameserver 2001:db8::53\nnameserver 1.1.1.1\n", {"192.0.0.1", "fd3c:91a5:7be2::1"}},
      {"nameserver dns.example\n", {}},
  };
  for (const Case& c : cases) {
    const Plan plan = open_network(c.hosts).plan();
    EXPECT_EQ(plan.uplink->resolvers, c.resolvers) << c.hosts;
    EXPECT_EQ(values_of(plan, "--dns-forward"), c.resolvers) << c.hosts;
    EXPECT_EQ(resolv_conf(plan).find("nameserver") == std::string::npos, c.resolvers.empty())
        << c.hosts;
  }
}

TEST(NetworkPlan, KeepsTheHostsSearchListAndOptions) {
  const std::string text =
      resolv_conf(open_network("search corp.example a.example\nnameserver 10.0.0.53\n"
                               "options ndots:2\nsortlist 10.0.0.0\n")
                      .plan());
  EXPECT_THAT(text, HasSubstr("\nsearch corp.example a.example\n"));
  EXPECT_THAT(text, HasSubstr("\noptions ndots:2\n"));
  EXPECT_THAT(text, Not(HasSubstr("sortlist")));
}

TEST(NetworkPlan, TheHostsNetworkHasTheHostsNameServers) {
  Planning planning;
  planning.spec.network = NetworkMode::host;
  planning.spec.require[Protection::network] = Requirement::off;
  planning.host.resolv_conf = "nameserver 127.0.0.53\n";
  EXPECT_EQ(resolv_conf(planning.plan()), "nameserver 127.0.0.53\n");
  EXPECT_FALSE(planning.plan().uplink);
  planning.host.resolv_conf.clear();
  EXPECT_EQ(resolv_conf(planning.plan()), "(none)") << "the image's own stays";
  planning.spec.private_networks = PrivateNetworks::blocked;
  expect_error(planning.refusal(), ErrorCode::invalid_argument, "$.private_networks",
               "\"network\": \"open\"");
}

}  // namespace
}  // namespace cove
