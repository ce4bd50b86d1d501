// Names of images in registries, as Docker resolves them; what is refused never reaches a URL.
#include <gtest/gtest.h>

#include "images/registry/reference.h"

namespace cove {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

std::string resolved(const std::string& text) {
  const Result<RegistryReference> reference = parse_registry_reference(text);
  if (!reference) return reference.error().message();
  return reference->registry + " " + reference->repository + " " + reference->tag + " " +
         reference->digest;
}

TEST(RegistryReference, IsResolvedAsDockerDoes) {
  EXPECT_EQ(resolved("python"), "docker.io library/python latest ");
  EXPECT_EQ(resolved("python:3.11"), "docker.io library/python 3.11 ");
  EXPECT_EQ(resolved("ada/tool"), "docker.io ada/tool latest ");
  EXPECT_EQ(resolved("docker.io/python"), "docker.io library/python latest ");
  EXPECT_EQ(resolved("index.docker.io/python"), "docker.io library/python latest ");
  EXPECT_EQ(resolved("localhost/tool"), "localhost tool latest ");
  EXPECT_EQ(resolved("localhost:5000/tools/go:1.20"), "localhost:5000 tools/go 1.20 ");
  EXPECT_EQ(resolved("quay.io/a/b/c__d.e-f"), "quay.io a/b/c__d.e-f latest ");
  EXPECT_EQ(resolved("Host/tool"), "Host tool latest ");
  EXPECT_EQ(resolved("localhost:5000"), "docker.io library/localhost 5000 ");
}

TEST(RegistryReference, HasADigestWithATagAndWithout) {
  EXPECT_EQ(resolved("python@" + kDigest), "docker.io library/python  " + kDigest);
  EXPECT_EQ(resolved("a.example/b:v1@" + kDigest), "a.example b v1 " + kDigest);
  EXPECT_EQ(parse_registry_reference("python:v1@" + kDigest)->version(), kDigest);
  EXPECT_EQ(parse_registry_reference("python:v1@" + kDigest)->text(),
            "docker.io/library/python:v1");
  EXPECT_EQ(parse_registry_reference("python@" + kDigest)->text(),
            "docker.io/library/python@" + kDigest);
}

TEST(RegistryReference, RefusesWhatIsNone) {
  for (const std::string text : {"",
                                 ":",
                                 "@",
                                 "/",
                                 "a/",
                                 "/a",
                                 "a//b",
                                 "Python",
                                 "a.example/B",
                                 "a b",
                                 "a\nb",
                                 "a/../b",
                                 "a/./b",
                                 "a?b",
                                 "a#b",
                                 "a%2fb",
                                 "a:",
                                 "a:.",
                                 "a:-x",
                                 "a:b/c:",
                                 "a.example:port/b",
                                 "a.example:123456/b",
                                 "user@a.example/b",
                                 "-a.example/b",
                                 ".a/b",
                                 "a.example:/b",
                                 "[::1]:5000/b",
                                 "a\\b",
                                 "a:b\r\nX-Header: c",
                                 "a.example:5000:1/b",
                                 "-a",
                                 "a-",
                                 "_a/b"}) {
    const Result<RegistryReference> reference = parse_registry_reference(text);
    ASSERT_FALSE(reference) << text;
    EXPECT_EQ(reference.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(reference.error().message().find_first_of("\r\n"), std::string::npos);
  }
  EXPECT_FALSE(parse_registry_reference(std::string("a\0b", 3)));
  EXPECT_FALSE(parse_registry_reference(std::string(256, 'a')));
  EXPECT_FALSE(parse_registry_reference("a:" + std::string(129, 'a')));
  EXPECT_TRUE(parse_registry_reference("a:" + std::string(128, 'a')));
}

TEST(RegistryReference, RefusesWhatIsNoDigest) {
  for (const std::string& digest :
       {std::string(""), std::string("sha256:"), kDigest + "a", kDigest.substr(0, 70),
        "sha512:" + std::string(64, 'a'), "sha256:" + std::string(64, 'A'),
        "sha256:../" + std::string(61, 'a')}) {
    const Result<RegistryReference> reference = parse_registry_reference("a@" + digest);
    ASSERT_FALSE(reference) << digest;
    EXPECT_NE(reference.error().message().find("64 lower-case hex digits"), std::string::npos);
  }
}

TEST(RegistryHost, IsANameOrAnAddressWithAPort) {
  for (const char* host :
       {"localhost", "a.example", "127.0.0.1:5000", "a-b.example:1", "A.example"})
    EXPECT_TRUE(is_registry_host(host)) << host;
  for (const char* host : {"", ":", ":5000", "a:", "a:x", "a:1:2", "a:-1", "a/b", "a@b", "a b",
                           "a_b", "[::1]", "a\t", "a%00", "-a", ".a", "a:123456"})
    EXPECT_FALSE(is_registry_host(host)) << host;
}

// What is this machine's is spoken to in the clear, and without proxies.
TEST(RegistryHost, IsThisMachineOnlyWhereItIs) {
  for (const char* host : {"localhost", "localhost:5000", "127.0.0.1", "127.1.2.3:80"})
    EXPECT_TRUE(is_loopback_host(host)) << host;
  for (const char* host : {"localhost.example", "127.0.0.1.example", "127.example", "128.0.0.1", "",
                           "1127.0.0.1", "xlocalhost", "0.0.0.0", "127.0.0.1@a.example"})
    EXPECT_FALSE(is_loopback_host(host)) << host;
}

}  // namespace
}  // namespace cove
