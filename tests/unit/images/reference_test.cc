#include "images/store_index/reference.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "images/store_index/record.h"

namespace cove {
namespace {

TEST(ImageName, IsCompletedAndShortened) {
  const std::pair<const char*, const char*> cases[] = {
      {"python", "python:latest"},
      {"python:3.12-slim", "python:3.12-slim"},
      {"docker.io/library/python:3", "python:3"},
      {"docker.io/user/app", "user/app:latest"},
      {"localhost:5000/team/app:v1", "localhost:5000/team/app:v1"},
      {"localhost:5000/app", "localhost:5000/app:latest"},
      {"ghcr.io/a/b_c.d-e:_1", "ghcr.io/a/b_c.d-e:_1"},
  };
  for (const auto& [given, expected] : cases) {
    const Result<std::string> name = normal_name(given);
    ASSERT_TRUE(name) << given << ": " << name.error().message();
    EXPECT_EQ(*name, expected);
    EXPECT_EQ(name_of_file(name_path(*name).substr(std::string("images/names/").size())), *name);
    EXPECT_EQ(*normal_name(*name), *name) << "a normal name stays as it is";
  }
}

TEST(ImageName, RefusesWhatCouldBeSomethingElse) {
  for (const std::string name :
       {"", "/a", "a/", "a//b", "../a", "a/../b", ".hidden", "a b", "a\nb", "a:", "a:b:c",
        "a/b:c/d", "oci:x", "docker-archive:x", "sha256:0123456789ab", "a@b", "-a"}) {
    EXPECT_FALSE(normal_name(name)) << name;
  }
  EXPECT_FALSE(normal_name(std::string(201, 'a')));
  EXPECT_FALSE(normal_name(std::string_view("a\0b", 3)));
  EXPECT_FALSE(normal_name("oci")) << "oci:latest would read as a transport";
}

TEST(ImageTransport, IsToldFromNames) {
  EXPECT_TRUE(is_transport("docker-archive:x.tar"));
  EXPECT_TRUE(is_transport("oci:dir"));
  EXPECT_TRUE(is_transport("oci-archive:x.tar:v1"));
  EXPECT_FALSE(is_transport("ocix:dir"));
  EXPECT_FALSE(is_transport("x.tar"));
  const auto transport = parse_transport("docker-archive:/a/b.tar:name:v1");
  ASSERT_TRUE(transport && *transport);
  EXPECT_EQ((*transport)->path, "/a/b.tar");
  EXPECT_EQ((*transport)->selector, "name:v1");
  EXPECT_FALSE(parse_transport("oci::tag"));
}

TEST(ImageDigest, IsSixtyFourLowerCaseHexDigits) {
  EXPECT_TRUE(is_digest("sha256:" + std::string(64, 'a')));
  for (const std::string& text :
       {std::string("sha256:") + std::string(63, 'a'), "sha256:" + std::string(65, 'a'),
        "sha256:" + std::string(64, 'A'), "sha512:" + std::string(64, 'a'),
        "sha256:../" + std::string(61, 'a'), std::string("sha256:")}) {
    EXPECT_FALSE(is_digest(text)) << text;
  }
}

TEST(DefaultStore, FollowsTheEnvironment) {
  const char* before = std::getenv("COVE_ROOT");
  const std::string saved = before ? before : "";
  setenv("COVE_ROOT", "/somewhere/else", 1);
  EXPECT_EQ(default_store(), "/somewhere/else");
  unsetenv("COVE_ROOT");
  if (geteuid() == 0) {
    EXPECT_EQ(default_store(), "/var/lib/cove");
  } else {
    EXPECT_TRUE(default_store().ends_with("/cove")) << default_store();
  }
  if (before) setenv("COVE_ROOT", saved.c_str(), 1);
}

}  // namespace
}  // namespace cove
