// Replays what the fuzzers start from and what they have found, as ordinary tests.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/bus_targets.h"
#include "tests/fuzz/policy_targets.h"
#include "tests/fuzz/registry_targets.h"
#include "tests/fuzz/targets.h"

namespace cove {
namespace {

void replay(const char* folder, void (*target)(std::string_view)) {
  const auto corpus = std::filesystem::path(COVE_SOURCE_DIR) / "tests/fuzz/corpus" / folder;
  ASSERT_TRUE(std::filesystem::is_directory(corpus)) << corpus;
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(corpus)) {
    SCOPED_TRACE(entry.path().string());
    std::ifstream file(entry.path(), std::ios::binary);
    ASSERT_TRUE(file);
    target(std::string(std::istreambuf_iterator<char>(file), {}));
    ++files;
  }
  EXPECT_GE(files, 5U) << corpus;
}

TEST(FuzzCorpus, OfSpecJsonKeepsItsPromises) { replay("spec_json", fuzz::spec_json); }
TEST(FuzzCorpus, OfPlanJsonKeepsItsPromises) { replay("plan_json", fuzz::plan_json); }
TEST(FuzzCorpus, OfWireKeepsItsPromises) { replay("wire", fuzz::wire); }
TEST(FuzzCorpus, OfBusMessagesKeepsItsPromises) { replay("bus_message", fuzz::bus_message); }
TEST(FuzzCorpus, OfChallengesKeepsItsPromises) { replay("challenge", fuzz::challenge); }
TEST(FuzzCorpus, OfDockerPoliciesKeepsItsPromises) { replay("docker_policy", fuzz::docker_policy); }

}  // namespace
}  // namespace cove
