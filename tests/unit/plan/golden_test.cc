// Whole plans, compared with golden/*.json. COVE_UPDATE_GOLDEN=1 writes them anew; read the
// difference before you commit it.
#include <cstdlib>

#include "tests/unit/plan/plan_fixture.h"

namespace cove {
namespace {

void compare(const std::string& name, const Plan& plan) {
  const std::string path = COVE_SOURCE_DIR "/tests/unit/plan/golden/" + name + ".json";
  if (std::getenv("COVE_UPDATE_GOLDEN")) {
    std::ofstream(path) << to_json(plan, Indent::pretty) << '\n';
    return;
  }
  // Read and written again, so that the layout of the file does not matter.
  const Result<Plan> golden = plan_from_json(read_test_file(path));
  ASSERT_TRUE(golden) << name << ": " << golden.error().message();
  EXPECT_EQ(to_json(plan, Indent::pretty), to_json(*golden, Indent::pretty)) << name;
}

TEST(GoldenPlan, OfTheDefaultsOnEachHost) {
  for (const char* host :
       {"hybrid_root", "debian12_root", "user_delegated", "user_session", "container_read_only"}) {
    compare(std::string("default_on_") + host, Planning(host).plan());
  }
}

TEST(GoldenPlan, OfARunWithEverythingNamed) {
  Planning planning("hybrid_root");
  planning.spec.command = {"make", "test"};
  planning.spec.user = "app";
  planning.spec.hostname = "ci";
  planning.spec.read_only = true;
  planning.spec.capabilities = {"NET_BIND_SERVICE", "cap_chown"};
  planning.spec.env = {{"CI", "1"}};
  planning.spec.resources.memory = gibibytes(2);
  planning.spec.resources.cpus = 0.5;
  planning.spec.resources.pids_limit = 64;
  planning.spec.resources.disk = mebibytes(100);
  planning.spec.resources.output_policy = OutputPolicy::head_tail;
  planning.spec.timeout = std::chrono::seconds(60);
  planning.spec.cpu_timeout = std::chrono::seconds(30);
  planning.add_bind("/home/me/src", "/workspace", false);
  planning.add_bind("/home/me/cache", "/cache", true);
  compare("everything_named", planning.plan());
}

TEST(GoldenPlan, OfAnOpenNetworkWithoutPrivateOnes) {
  Planning planning("debian12_root");
  planning.spec.network = NetworkMode::open;
  planning.spec.private_networks = PrivateNetworks::blocked;
  compare("open_network", planning.plan());
}

TEST(GoldenPlan, OfAPlainUserWithoutDelegation) {
  Planning planning("debian12_user");
  planning.spec.read_only = true;
  planning.delivery = OutputDelivery::passed_on;
  compare("read_only_for_a_plain_user", planning.plan());
}

// The promise of cove/plan.h.
TEST(GoldenPlan, IsTheSameEveryTime) {
  Planning planning;
  planning.add_bind("/h", "/data", false);
  EXPECT_EQ(to_json(planning.plan()), to_json(planning.plan()));
}

}  // namespace
}  // namespace cove
