#include "cli/security_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cove/capability.h"

namespace cove::cli {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

using Strings = std::vector<std::string>;

std::string policy_of(const std::string& text) {
  const auto parsed = parse_security_opt(text);
  EXPECT_TRUE(parsed.has_value()) << text << ": " << (parsed ? "" : parsed.error().message());
  return parsed ? parsed->value_or("(none)") : "(mistake)";
}

std::string mistake_of(const std::string& text) {
  const auto parsed = parse_security_opt(text);
  EXPECT_FALSE(parsed.has_value()) << text;
  if (parsed) return {};
  EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
  return parsed.error().message();
}

TEST(SecurityOpt, NamesAPolicy) {
  EXPECT_EQ(policy_of("seccomp=strict"), "strict");
  EXPECT_EQ(policy_of("seccomp=unconfined"), "unconfined");
  EXPECT_EQ(policy_of("seccomp=/etc/p.json"), "/etc/p.json");
  EXPECT_EQ(policy_of("seccomp=a=b/c:d"), "a=b/c:d");
  EXPECT_EQ(policy_of("seccomp:unconfined"), "unconfined");
}

TEST(SecurityOpt, TakesDockersWordsForThem) {
  EXPECT_EQ(policy_of("seccomp=builtin"), "default");
  EXPECT_EQ(policy_of("seccomp=profile.json"), "./profile.json");
}

TEST(SecurityOpt, AcceptsWhatAlwaysHolds) {
  for (const char* text : {"no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"})
    EXPECT_EQ(policy_of(text), "(none)") << text;
}

TEST(SecurityOpt, RefusesWhatCannotBeSaid) {
  EXPECT_THAT(mistake_of("no-new-privileges:false"), HasSubstr("always holds"));
  EXPECT_THAT(mistake_of("no-new-privileges="), HasSubstr("always holds"));
  EXPECT_THAT(mistake_of("apparmor=docker-default"), HasSubstr("AppArmor"));
  EXPECT_THAT(mistake_of("apparmor=unconfined"), HasSubstr("AppArmor"));
  EXPECT_THAT(mistake_of("label=disable"), HasSubstr("SELinux"));
  EXPECT_THAT(mistake_of("label:type:svirt_t"), HasSubstr("SELinux"));
  EXPECT_THAT(mistake_of("systempaths=unconfined"), HasSubstr("masked_paths=off"));
  for (const char* text : {"", "seccomp", "seccomp=", "secomp=x", "=x"})
    EXPECT_THAT(mistake_of(text), HasSubstr("does not know")) << text;
}

TEST(CapabilityOption, TakesDockersSpellings) {
  for (const char* text : {"NET_ADMIN", "CAP_NET_ADMIN", "net_admin", "cap_Net_Admin"})
    EXPECT_EQ(*parse_capability(text), "net_admin") << text;
  EXPECT_EQ(*parse_capability("ALL"), "all");
  EXPECT_EQ(*parse_capability("all"), "all");
}

TEST(CapabilityOption, RefusesWhatIsNone) {
  for (const char* text : {"", "CAP_", "CAP_ALL", "NET-ADMIN", "CAP_CAP_CHOWN", "0"})
    EXPECT_FALSE(parse_capability(text).has_value()) << text;
  EXPECT_THAT(parse_capability("net_admn").error().message(), HasSubstr("net_admin?"));
}

Strings changed(SandboxSpec spec, const Strings& added, const Strings& dropped) {
  change_capabilities(spec, {added, dropped});
  EXPECT_TRUE(spec.capabilities.has_value());
  return spec.capabilities.value_or(Strings{"(unset)"});
}

SandboxSpec holding(Strings names) {
  SandboxSpec spec;
  spec.capabilities = std::move(names);
  return spec;
}

TEST(CapabilityChanges, OfNothingLeaveTheSpecAsItIs) {
  SandboxSpec spec;
  change_capabilities(spec, {});
  EXPECT_FALSE(spec.capabilities.has_value());
}

TEST(CapabilityChanges, AddToAndTakeFromTheSpecs) {
  EXPECT_THAT(changed({}, {"chown"}, {}), ElementsAre("chown"));
  EXPECT_THAT(changed(holding({"CAP_KILL", "net_raw"}), {"chown"}, {"kill"}),
              ElementsAre("net_raw", "chown"));
  EXPECT_THAT(changed(holding({"chown"}), {"chown", "chown"}, {}), ElementsAre("chown"));
  EXPECT_THAT(changed(holding({"chown"}), {}, {"chown"}), IsEmpty());
}

TEST(CapabilityChanges, AreCombinedAsInDocker) {
  EXPECT_THAT(changed(holding({"kill"}), {}, {"all"}), IsEmpty());
  EXPECT_THAT(changed(holding({"kill"}), {"chown"}, {"all"}), ElementsAre("chown"));
  EXPECT_THAT(changed({}, {"chown"}, {"chown"}), ElementsAre("chown")) << "added wins";
  const Strings all_but_one = changed({}, {"all"}, {"net_raw"});
  EXPECT_THAT(all_but_one, SizeIs(grantable_capabilities().size() - 1));
  EXPECT_THAT(all_but_one, Not(Contains("net_raw")));
  EXPECT_THAT(changed({}, {"all"}, {"all"}), SizeIs(grantable_capabilities().size()));
  EXPECT_THAT(changed(holding({"ALL"}), {}, {"chown"}),
              SizeIs(grantable_capabilities().size() - 1));
}

TEST(CapabilityChanges, NeverAddWhatIsGrantedToNobody) {
  EXPECT_THAT(changed({}, {"all"}, {}), Not(Contains("sys_admin")));
  EXPECT_THAT(changed({}, {"all"}, {}), Not(Contains("sys_boot")));
  EXPECT_THAT(changed({}, {"sys_admin"}, {}), ElementsAre("sys_admin")) << "planning refuses it";
}

}  // namespace
}  // namespace cove::cli
