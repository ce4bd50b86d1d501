#include "tests/unit/plan/plan_fixture.h"

namespace cove {
namespace {

TEST(Protections, OfAPrivilegedHostAreAllHeld) {
  const Plan plan = Planning("debian12_root").plan();
  EXPECT_TRUE(plan.degraded.empty());
  const std::pair<Protection, const char*> expected[] = {
      {Protection::user_namespace, "namespace"},
      {Protection::cgroup_namespace, "namespace"},
      {Protection::network, "namespace"},
      {Protection::uid_separation, "uid-range"},
      {Protection::supplementary_groups, "setgroups"},
      {Protection::capabilities, "empty-sets"},
      {Protection::no_new_privs, "prctl"},
      {Protection::seccomp, "filter:default"},
      {Protection::setuid_files, "no-writable-bind"},
      {Protection::masked_paths, "mounts"},
      {Protection::nested_user_namespaces, "sysctl+filter"},
      {Protection::memory, "cgroup-v2"},
      {Protection::disk, "tmpfs-size"},
      {Protection::open_files, "rlimit"},
      {Protection::output, "supervisor"},
  };
  for (const auto& [protection, mechanism] : expected) {
    EXPECT_EQ(enforced_text(plan, protection), mechanism) << to_string(protection);
  }
  EXPECT_EQ(plan.namespaces.size(), 7u);
}

TEST(Protections, ThatAPlainUserCannotHaveAreDegraded) {
  Planning planning("user_delegated");
  for (const Protection p : {Protection::uid_separation, Protection::supplementary_groups}) {
    EXPECT_TRUE(is_degraded(planning.plan(), p)) << to_string(p);
    EXPECT_EQ(enforced_text(planning.plan(), p), "no");
  }
  planning.spec.require[Protection::uid_separation] = Requirement::required;
  expect_error(planning.refusal(), ErrorCode::isolation_unavailable, "$.require.uid_separation",
               "run as root");
}

TEST(Protections, NoUserNamespaceNoSandbox) {
  Planning planning("ubuntu2404_user");
  planning.spec.require[Protection::user_namespace] = Requirement::preferred;
  expect_error(planning.refusal(), ErrorCode::isolation_unavailable, "user namespaces",
               "apparmor_restrict_unprivileged_userns");
}

TEST(Protections, SomeCannotBeSwitchedOff) {
  struct Case {
    Protection protection;
    bool may;
  };
  const Case cases[] = {
      {Protection::user_namespace, false}, {Protection::mount_namespace, false},
      {Protection::pid_namespace, false},  {Protection::ipc_namespace, false},
      {Protection::uts_namespace, false},  {Protection::cgroup_namespace, false},
      {Protection::uid_separation, false}, {Protection::supplementary_groups, false},
      {Protection::capabilities, false},   {Protection::no_new_privs, false},
      {Protection::seccomp, true},         {Protection::setuid_files, true},
      {Protection::masked_paths, true},    {Protection::nested_user_namespaces, true},
      {Protection::private_rootfs, true},  {Protection::memory, true},
      {Protection::timeout, true},
  };
  for (const Case& c : cases) {
    Planning planning;
    planning.spec.require[c.protection] = Requirement::off;
    if (c.may) {
      EXPECT_EQ(enforced_text(planning.plan(), c.protection), "no") << to_string(c.protection);
      continue;
    }
    expect_error(planning.refusal(), ErrorCode::invalid_argument,
                 "$.require." + std::string(to_string(c.protection)), "cannot be switched off");
    planning.spec.require[c.protection] = Requirement::preferred;
    planning.plan();
  }
}

TEST(Protections, APrivateRootIsThereWhereItIsAskedFor) {
  Planning planning;
  planning.host.copies_directory = "/var/lib/cove/copies";
  EXPECT_EQ(enforced_text(planning.plan(), Protection::private_rootfs), "no");
  EXPECT_EQ(planning.plan().root.copies_directory, "");

  planning.spec.private_rootfs = true;
  EXPECT_EQ(enforced_text(planning.plan(), Protection::private_rootfs), "copy");
  EXPECT_EQ(planning.plan().root.copies_directory, "/var/lib/cove/copies");
  planning.spec.require[Protection::private_rootfs] = Requirement::off;
  EXPECT_EQ(enforced_text(planning.plan(), Protection::private_rootfs), "no");
  EXPECT_EQ(planning.plan().root.copies_directory, "");
}

TEST(Protections, APrivateRootIsNotSaidToBeOneWhereItIsNot) {
  Planning planning;
  planning.spec.private_rootfs = true;
  expect_error(planning.refusal(), ErrorCode::isolation_unavailable, "$.private_rootfs",
               "no directory for the copies is known");
  planning.host.copies_directory = "/var/lib/cove/copies";
  planning.spec.image.reset();
  planning.spec.rootfs = "/srv/root";
  expect_error(planning.refusal(), ErrorCode::isolation_unavailable, "$.private_rootfs",
               "a directory (--rootfs) is shown as it is");

  planning.spec.require[Protection::private_rootfs] = Requirement::preferred;
  const Plan plan = planning.plan();
  EXPECT_EQ(plan.root.copies_directory, "");
  EXPECT_EQ(enforced_text(plan, Protection::private_rootfs), "no");
  EXPECT_TRUE(std::any_of(plan.degraded.begin(), plan.degraded.end(), [](const Degradation& one) {
    return one.protection == Protection::private_rootfs;
  }));
}

TEST(Protections, TheHostsNetworkIsAskedForTwice) {
  Planning planning;
  planning.spec.network = NetworkMode::host;
  EXPECT_EQ(planning.refusal().where, "$.network");
  planning.spec.require[Protection::network] = Requirement::off;
  const Plan plan = planning.plan();
  EXPECT_EQ(enforced_text(plan, Protection::network), "no");
  EXPECT_EQ(plan.namespaces.size(), 6u);
  planning.spec.network.reset();
  expect_error(planning.refusal(), ErrorCode::invalid_argument, "$.require.network",
               "\"network\": \"host\"");
}

TEST(SeccompPlan, AddsAFilterWhereADirectoryOfTheHostIsWritable) {
  using Filters = std::vector<std::string>;
  Planning planning;
  EXPECT_EQ(planning.plan().seccomp, Filters{"default"});
  planning.add_bind("/h", "/data", true);
  EXPECT_EQ(planning.plan().seccomp, Filters{"default"});
  planning.add_bind("/i", "/data2", false);
  EXPECT_EQ(planning.plan().seccomp, (Filters{"no-setuid-files", "default"}));
  EXPECT_EQ(enforced_text(planning.plan(), Protection::setuid_files), "filter:no-setuid-files");

  planning.spec.seccomp = "mine";
  EXPECT_EQ(planning.plan().seccomp, (Filters{"no-setuid-files", "mine"}));
  planning.spec.require[Protection::seccomp] = Requirement::off;
  EXPECT_EQ(planning.plan().seccomp, Filters{"no-setuid-files"})
      << "the host's files are guarded whatever the program may do to itself";
  EXPECT_EQ(enforced_text(planning.plan(), Protection::nested_user_namespaces), "sysctl");
  planning.spec.require[Protection::setuid_files] = Requirement::off;
  EXPECT_TRUE(planning.plan().seccomp.empty());
}

TEST(SeccompTracePlan, HasToBeSaidTwice) {
  Planning planning;
  planning.spec.seccomp = "strict";
  planning.spec.seccomp_mode = SeccompMode::trace;
  expect_error(planning.refusal(), ErrorCode::invalid_argument, "$.seccomp_mode",
               "lets every system call through");
  EXPECT_EQ(planning.refusal().step, "seccomp");
  planning.spec.require[Protection::seccomp] = Requirement::preferred;
  EXPECT_EQ(planning.refusal().where, "$.seccomp_mode") << "that is not off";
  planning.spec.require[Protection::seccomp] = Requirement::off;
  EXPECT_EQ(planning.plan().seccomp_trace, "strict");
}

TEST(SeccompTracePlan, IsNeverSaidToBeEnforced) {
  Planning planning;
  planning.spec.seccomp_mode = SeccompMode::trace;
  planning.spec.require[Protection::seccomp] = Requirement::off;
  const Plan plan = planning.plan();
  EXPECT_EQ(plan.seccomp_trace, "default");
  EXPECT_TRUE(plan.seccomp.empty());
  EXPECT_FALSE(plan.enforced.contains(Protection::seccomp));
  EXPECT_FALSE(is_degraded(plan, Protection::seccomp));
  EXPECT_EQ(enforced_text(plan, Protection::nested_user_namespaces), "sysctl");
}

TEST(SeccompTracePlan, LeavesTheFilterThatGuardsTheHostsFiles) {
  Planning planning;
  planning.add_bind("/h", "/data", false);
  planning.spec.seccomp_mode = SeccompMode::trace;
  planning.spec.require[Protection::seccomp] = Requirement::off;
  EXPECT_EQ(planning.plan().seccomp, std::vector<std::string>{"no-setuid-files"});
  EXPECT_EQ(enforced_text(planning.plan(), Protection::setuid_files), "filter:no-setuid-files");
}

TEST(SeccompTracePlan, IsRefusedWithoutFiltersInTheKernel) {
  Planning planning;
  planning.host.seccomp = false;
  planning.spec.seccomp_mode = SeccompMode::trace;
  planning.spec.require[Protection::seccomp] = Requirement::off;
  expect_error(planning.refusal(), ErrorCode::isolation_unavailable, "$.seccomp_mode",
               "CONFIG_SECCOMP_FILTER");
}

TEST(SeccompTracePlan, OfEnforceIsNone) {
  Planning planning;
  planning.spec.seccomp_mode = SeccompMode::enforce;
  EXPECT_EQ(planning.plan().seccomp, std::vector<std::string>{"default"});
  EXPECT_EQ(planning.plan().seccomp_trace, std::nullopt);
  planning.spec.require[Protection::seccomp] = Requirement::off;
  EXPECT_TRUE(planning.plan().seccomp.empty());
  EXPECT_EQ(planning.plan().seccomp_trace, std::nullopt);
}

TEST(SeccompPlan, IsRefusedWithoutFiltersInTheKernel) {
  Planning planning;
  planning.host.seccomp = false;
  expect_error(planning.refusal(), ErrorCode::isolation_unavailable, "$.require.seccomp",
               "CONFIG_SECCOMP_FILTER");
  planning.spec.require[Protection::seccomp] = Requirement::preferred;
  EXPECT_TRUE(is_degraded(planning.plan(), Protection::seccomp));
  planning.add_bind("/h", "/data", false);
  EXPECT_EQ(planning.refusal().where, "$.require.setuid_files");
}

TEST(Plan, NamesAllMistakesInOneAnswer) {
  Planning planning("container_read_only");
  planning.spec.resources.memory = mebibytes(64);
  planning.spec.user = "nobody-here";
  planning.spec.require[Protection::capabilities] = Requirement::off;
  planning.spec.hostname = "not a hostname";  // found by check_spec
  planning.image.config.command.clear();
  std::vector<std::string> places;
  const Error error = planning.refusal();
  places.push_back(error.where);
  for (const Error& more : error.more) places.push_back(more.where);
  EXPECT_EQ(places, (std::vector<std::string>{"$.hostname", "$.user", "$.command",
                                              "$.resources.memory", "$.require.capabilities"}));
}

}  // namespace
}  // namespace cove
