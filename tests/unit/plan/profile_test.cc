#include "runtime/plan/profile.h"

#include "runtime/model/fragment.h"
#include "tests/unit/plan/plan_fixture.h"

namespace cove {
namespace {

std::string profile_file(const char* name) {
  return read_test_file(std::string(COVE_SOURCE_DIR "/profiles/sandbox/") + name + ".json");
}

// make_plan never reads default.json; it is what people read.
TEST(Profiles, TheDocumentOfTheDefaultSaysWhatTheCodeDoes) {
  const Result<SandboxSpec> document = spec_fragment_from_json(profile_file("default"));
  ASSERT_TRUE(document) << document.error().message();
  for (const char* host :
       {"debian12_root", "hybrid_root", "user_delegated", "container_read_only"}) {
    Planning planning(host);
    const std::string by_code = to_json(planning.plan(), Indent::pretty);
    planning.spec = fill_in(planning.spec, *document);
    EXPECT_EQ(to_json(planning.plan(), Indent::pretty), by_code) << host;
  }
}

TEST(Profiles, TheDocumentOfTheDefaultNamesNothingByItself) {
  const Result<SandboxSpec> profile = sandbox_profile("default");
  ASSERT_TRUE(profile);
  EXPECT_EQ(to_json(*profile), to_json(SandboxSpec{}));
}

TEST(Profiles, StrictRefusesWhatCannotBeHeld) {
  Planning planning("container_read_only");
  planning.spec.profile = "strict";
  const Error error = planning.refusal();
  EXPECT_EQ(error.code, ErrorCode::limit_not_enforceable);
  std::vector<std::string> places{error.where};
  for (const Error& more : error.more) places.push_back(more.where);
  EXPECT_EQ(places, (std::vector<std::string>{"$.resources.memory", "$.resources.swap",
                                              "$.resources.cpus", "$.resources.pids_limit"}));
}

TEST(Profiles, StrictIsReadOnlyAndYieldsToTheSpec) {
  Planning planning;
  planning.spec.profile = "strict";
  EXPECT_TRUE(planning.plan().root.read_only);
  EXPECT_EQ(limit_text(planning.plan(), Protection::cpus), "cpu.max=100000 100000 by cgroup-v2");
  planning.spec.read_only = false;
  planning.spec.resources.cpus = 2;
  EXPECT_FALSE(planning.plan().root.read_only);
  EXPECT_EQ(limit_text(planning.plan(), Protection::cpus), "cpu.max=200000 100000 by cgroup-v2");
  planning.delivery = OutputDelivery::passed_on;
  planning.plan();
}

TEST(Profiles, UnknownOnesAreRefusedWithTheKnown) {
  Planning planning;
  planning.spec.profile = "lax";
  expect_error(planning.refusal(), ErrorCode::invalid_argument, "$.profile", "default, strict");
}

TEST(Profiles, AreJoinedEntryByEntry) {
  SandboxSpec spec, profile;
  spec.env = {{"A", "spec"}};
  spec.env_allowlist = {"S"};
  spec.require[Protection::memory] = Requirement::off;
  profile.env = {{"A", "profile"}, {"B", "profile"}};
  profile.env_allowlist = {"P"};
  profile.require = {{Protection::memory, Requirement::required},
                     {Protection::pids, Requirement::required}};
  profile.mounts.push_back(bind_of("/h", "/data", false));
  const SandboxSpec filled = fill_in(spec, profile);
  EXPECT_EQ(filled.env, (std::map<std::string, std::string>{{"A", "spec"}, {"B", "profile"}}));
  EXPECT_EQ(filled.env_allowlist, (std::vector<std::string>{"P", "S"}));
  EXPECT_EQ(filled.require.at(Protection::memory), Requirement::off);
  EXPECT_EQ(filled.require.at(Protection::pids), Requirement::required);
  EXPECT_TRUE(filled.mounts.empty());
}

}  // namespace
}  // namespace cove
