// Logins in the files of docker, podman and skopeo, and in their helpers.
#include "images/registry/login.h"

#include <nlohmann/json.hpp>

#include "images/registry/credential_helper.h"
#include "tests/unit/images/archives.h"

namespace cove {
namespace {

using nlohmann::json;
using testing::read_file;
using testing::ScratchDirectory;
using testing::write_file;

// Two files, the second of which is Docker's, and a directory of helpers in $PATH.
class Logins : public ::testing::Test {
 protected:
  Logins() {
    files_.readable = {scratch_ / "first.json", scratch_ / "docker/config.json"};
    files_.writable = files_.readable[1];
    std::filesystem::create_directory(scratch_ / "docker");
    const char* path = std::getenv("PATH");
    path_ = path ? path : "";
    setenv("PATH", (scratch_.path() + ":" + path_).c_str(), 1);
  }
  ~Logins() override { setenv("PATH", path_.c_str(), 1); }

  void first(const std::string& text) const { write_file(files_.readable[0], text); }
  void docker(const std::string& text) const { write_file(files_.readable[1], text); }
  json docker() const { return json::parse(read_file(files_.readable[1])); }
  // "user:password", "<token>", "" for none, or the error.
  std::string login_for(const std::string& place) const {
    const Result<Login> login = find_login(files_, place);
    if (!login) return login.error().message();
    if (!login->identity_token.empty()) return "<" + login->identity_token + ">";
    return login->empty() ? "" : login->user + ":" + login->password;
  }
  void helper(const std::string& name, const std::string& script) const {
    const std::string path = scratch_ / ("docker-credential-" + name);
    write_file(path, "#!/bin/sh\n" + script + "\n");
    ASSERT_EQ(chmod(path.c_str(), 0755), 0);
  }
  std::string call(const std::string& name,
                   std::chrono::milliseconds patience = std::chrono::seconds(20)) const {
    const auto printed = call_credential_helper(name, "get", "a.example", patience);
    if (!printed) return printed.error().message();
    return printed->value_or("nothing");
  }

  ScratchDirectory scratch_;
  LoginFiles files_;
  std::string path_;
};

TEST_F(Logins, AreFoundInEveryFormThatFilesHave) {
  docker(R"({"auths":{
    "a.example":{"auth":"YWRhOnNlOmNyZXQ="},
    "b.example":{"username":"bob","password":"x"},
    "c.example":{"auth":"YWRhOg==","identitytoken":"it"},
    "d.example":{}, "e.example":{"auth":""}, "f.example":7,
    "https://index.docker.io/v1/":{"auth":"aHViOng="},
    "https://g.example/v2/":{"auth":"Z2c6eA=="}}})");
  EXPECT_EQ(login_for("a.example"), "ada:se:cret");
  EXPECT_EQ(login_for("b.example/any/thing"), "bob:x");
  EXPECT_EQ(login_for("c.example"), "<it>");
  EXPECT_EQ(login_for("docker.io/library/python"), "hub:x");
  EXPECT_EQ(login_for("g.example/x"), "gg:x");
  for (const char* none : {"d.example", "e.example", "f.example", "h.example", "example",
                           "a.exampl", "xa.example", "a.example.evil", "a.example:443"})
    EXPECT_EQ(login_for(none), "") << none;
}

TEST_F(Logins, AreOfTheLongestPlaceThatFits) {
  docker(R"({"auths":{"a.example":{"auth":"YTph"},"a.example/team":{"auth":"dDp0"},
                      "a.example/team/tool":{"auth":"eDp4"}}})");
  EXPECT_EQ(login_for("a.example/team/tool"), "x:x");
  EXPECT_EQ(login_for("a.example/team/other"), "t:t");
  EXPECT_EQ(login_for("a.example/teams/tool"), "a:a");
}

TEST_F(Logins, AreOfTheFirstFileThatKnowsThePlace) {
  first(R"({"auths":{"a.example":{"auth":"YTph"}}})");
  docker(R"({"auths":{"a.example":{"auth":"eDp4"},"b.example":{"auth":"eDp4"}}})");
  EXPECT_EQ(login_for("a.example"), "a:a");
  EXPECT_EQ(login_for("b.example"), "x:x");
}

