#include "tests/unit/plan/plan_fixture.h"

namespace cove {
namespace {

using Words = std::vector<std::string>;

TEST(ProcessPlan, PutsEntrypointAndCommandTogetherAsDockerDoes) {
  struct Case {
    std::optional<Words> entrypoint, command;
    Words image_entrypoint, image_command, argv;
  };
  const Case cases[] = {
      {{}, {}, {"/e"}, {"c"}, {"/e", "c"}},
      {{}, Words{"x"}, {"/e"}, {"c"}, {"/e", "x"}},
      {Words{"/n"}, {}, {"/e"}, {"c"}, {"/n"}},
      {Words{"/n"}, Words{"x"}, {"/e"}, {"c"}, {"/n", "x"}},
      {Words{}, Words{"x"}, {"/e"}, {"c"}, {"x"}},
      {{}, {}, {}, {"c", "d"}, {"c", "d"}},
  };
  for (const Case& c : cases) {
    Planning planning;
    planning.spec.entrypoint = c.entrypoint;
    planning.spec.command = c.command;
    planning.image.config.entrypoint = c.image_entrypoint;
    planning.image.config.command = c.image_command;
    EXPECT_EQ(planning.plan().process.argv, c.argv);
  }
}

TEST(ProcessPlan, NeedsACommand) {
  Planning planning;
  planning.spec.entrypoint = Words{};
  expect_error(planning.refusal(), ErrorCode::image_invalid, "$.command",
               "cove run IMAGE -- COMMAND");
  planning.spec.entrypoint.reset();
  planning.image.config.command = {""};
  expect_error(planning.refusal(), ErrorCode::image_invalid, "$.command", "empty");
  planning.image.config.command = {std::string("a\0b", 3)};
  expect_error(planning.refusal(), ErrorCode::image_invalid, "$.command", "NUL");
}

TEST(ProcessPlan, ChoosesAndMakesTheWorkdir) {
  struct Case {
    const char* spec;
    const char* image;
    const char* workdir;
    bool make;
  };
  const Case cases[] = {
      {nullptr, "", "/workspace", true}, {nullptr, "/", "/workspace", true},
      {nullptr, "/app/", "/app", true},  {"/data", "/app", "/data", true},
      {"/", "/app", "/", false},
  };
  for (const Case& c : cases) {
    Planning planning;
    if (c.spec) planning.spec.workdir = c.spec;
    planning.image.config.workdir = c.image;
    EXPECT_EQ(planning.plan().process.workdir, c.workdir);
    EXPECT_EQ(planning.plan().process.make_workdir, c.make) << c.workdir;
  }
}

// What is made is given to the payload's user; a directory of the host must never be.
TEST(ProcessPlan, MakesNothingOnAMountOfTheCallers) {
  for (const char* target : {"/workspace", "/workspace/", "//workspace"}) {
    Planning planning;
    planning.add_bind("/home/me/src", target, false);
    EXPECT_EQ(planning.plan().process.workdir, "/workspace");
    EXPECT_FALSE(planning.plan().process.make_workdir) << target;
  }
  Planning below;
  below.add_bind("/home/me/src", "/srv", false);
  below.spec.workdir = "/srv/a/b";
  EXPECT_FALSE(below.plan().process.make_workdir);
  below.spec.workdir = "/srv2";
  EXPECT_TRUE(below.plan().process.make_workdir);
}

TEST(ProcessPlan, GivesAwayNoWorkdirButTheDefaultOne) {
  Planning by_default;
  EXPECT_TRUE(by_default.plan().process.own_workdir);
  Planning of_image;
  of_image.image.config.workdir = "/app";
  EXPECT_FALSE(of_image.plan().process.own_workdir);
  Planning of_spec;
  of_spec.spec.workdir = "/workspace";
  EXPECT_FALSE(of_spec.plan().process.own_workdir);
  Planning mounted;
  mounted.add_bind("/home/me/src", "/workspace", false);
  EXPECT_FALSE(mounted.plan().process.own_workdir);
}

TEST(ProcessPlan, RefusesAWorkdirOfTheImageThatClimbsOrIsRelative) {
  for (const char* workdir : {"/a/../../etc", "..", "app"}) {
    Planning planning;
    planning.image.config.workdir = workdir;
    expect_error(planning.refusal(), ErrorCode::image_invalid, "the image's WORKDIR", "--workdir");
    planning.spec.workdir = "/srv";
    EXPECT_EQ(planning.plan().process.workdir, "/srv");
  }
}

TEST(EnvironmentPlan, IsTheImagesThenTheAllowedThenTheSpecs) {
  Planning planning;
  planning.image.config.env = {"PATH=/bin", "A=image",  "B=image", "A=image again",
                               "C=image",   "=nothing", "NOVALUE", "EMPTY="};
  planning.spec.env_allowlist = {"B", "C", "UNSET", "HTTP_PROXY"};
  planning.host.environment = {{"B", "host"}, {"C", "host"}, {"HTTP_PROXY", "p"}, {"SECRET", "s"}};
  planning.spec.env = {{"C", "spec"}, {"D", "spec"}};
  const std::vector<std::pair<std::string, std::string>> expected{
      {"PATH", "/bin"}, {"A", "image again"},   {"B", "host"},       {"C", "spec"},
      {"EMPTY", ""},    {"HOME", "/workspace"}, {"HTTP_PROXY", "p"}, {"D", "spec"}};
  EXPECT_EQ(planning.plan().process.env, expected);
}

TEST(EnvironmentPlan, HasPathAndHome) {
  Planning planning;
  planning.image.config.env.clear();
  EXPECT_EQ(variable(planning.plan(), "PATH"),
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  EXPECT_EQ(variable(planning.plan(), "HOME"), "/workspace");
  planning.image.config.env = {"HOME=/image"};
  EXPECT_EQ(variable(planning.plan(), "HOME"), "/image");
  planning.spec.env = {{"HOME", "/spec"}};
  EXPECT_EQ(variable(planning.plan(), "HOME"), "/spec");
}

TEST(EnvironmentPlan, RefusesANulOfTheImage) {
  Planning planning;
  planning.image.config.env = {std::string("A=b\0c", 5)};
  expect_error(planning.refusal(), ErrorCode::image_invalid, "the image's ENV", "NUL");
}

}  // namespace
}  // namespace cove
