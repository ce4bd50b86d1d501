// Where registries.conf and certs.d say that an image is to be fetched from.
#include "images/registry/endpoints.h"

#include "tests/unit/images/archives.h"

namespace cove {
namespace {

using testing::read_file;
using testing::ScratchDirectory;
using testing::write_file;

class Endpoints : public ::testing::Test {
 protected:
  void conf(const std::string& text, const std::string& name = "registries.conf") {
    write_file(scratch_ / name, text);
    settings_.files.push_back(scratch_ / name);
  }
  Result<std::vector<Endpoint>> ask(const std::string& image) const {
    return endpoints_for(*parse_registry_reference(image), settings_);
  }
  // "HOST REPOSITORY" with "!" where TLS is not verified, in order.
  std::string places(const std::string& image) const {
    const Result<std::vector<Endpoint>> endpoints = ask(image);
    if (!endpoints) return endpoints.error().message();
    std::string text;
    for (const Endpoint& one : *endpoints)
      text += (text.empty() ? "" : ", ") + one.host + " " + one.repository +
              (one.verify_tls ? "" : "!");
    return text;
  }

  ScratchDirectory scratch_;
  RegistrySettings settings_;
  const std::string digest_ = "@sha256:" + std::string(64, '0');
};

TEST_F(Endpoints, WithoutAWordAreTheRegistryItself) {
  EXPECT_EQ(places("python"), "registry-1.docker.io library/python");
  EXPECT_EQ(places("a.example:5000/b/c"), "a.example:5000 b/c");
  settings_.files.push_back(scratch_ / "missing.conf");
  EXPECT_EQ(places("a.example/b"), "a.example b");
}

TEST_F(Endpoints, OfALoopbackHostMayBeInTheClear) {
  EXPECT_TRUE(ask("localhost:5000/b")->front().plain_http);
  EXPECT_TRUE(ask("127.0.0.1/b")->front().plain_http);
  EXPECT_TRUE(ask("localhost:5000/b")->front().verify_tls);
  EXPECT_FALSE(ask("a.example/b")->front().plain_http);
  settings_.verify_tls = false;
  EXPECT_TRUE(ask("a.example/b")->front().plain_http);
  EXPECT_FALSE(ask("a.example/b")->front().verify_tls);
}

TEST_F(Endpoints, BeginWithTheMirrors) {
  conf(R"(
[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "m1.example:5000/hub"
[[registry.mirror]]
location = "m2.example"
insecure = true
)");
  EXPECT_EQ(places("python"),
            "m1.example:5000 hub/library/python, m2.example library/python!, "
            "registry-1.docker.io library/python");
  EXPECT_EQ(places("a.example/b"), "a.example b");
}

TEST_F(Endpoints, AreOfTheLongestPrefix) {
  conf(R"(
[[registry]]
prefix = "a.example"
location = "short.example"
[[registry]]
prefix = "a.example/team"
location = "long.example/x"
[[registry]]
prefix = "*.example"
location = "wild.example"
)");
  EXPECT_EQ(places("a.example/team/tool"), "long.example x/tool");
  EXPECT_EQ(places("a.example/team"), "long.example x");
  EXPECT_EQ(places("a.example/teams"), "short.example teams");
  EXPECT_EQ(places("b.c.example/x/y"), "wild.example x/y");
  EXPECT_EQ(places("example/x"), "registry-1.docker.io example/x");
  EXPECT_EQ(places("b.example:5000/x"), "wild.example:5000 x");
  EXPECT_EQ(places("a.exampl/x"), "a.exampl x") << "shorter than a prefix";
  EXPECT_EQ(places("a.example.org/x"), "a.example.org x");
  EXPECT_EQ(places("a.io/x.example/y"), "a.io x.example/y") << "a wildcard is of hosts";
}

TEST_F(Endpoints, ThatAreMirrorsForTagsOrDigestsAlone) {
  conf(R"(
[[registry]]
location = "a.example"
[[registry.mirror]]
location = "all.example"
pull-from-mirror = "all"
[[registry.mirror]]
location = "tags.example"
pull-from-mirror = "tag-only"
[[registry.mirror]]
location = "digests.example"
pull-from-mirror = "digest-only"
[[registry]]
location = "b.example"
mirror-by-digest-only = true
[[registry.mirror]]
location = "mirror.example"
)");
  EXPECT_EQ(places("a.example/x:v1"), "all.example x, tags.example x, a.example x");
  EXPECT_EQ(places("a.example/x" + digest_), "all.example x, digests.example x, a.example x");
  EXPECT_EQ(places("b.example/x:v1"), "b.example x");
  EXPECT_EQ(places("b.example/x" + digest_), "mirror.example x, b.example x");
}

TEST_F(Endpoints, ThatAreBlockedAreRefused) {
  conf("[[registry]]\nprefix = \"a.example/bad\"\nblocked = true\n");
  const auto refused = ask("a.example/bad/x");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
  EXPECT_EQ(refused.error().message(), "registries: registries.conf blocks a.example/bad");
  EXPECT_EQ(places("a.example/good"), "a.example good");
}

TEST_F(Endpoints, OfALaterFileReplaceThoseOfTheSamePrefix) {
  conf("[[registry]]\nprefix = \"a.example\"\nlocation = \"one.example\"\n", "1.conf");
  conf("[[registry]]\nprefix = \"b.example\"\nlocation = \"two.example\"\n", "2.conf");
  conf("[[registry]]\nprefix = \"a.example\"\nlocation = \"three.example\"\n", "3.conf");
  EXPECT_EQ(places("a.example/x"), "three.example x");
  EXPECT_EQ(places("b.example/x"), "two.example x");
}

TEST_F(Endpoints, OfDamagedFilesAreAllMistakesAtOnce) {
  conf(R"([[registry]]
location = "https://a.example"
insecure = "yes"
[[registry]]
blocked = true
[[registry.mirror]]
location = "b.example/?x"
pull-from-mirror = "never"
[[registry.mirror]]
insecure = true
[[registry]]
prefix = "*.c.example/x"
[[registry]]
prefix = "a.example/x:v1"
[[registry]]
location = "*.d.example"
[[registry]]
location = "e.example/"
mirror = "f.example"
)");
  conf("[[registry\n", "broken.conf");
  conf("registry = 5\n[registries.search]\n", "old.conf");
  const std::string text = places("a.example/x");
  const std::string first = scratch_ / "registries.conf";
  for (const std::string& mistake : std::vector<std::string>{
           first + ":2: location \"https://a.example\" is no HOST[:PORT][/PATH]",
           first + ":3: insecure is neither true nor false",
           first + ":4: the registry has neither prefix nor location",
           first + ":7: location \"b.example/?x\" is no HOST",
           "pull-from-mirror is none of all, digest-only, tag-only",
           first + ":9: the mirror has no location",
           first + ":12: prefix \"*.c.example/x\" is neither",
           first + ":14: prefix \"a.example/x:v1\" is neither",
           first + ":16: location \"*.d.example\" is no",
           first + ":18: location \"e.example/\" is no",
           first + ":19: mirror is no array of tables", scratch_ / "broken.conf:1: is no TOML: ",
           scratch_ / "old.conf:1: registry is no array of tables",
           scratch_ / "old.conf:", "is of version 1, which is not read"}) {
    EXPECT_NE(text.find(mistake), std::string::npos) << mistake << "\nin:\n" << text;
  }
}

TEST_F(Endpoints, AreReadFromEveryDirectoryTheFirstLast) {
  for (const char* directory : {"user/registries.conf.d", "system/registries.conf.d"})
    std::filesystem::create_directories(scratch_ / directory);
  const std::string user = scratch_ / "user", system = scratch_ / "system";
  for (const std::string& file :
       {system + "/registries.conf", system + "/registries.conf.d/b.conf",
        system + "/registries.conf.d/a.conf", system + "/registries.conf.d/a.txt",
        user + "/registries.conf.d/z.conf"})
    write_file(file, "");
  EXPECT_EQ(registry_files({user, system}),
            (std::vector<std::string>{
                system + "/registries.conf", system + "/registries.conf.d/a.conf",
                system + "/registries.conf.d/b.conf", user + "/registries.conf.d/z.conf"}));
  write_file(user + "/registries.conf", "");
  EXPECT_EQ(registry_files({user, system}).front(), user + "/registries.conf");
  EXPECT_EQ(registry_files({user, system}).size(), 4U) << "one registries.conf";
}

TEST_F(Endpoints, HaveTheCertificatesOfTheirHostAndPort) {
  settings_.certificate_directories = {scratch_ / "none", scratch_ / "certs.d"};
  std::filesystem::create_directories(scratch_ / "certs.d/a.example:5000");
  for (const char* name : {"1.crt", "2.crt", "me.cert", "me.key", "README"})
    write_file(scratch_ / ("certs.d/a.example:5000/" + std::string(name)), name);
  const Certificates mine = ask("a.example:5000/x")->front().certificates;
  EXPECT_EQ(mine.authorities, "1.crt\n2.crt\n");
  EXPECT_EQ(mine.client, "me.cert\n");
  EXPECT_EQ(mine.client_key, "me.key\n");
  EXPECT_EQ(ask("a.example/x")->front().certificates.authorities, "");
  settings_.cert_dir = scratch_ / "missing";
  EXPECT_EQ(places("a.example/x"), "registries: " + scratch_ / "missing" +
                                       ": cannot be opened: ENOENT (No such file or directory)");
}

}  // namespace
}  // namespace cove