TEST_F(Logins, OfADamagedFileAreAnErrorThatNamesIt) {
  const std::string name = files_.readable[1];
  for (const char* text : {"{", "[]", "7", "\"x\"", "{\"auths\":"}) {
    docker(text);
    EXPECT_EQ(login_for("a.example"),
              "credentials: " + name + ": is no JSON object (mend or remove that file)");
  }
  for (const char* auth : {"?", "YWRh", "YWRhOnNlOmNyZXQ"}) {
    docker(json{{"auths", {{"a.example", {{"auth", auth}}}}}}.dump());
    EXPECT_NE(login_for("a.example").find("is not Base64 of USER:PASSWORD"), std::string::npos);
  }
  for (const char* text :
       {"", " \n", "{}", R"({"auths":7})", R"({"auths":[]})", R"({"credHelpers":7})",
        R"({"credHelpers":{"a.example":7}})", R"({"credsStore":7})"}) {
    docker(text);
    EXPECT_EQ(login_for("a.example"), "") << text;
  }
  docker(std::string(2 * 1024 * 1024, ' '));
  EXPECT_NE(login_for("a.example"), "");
  docker(std::string(500'000, '['));
  EXPECT_NE(login_for("a.example"), "");
}

TEST_F(Logins, ComeFromHelpers) {
  helper("box",
         R"(read server; [ "$1" = get ] && echo "{\"Username\":\"u\",\"Secret\":\"$server\"}")");
  helper("token", R"(echo '{"Username":"<token>","Secret":"it"}')");
  docker(R"({"credsStore":"box","credHelpers":{"t.example":"token","docker.io":"box"},
             "auths":{"a.example":{"auth":"eDp4"}, "t.example":{"auth":"eDp4"}}})");
  EXPECT_EQ(login_for("a.example"), "x:x") << "the file's own comes before credsStore";
  EXPECT_EQ(login_for("t.example/x"), "<it>") << "credHelpers comes before the file's own";
  EXPECT_EQ(login_for("b.example/x"), "u:b.example");
  EXPECT_EQ(login_for("docker.io/library/x"), "u:https://index.docker.io/v1/");
}

TEST_F(Logins, ThatHelpersDoNotKnowAreNone) {
  helper("box", "echo credentials not found in native keychain; exit 1");
  docker(R"({"credsStore":"box"})");
  EXPECT_EQ(login_for("a.example"), "");
}

TEST_F(Logins, OfABrokenHelperAreAnError) {
  helper("box", "echo no key: gpg not found; exit 1");
  EXPECT_EQ(call("box"), "credentials: docker-credential-box: get failed: no key: gpg not found");
  helper("box", "echo no JSON");
  docker(R"({"credsStore":"box"})");
  EXPECT_NE(login_for("a.example").find("docker-credential-box: gave an answer that is no JSON"),
            std::string::npos);
  helper("box", "kill -9 $$");
  EXPECT_NE(call("box").find("get failed"), std::string::npos);
  EXPECT_NE(call("none").find("docker-credential-none: cannot be started"), std::string::npos);
  for (const std::string name : {"", "../x", "a/b", "-x", "a b", "a;b", "a\nb"})
    EXPECT_NE(call(name).find("is no name of a credential helper"), std::string::npos) << name;
}

TEST_F(Logins, AreNotAwaitedForEver) {
  constexpr std::chrono::milliseconds kSoon(150);
  for (const char* script : {"exec sleep 60", "exec sleep 60 >&-", "exec yes"}) {
    helper("slow", std::string("echo $$ >") + scratch_ / "pid" + "\n" + script);
    const auto began = std::chrono::steady_clock::now();
    EXPECT_NE(call("slow", kSoon).find("did not come to its end"), std::string::npos) << script;
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
    EXPECT_NE(kill(std::stoi(read_file(scratch_ / "pid")), 0), 0) << "it is gone";
  }
}

TEST_F(Logins, OfAHelperThatSaysTooMuchAreCut) {
  helper("loud", "head -c 300000 /dev/zero | tr '\\0' x");
  EXPECT_LT(call("loud").size(), 80'000U);
}

TEST_F(Logins, AreKeptBesideAllElse) {
  docker(R"({"auths":{"b.example":{"auth":"eDp4","more":1}},"proxies":{"default":{}},"n":1.5})");
  ASSERT_EQ(chmod(files_.readable[1].c_str(), 0644), 0);
  ASSERT_TRUE(keep_login(files_, "a.example", {"ada", "se:cret", ""}));
  EXPECT_EQ(docker(), json::parse(R"({"auths":{"a.example":{"auth":"YWRhOnNlOmNyZXQ="},
    "b.example":{"auth":"eDp4","more":1}},"proxies":{"default":{}},"n":1.5})"));
  struct stat status {};
  ASSERT_EQ(stat(files_.readable[1].c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  ASSERT_EQ(forget_login(files_, "a.example"), true);
  EXPECT_EQ(forget_login(files_, "a.example"), false);
  EXPECT_EQ(
      docker(),
      json::parse(
          R"({"auths":{"b.example":{"auth":"eDp4","more":1}},"proxies":{"default":{}},"n":1.5})"));
  std::size_t left = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator(scratch_ / "docker"))
    ++left;
  EXPECT_EQ(left, 1U) << "nothing beside the file";
}

TEST_F(Logins, AreKeptWhereTheyAreFoundFirst) {
  first(R"({"auths":{"a.example":{"auth":"b2xkOm9sZA=="}}})");
  ASSERT_TRUE(keep_login(files_, "a.example", {"new", "new", ""}));
  EXPECT_EQ(login_for("a.example"), "new:new");
  EXPECT_FALSE(std::filesystem::exists(files_.readable[1]));
  docker(R"({"auths":{"a.example":{"auth":"b2xkOm9sZA=="}}})");
  EXPECT_EQ(forget_login(files_, "a.example"), true);
  EXPECT_EQ(login_for("a.example"), "") << "in no file";
}

TEST_F(Logins, OfDockerHubAreForgottenInEverySpelling) {
  docker(R"({"auths":{"docker.io":{"auth":"eDp4"},"https://index.docker.io/v1/":{"auth":"eDp4"},
                      "registry-1.docker.io":{"auth":"eDp4"}}})");
  EXPECT_EQ(forget_login(files_, "docker.io"), true);
  EXPECT_EQ(docker(), json::parse(R"({"auths":{}})"));
  ASSERT_TRUE(keep_login(files_, "docker.io", {"x", "y", ""}));
  EXPECT_TRUE(docker()["auths"].contains("https://index.docker.io/v1/")) << "as docker reads it";
}

TEST_F(Logins, AreKeptBehindALink) {
  write_file(scratch_ / "real.json", "{}");
  std::filesystem::create_symlink("../real.json", files_.readable[1]);
  ASSERT_TRUE(keep_login(files_, "a.example", {"x", "y", ""}));
  EXPECT_TRUE(std::filesystem::is_symlink(files_.readable[1]));
  EXPECT_NE(read_file(scratch_ / "real.json").find("a.example"), std::string::npos);
}

TEST_F(Logins, AreNotKeptInADamagedFile) {
  docker("{ \"auths\": ");
  EXPECT_FALSE(keep_login(files_, "a.example", {"x", "y", ""}));
  EXPECT_FALSE(forget_login(files_, "a.example"));
  EXPECT_EQ(read_file(files_.readable[1]), "{ \"auths\": ");
}

TEST_F(Logins, NeedAPlace) {
  const Result<void> kept = keep_login({}, "a.example", {"x", "y", ""});
  ASSERT_FALSE(kept);
  EXPECT_NE(kept.error().message().find("set HOME"), std::string::npos);
}

TEST_F(Logins, KeptByAHelperAreNotInTheFile) {
  helper("box", "cat >>" + scratch_ / "stored");
  docker(R"({"credsStore":"box","auths":{"a.example":{"auth":"b2xkOm9sZA=="},"b.example":{}}})");
  ASSERT_TRUE(keep_login(files_, "a.example", {"new", "ne\"w", ""}));
  EXPECT_EQ(json::parse(read_file(scratch_ / "stored")),
            json::parse(R"({"ServerURL":"a.example","Username":"new","Secret":"ne\"w"})"));
  EXPECT_EQ(docker(), json::parse(R"({"credsStore":"box","auths":{"b.example":{}}})"));
}

}  // namespace
}  // namespace cove
