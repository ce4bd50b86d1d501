#include "tests/unit/plan/plan_fixture.h"

namespace cove {
namespace {

TEST(LimitPlan, OfTheDefaultsOnEachKindOfHost) {
  struct Case {
    const char* host;
    const char *memory, *swap, *pids, *disk;
  };
  const Case cases[] = {
      {"debian12_root", "memory.max=536870912 by cgroup-v2", "memory.swap.max=0 by cgroup-v2",
       "pids.max=256 by cgroup-v2", "268435456 by tmpfs-size"},
      {"hybrid_root", "memory.limit_in_bytes=536870912 by cgroup-v1", "0 by no-swap-on-host",
       "pids.max=256 by cgroup-v1", "268435456 by tmpfs-size"},
      {"user_delegated", "memory.max=536870912 by cgroup-v2", "memory.swap.max=0 by cgroup-v2",
       "pids.max=256 by cgroup-v2", "268435456 by tmpfs-size"},
      {"container_read_only", "none", "none", "none", "268435456 by tmpfs-size"},
  };
  for (const Case& c : cases) {
    const Plan plan = Planning(c.host).plan();
    EXPECT_EQ(limit_text(plan, Protection::memory), c.memory) << c.host;
    EXPECT_EQ(limit_text(plan, Protection::swap), c.swap) << c.host;
    EXPECT_EQ(limit_text(plan, Protection::pids), c.pids) << c.host;
    EXPECT_EQ(limit_text(plan, Protection::disk), c.disk) << c.host;
    EXPECT_EQ(limit_text(plan, Protection::output), "16777216 by supervisor") << c.host;
    for (const Protection none : {Protection::cpus, Protection::cpu_weight, Protection::io_weight,
                                  Protection::timeout, Protection::cpu_timeout}) {
      EXPECT_EQ(limit_text(plan, none), "none") << c.host;
    }
  }
}

TEST(LimitPlan, AScopeIsAskedForWhereALimitNeedsAGroup) {
  Planning planning("user_session");
  const std::string manager = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service";
  const Plan usual = planning.plan();
  EXPECT_EQ(usual.cgroup.scope_bus, "unix:path=/run/user/1000/bus");
  EXPECT_EQ(usual.cgroup.parents.at(""), manager);
  EXPECT_EQ(enforced_text(usual, Protection::memory), "cgroup-v2");
  EXPECT_NE(find_mount(usual, "/sys/fs/cgroup"), nullptr);

  for (const Protection p : {Protection::memory, Protection::swap, Protection::pids}) {
    planning.spec.require[p] = Requirement::off;
  }
  const Plan without = planning.plan();
  EXPECT_EQ(without.cgroup.scope_bus, "");
  EXPECT_TRUE(without.cgroup.parents.empty());
  EXPECT_EQ(find_mount(without, "/sys/fs/cgroup"), nullptr) << "it would show the session's";

  planning.spec.cpu_timeout = std::chrono::seconds(1);
  EXPECT_EQ(planning.plan().cgroup.parents.at(""), manager) << "CPU time is read there";
}

TEST(LimitPlan, ADefaultThatNothingHoldsIsDegraded) {
  const Plan plan = Planning("container_read_only").plan();
  for (const Protection lost : {Protection::memory, Protection::swap, Protection::pids}) {
    EXPECT_TRUE(is_degraded(plan, lost)) << to_string(lost);
    EXPECT_EQ(enforced_text(plan, lost), "no") << to_string(lost);
  }
  EXPECT_EQ(plan.degraded.front().reason.empty(), false);
}

// "Limits accepted and silently not enforced" is what users of the peers complain about most.
TEST(LimitPlan, ANamedLimitThatNothingHoldsIsRefused) {
  Planning planning("container_read_only");
  planning.spec.resources.memory = mebibytes(300);
  planning.spec.resources.cpus = 1.5;
  planning.spec.resources.pids_limit = 10;
  const Error error = planning.refusal();
  expect_error(error, ErrorCode::limit_not_enforceable, "$.resources.memory",
               "300 MiB cannot be enforced: /sys/fs/cgroup is mounted read-only");
  EXPECT_EQ(error.step, "limit memory");
  EXPECT_NE(error.hint.find("--best-effort"), std::string::npos);
  ASSERT_EQ(error.more.size(), 2u) << error.message();
  EXPECT_EQ(error.more[0].where, "$.resources.cpus");
  EXPECT_NE(error.more[0].what.find("1.5 cpus"), std::string::npos);
  EXPECT_EQ(error.more[1].where, "$.resources.pids_limit");

  for (const Protection p : {Protection::memory, Protection::cpus, Protection::pids}) {
    planning.spec.require[p] = Requirement::preferred;
  }
  EXPECT_TRUE(is_degraded(planning.plan(), Protection::cpus));
}

TEST(LimitPlan, ARequiredDefaultIsAsGoodAsANamedOne) {
  Planning planning("debian12_user");
  planning.spec.read_only = true;
  planning.spec.require[Protection::memory] = Requirement::required;
  expect_error(planning.refusal(), ErrorCode::limit_not_enforceable, "$.resources.memory",
               "no bus leads to systemd's user manager");
}

TEST(LimitPlan, OffIsNeitherHeldNorLost) {
  Planning planning;
  for (const Protection p : {Protection::memory, Protection::swap, Protection::pids,
                             Protection::disk, Protection::output, Protection::open_files}) {
    planning.spec.require[p] = Requirement::off;
  }
  const Plan plan = planning.plan();
  EXPECT_TRUE(plan.limits.empty());
  EXPECT_TRUE(plan.degraded.empty());
  EXPECT_EQ(plan.root.scratch_size.count, 0u);
  EXPECT_EQ(plan.root.scratch_inodes, 0u);
  EXPECT_FALSE(plan.stdout_stream.limit);
  EXPECT_FALSE(plan.cgroup.v2_controllers);
  ASSERT_EQ(plan.rlimits.size(), 1u);
  EXPECT_EQ(plan.rlimits[0].name, "core");
}

TEST(LimitPlan, OfEveryCgroupFile) {
  struct Case {
    const char* host;
    Protection protection;
    const char* text;
  };
  const Case cases[] = {
      {"debian12_root", Protection::cpus, "cpu.max=150000 100000 by cgroup-v2"},
      {"debian12_root", Protection::cpu_weight, "cpu.weight=50 by cgroup-v2"},
      {"debian12_root", Protection::io_weight, "io.weight=200 by cgroup-v2"},
      {"debian12_root", Protection::swap, "memory.swap.max=1048576 by cgroup-v2"},
      {"hybrid_root", Protection::cpus, "cpu.cfs_quota_us=150000 by cgroup-v1"},
      {"hybrid_root", Protection::cpu_weight, "cpu.shares=512 by cgroup-v1"},
      {"hybrid_root", Protection::swap, "memory.memsw.limit_in_bytes=68157440 by cgroup-v1"},
  };
  for (const Case& c : cases) {
    Planning planning(c.host);
    planning.host.swap_total = gibibytes(1);
    planning.spec.resources.memory = mebibytes(64);
    planning.spec.resources.swap = mebibytes(1);
    planning.spec.resources.cpus = 1.5;
    planning.spec.resources.cpu_weight = 50;
    planning.spec.resources.io_weight = 200;
    planning.spec.require[Protection::io_weight] = Requirement::preferred;
    EXPECT_EQ(limit_text(planning.plan(), c.protection), c.text) << c.host;
  }
}

TEST(LimitPlan, SharesKeepTheProportionsOfWeights) {
  const std::pair<std::int64_t, const char*> cases[] = {{1, "cpu.shares=10 by cgroup-v1"},
                                                        {100, "cpu.shares=1024 by cgroup-v1"},
                                                        {10000, "cpu.shares=102400 by cgroup-v1"}};
  for (const auto& [weight, text] : cases) {
    Planning planning("hybrid_root");
    planning.spec.resources.cpu_weight = weight;
    EXPECT_EQ(limit_text(planning.plan(), Protection::cpu_weight), text);
  }
}

TEST(LimitPlan, AnIoWeightIsNotHeldByV1) {
  Planning planning("hybrid_root");
  planning.spec.resources.io_weight = 200;
  expect_error(planning.refusal(), ErrorCode::limit_not_enforceable, "$.resources.io_weight",
               "cgroup v1 has no I/O weight");
}

TEST(LimitPlan, SwapNeedsAMemoryLimitInV1) {
  Planning planning("hybrid_root");
  planning.host.swap_total = gibibytes(1);
  planning.spec.require[Protection::memory] = Requirement::off;
  EXPECT_TRUE(is_degraded(planning.plan(), Protection::swap));
}

TEST(LimitPlan, PidsFallBackToRlimitNproc) {
  Planning planning("debian12_user");
  planning.spec.read_only = true;
  planning.spec.resources.pids_limit = 50;
  Plan plan = planning.plan();
  EXPECT_EQ(limit_text(plan, Protection::pids), "50 by rlimit");
  EXPECT_EQ(plan.rlimits.back().name, "nproc");
  EXPECT_EQ(plan.rlimits.back().hard, 50u);

  planning.spec.resources.rlimits["nproc"] = {20, 20};
  EXPECT_EQ(planning.plan().rlimits.back().hard, 20u) << "the narrower one holds";
  planning.spec.resources.rlimits["nproc"] = {90, 90};
  EXPECT_EQ(planning.plan().rlimits.back().hard, 50u);

  planning.host.kernel_release = "5.13.0";  // counts all of the user's processes
  EXPECT_EQ(planning.refusal().where, "$.resources.pids_limit");
}
TEST(LimitPlan, TheRootOfAUserNamespaceIsHeldToRlimitNprocAndTheHostsRootIsNot) {
  Planning planning("debian12_user");
  planning.spec.read_only = true;
  planning.spec.resources.pids_limit = 50;
  planning.host.uid = 0;
  planning.host.uid_outside = 100000;
  EXPECT_EQ(limit_text(planning.plan(), Protection::pids), "50 by rlimit");
  planning.host.uid_outside = 0;
  EXPECT_EQ(planning.refusal().where, "$.resources.pids_limit");
}

TEST(LimitPlan, DiskHoldsNothingOfARootThatLiesOnDisk) {
  Planning planning("debian12_user");
  planning.host.scratch_directory = "/var/tmp/cove-1000";
  Plan plan = planning.plan();
  EXPECT_EQ(plan.root.scratch_directory, "/var/tmp/cove-1000");
  EXPECT_TRUE(is_degraded(plan, Protection::disk));
  EXPECT_EQ(plan.root.scratch_size, mebibytes(256)) << "of /tmp and /dev/shm";

  planning.spec.resources.disk = mebibytes(16);
  EXPECT_EQ(planning.refusal().where, "$.resources.disk");
  planning.spec.read_only = true;
  plan = planning.plan();
  EXPECT_EQ(plan.root.scratch_directory, "");
  EXPECT_FALSE(is_degraded(plan, Protection::disk));
}

TEST(LimitPlan, DiskFitsIntoMemory) {
  struct Case {
    std::optional<Bytes> memory, disk;
    Bytes scratch;
  };
  const Case cases[] = {
      {{}, {}, mebibytes(256)},
      {mebibytes(64), {}, mebibytes(32)},
      {gibibytes(4), {}, mebibytes(256)},
      {gibibytes(4), gibibytes(1), gibibytes(1)},
  };
  for (const Case& c : cases) {
    Planning planning;
    planning.spec.resources.memory = c.memory;
    planning.spec.resources.disk = c.disk;
    EXPECT_EQ(planning.plan().root.scratch_size, c.scratch);
  }
  Planning planning;
  planning.spec.resources.disk = mebibytes(512);  // as much as the default memory
  expect_error(planning.refusal(), ErrorCode::invalid_argument, "$.resources.disk",
               "512 MiB of disk does not fit into 512 MiB of memory");
  planning.spec.require[Protection::memory] = Requirement::off;
  EXPECT_EQ(planning.plan().root.scratch_size, mebibytes(512));
}

TEST(LimitPlan, ScratchHasInodesForItsPages) {
  Planning planning;
  EXPECT_EQ(planning.plan().root.scratch_inodes, 131072u);
  planning.spec.resources.disk = mebibytes(1);
  EXPECT_EQ(planning.plan().root.scratch_inodes, 1024u);
}

TEST(LimitPlan, OfOpenFiles) {
  Planning planning("hybrid_root");  // hard limit 20000
  Plan plan = planning.plan();
  EXPECT_EQ(plan.rlimits[1].name, "nofile");
  EXPECT_EQ(plan.rlimits[1].soft, 1024u);
  EXPECT_EQ(plan.rlimits[1].hard, 20000u);
  EXPECT_EQ(limit_text(plan, Protection::open_files), "20000 by rlimit");

  planning.spec.resources.open_files = 64;
  EXPECT_EQ(planning.plan().rlimits[1].soft, 64u);
  EXPECT_EQ(planning.plan().rlimits[1].hard, 64u);

  planning.spec.resources.open_files = 20001;
  expect_error(planning.refusal(), ErrorCode::limit_not_enforceable, "$.resources.open_files",
               "hard limit is 20000");
  planning.spec.require[Protection::open_files] = Requirement::preferred;
  plan = planning.plan();
  EXPECT_EQ(plan.rlimits[1].hard, 20000u);
  EXPECT_TRUE(is_degraded(plan, Protection::open_files));
  EXPECT_EQ(enforced_text(plan, Protection::open_files), "no");
}

TEST(LimitPlan, RlimitsOfTheSpecReplaceOurs) {
  Planning planning("hybrid_root");
  planning.spec.resources.rlimits = {
      {"core", {1, 2}}, {"memlock", {3, kRlimitInfinity}}, {"nofile", {10, 20}}};
  const Plan plan = planning.plan();
  ASSERT_EQ(plan.rlimits.size(), 3u);
  EXPECT_EQ(plan.rlimits[0].hard, 2u);
  EXPECT_EQ(plan.rlimits[1].soft, 10u);
  EXPECT_EQ(plan.rlimits[2].name, "memlock");
  EXPECT_EQ(limit_text(plan, Protection::open_files), "20 by rlimit");
  planning.spec.resources.rlimits["nofile"] = {10, 20001};
  EXPECT_EQ(planning.refusal().where, "$.resources.rlimits.nofile");
}

TEST(LimitPlan, OfTime) {
  Planning planning;
  planning.spec.timeout = std::chrono::milliseconds(1500);
  planning.spec.cpu_timeout = std::chrono::seconds(1);
  planning.spec.grace = std::chrono::seconds(2);
  Plan plan = planning.plan();
  EXPECT_EQ(plan.timeout, planning.spec.timeout);
  EXPECT_EQ(plan.cpu_timeout, planning.spec.cpu_timeout);
  EXPECT_EQ(plan.grace, std::chrono::seconds(2));
  EXPECT_EQ(limit_text(plan, Protection::timeout), "1.5 s by supervisor");
  EXPECT_EQ(limit_text(plan, Protection::cpu_timeout), "cpu.stat=1 s by supervisor");

  planning.host = recorded_host("container_read_only");
  planning.spec.require[Protection::memory] = Requirement::preferred;
  expect_error(planning.refusal(), ErrorCode::limit_not_enforceable, "$.cpu_timeout", "read-only");
  planning.spec.require[Protection::cpu_timeout] = Requirement::preferred;
  EXPECT_FALSE(planning.plan().cpu_timeout);
  EXPECT_TRUE(planning.plan().timeout);
}

TEST(LimitPlan, ToRequireALimitIsToGiveOne) {
  Planning planning;
  planning.spec.require[Protection::timeout] = Requirement::required;
  expect_error(planning.refusal(), ErrorCode::invalid_argument, "$.require.timeout",
               "no value is given");
}

TEST(CgroupPlan, NamesTheHierarchiesThatAreUsedAndNoOthers) {
  Planning hybrid("hybrid_root");
  using Parents = std::map<std::string, std::string>;
  EXPECT_EQ(hybrid.plan().cgroup.parents,
            (Parents{{"", "/sys/fs/cgroup/unified"},
                     {"memory", "/sys/fs/cgroup/memory/process_api/6196a1b1"},
                     {"pids", "/sys/fs/cgroup/pids"}}));
  EXPECT_FALSE(hybrid.plan().cgroup.v2_controllers);
  hybrid.spec.resources.cpus = 1;
  EXPECT_EQ(hybrid.plan().cgroup.parents.at("cpu"), "/sys/fs/cgroup/cpu");

  Planning pure("debian12_root");
  pure.spec.resources.cpus = 1;
  pure.spec.resources.cpu_weight = 10;
  const CgroupPlan cgroup = pure.plan().cgroup;
  EXPECT_EQ(cgroup.parents, (Parents{{"", "/sys/fs/cgroup/system.slice/cove.service"}}));
  EXPECT_TRUE(cgroup.v2_controllers);
  EXPECT_EQ(cgroup.v2_delegate, (std::vector<std::string>{"memory", "cpu", "pids"}));

  EXPECT_TRUE(Planning("container_read_only").plan().cgroup.parents.empty());
}

TEST(StreamPlan, IsCutWhereItIsCaptured) {
  Planning planning;
  EXPECT_EQ(planning.plan().stdout_stream.limit, mebibytes(16));
  planning.delivery = OutputDelivery::passed_on;
  EXPECT_FALSE(planning.plan().stderr_stream.limit);
  EXPECT_EQ(enforced_text(planning.plan(), Protection::output), "no");
  planning.spec.resources.output = kibibytes(1);
  EXPECT_EQ(planning.plan().stderr_stream.limit, kibibytes(1));
}

TEST(StreamPlan, CannotKeepTheEndOfWhatIsPassedOn) {
  const std::pair<OutputPolicy, bool> cases[] = {{OutputPolicy::head, true},
                                                 {OutputPolicy::kill, true},
                                                 {OutputPolicy::tail, false},
                                                 {OutputPolicy::head_tail, false}};
  for (const auto& [policy, possible] : cases) {
    Planning planning;
    planning.spec.resources.output_policy = policy;
    planning.spec.resources.output = kibibytes(1);
    EXPECT_EQ(planning.plan().stdout_stream.policy, policy);
    planning.delivery = OutputDelivery::passed_on;
    if (possible) {
      planning.plan();
    } else {
      expect_error(planning.refusal(), ErrorCode::invalid_argument, "$.resources.output_policy",
                   "passed on");
    }
  }
}

}  // namespace
}  // namespace cove
