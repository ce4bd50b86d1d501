// `cove image pull` and who gets its logins: redirects, tokens, mirrors, helpers.
#include "tests/integration/images/registries.h"

namespace cove::testing {
namespace {

using Faults = std::vector<json>;

constexpr const char* kLogin = "ada:se:cret";

// A login for this machine's registries is asked for by name: logins are kept for HOST:PORT.
class LoggedInPull : public PullingStore {
 protected:
  void start(json settings) {
    registry_ = std::make_unique<FaultyRegistry>(layout_, std::move(settings));
  }
  json token_settings(json token, const Faults& faults = {}) const {
    if (!token.contains("realm")) token["realm"] = "http://127.0.0.1:{port}/token";
    if (!token.contains("login")) token["login"] = kLogin;
    return {{"token", std::move(token)}, {"faults", faults}};
  }
  static std::string auth_file(const std::string& registry, const json& entry) {
    return json{{"auths", {{registry, entry}}}, {"other", {{"kept", 1}}}}.dump();
  }
  void log_in_by_file(const std::string& registry) const {
    // "ada:se:cret" in Base64.
    put_at_home(".docker/config.json", auth_file(registry, {{"auth", "YWRhOnNlOmNyZXQ="}}));
  }
  Outcome pull_it(const std::string& options = "") const {
    return pull("--name it:v1 " + options + " " + registry_->place() + ":v1");
  }
  // Whether any request to it holds one of our secrets.
  static bool got_a_secret(const FaultyRegistry& registry) {
    for (const json& request : registry.requests()) {
      if (request["authorization"] != "") return true;
      if (std::string(request["form"]).find("refresh_token") != std::string::npos) return true;
    }
    return false;
  }

  const std::string layout_ = layout_of(large());
  std::unique_ptr<FaultyRegistry> registry_;
};

TEST_F(LoggedInPull, GivesAPasswordWhereItIsAskedFor) {
  start({{"basic", kLogin}});
  expect_refused(pull_it(),
                 "gives \"tools/demo\" to no one without a login: UNAUTHORIZED as the "
                 "test wants it (cove image login " +
                     registry_->host() + ")");
  log_in_by_file(registry_->host());
  expect_pulled(pull_it(), "it:v1", 2);
}

TEST_F(LoggedInPull, GivesNothingWhereItIsNotAskedFor) {
  start({});
  log_in_by_file(registry_->host());
  expect_pulled(pull_it(), "it:v1", 2);
  EXPECT_FALSE(got_a_secret(*registry_));
}

TEST_F(LoggedInPull, SaysThatALoginIsNotTaken) {
  start({{"basic", "ada:another"}});
  log_in_by_file(registry_->host());
  const Outcome outcome = pull_it();
  expect_refused(outcome, "does not accept the login for \"tools/demo\"");
  EXPECT_EQ(outcome.err.find("se:cret"), std::string::npos);
  EXPECT_EQ(registry_->requests().size(), 2U);
}

TEST_F(LoggedInPull, GetsATokenWithALoginAndWithout) {
  start(token_settings({{"login", ""}}));
  expect_pulled(pull_it(), "it:v1", 2);
  ASSERT_EQ(registry_->requests("/token").size(), 1U);
  EXPECT_EQ(registry_->requests("/token")[0]["path"],
            "/token?service=the%2C%20service&scope=repository%3Atools%2Fdemo%3Apull");
  EXPECT_EQ(registry_->requests("/token")[0]["authorization"], "");

  ASSERT_EQ(cove("rm -q it:v1").status, 0);
  start(token_settings({}));
  expect_refused(pull_it(), "asks for a login");
  log_in_by_file(registry_->host());
  expect_pulled(pull_it(), "it:v1", 2);
}

TEST_F(LoggedInPull, GetsAnotherTokenWhenOneHasRunOut) {
  start(token_settings({{"uses", 2}}, {fault("/blobs/", {{"cut", 100'000}}, 2)}));
  log_in_by_file(registry_->host());
  expect_pulled(pull_it("--parallel 1"), "it:v1", 2);
  EXPECT_GE(registry_->requests("/token").size(), 3U);
}

TEST_F(LoggedInPull, DoesNotAskForTokensForEver) {
  start(token_settings({{"uses", 0}}));
  log_in_by_file(registry_->host());
  expect_refused(pull_it(), "does not accept the login");
  EXPECT_EQ(registry_->requests("/token").size(), 2U);
}

TEST_F(LoggedInPull, TakesAnIdentityTokenForAPassword) {
  start(token_settings({{"login", "refresh:it's"}}));
  put_at_home(".docker/config.json", auth_file(registry_->host(), {{"identitytoken", "it's"}}));
  expect_pulled(pull_it(), "it:v1", 2);
  ASSERT_EQ(registry_->requests("/token").size(), 1U);
  EXPECT_EQ(registry_->requests("/token")[0]["method"], "POST");
  EXPECT_EQ(registry_->requests("/token")[0]["path"], "/token");
}

TEST_F(LoggedInPull, RefusesWhatIsNoToken) {
  for (const std::string answer :
       {"", "[]", "{}", R"({"token": 1})", R"({"token": ""})",
        R"({"token": "a\r\nX-Injected: yes"})", R"({"token": "a b"})", "[[[[[[[["}) {
    start(token_settings({{"answer", answer}}));
    log_in_by_file(registry_->host());
    expect_refused(pull_it(), "gives an answer without a token");
  }
  start(token_settings({{"answer", std::string(300 * 1024, '[')}}));
  log_in_by_file(registry_->host());
  expect_refused(pull_it(), "the answer is longer than 256 KiB");
}

TEST_F(LoggedInPull, GivesALoginToNoOneWhomItShouldNotTrust) {
  const FaultyRegistry thief(layout_);
  for (const std::string& realm : std::vector<std::string>{
           "http://registry.example/token", "http://10.0.0.1/token", "ftp://127.0.0.1/token",
           "http://127.0.0.1@" + thief.host() + "/token", "https://127.0.0.1\\\\@" + thief.host(),
           "file:///etc/passwd", "/token", "https://", "https:///token",
           "http://127.0.0.1:{port}/token#" + thief.host()}) {
    start(token_settings({{"realm", realm}}));
    log_in_by_file(registry_->host());
    expect_refused(pull_it(), "which is no proper https address");
  }
  EXPECT_TRUE(thief.requests().empty());
}

TEST_F(LoggedInPull, TakesNoLoginAlongToWhereItIsRedirected) {
  const FaultyRegistry elsewhere(layout_);
  start({{"basic", kLogin},
         {"faults",
          Faults{fault("/blobs/",
                       {{"status", 307},
                        {"headers", {{"Location", "http://" + elsewhere.host() + "{path}"}}}})}}});
  log_in_by_file(registry_->host());
  expect_pulled(pull_it(), "it:v1", 2);
  EXPECT_EQ(elsewhere.requests("/blobs/").size(), 3U);
  EXPECT_FALSE(got_a_secret(elsewhere));
}

// It may name a realm of its own, at which the login for the registry would be told.
TEST_F(LoggedInPull, MeetsNoChallengeOfWhomItIsRedirectedTo) {
  const FaultyRegistry thief(layout_,
                             json{{"token", {{"realm", "http://127.0.0.1:{port}/token"}}}});
  start({{"basic", kLogin},
         {"faults",
          Faults{fault("/blobs/",
                       {{"status", 307},
                        {"headers", {{"Location", "http://" + thief.host() + "{path}"}}}})}}});
  log_in_by_file(registry_->host());
  expect_refused(pull_it(), "redirects to a host that answers with status 401");
  EXPECT_FALSE(thief.requests("/blobs/").empty());
  EXPECT_FALSE(got_a_secret(thief));
}

TEST_F(LoggedInPull, PostsNoIdentityTokenToWhereItIsRedirected) {
  const FaultyRegistry thief(layout_);
  for (const int status : {301, 302, 303, 307, 308}) {
    start(token_settings(
        {{"login", "refresh:it"}},
        {fault("/token", {{"status", status},
                          {"headers", {{"Location", "http://" + thief.host() + "/token"}}}})}));
    put_at_home(".docker/config.json", auth_file(registry_->host(), {{"identitytoken", "it"}}));
    expect_refused(pull_it(), "gives no token: status " + std::to_string(status));
  }
  EXPECT_TRUE(thief.requests().empty());
}

TEST_F(LoggedInPull, FollowsNoRedirectForEver) {
  start({{"faults",
          Faults{fault("/manifests/", {{"status", 302}, {"headers", {{"Location", "{path}"}}}})}}});
  expect_refused(pull_it(), "redirects");
  EXPECT_LE(registry_->requests().size(), 6U);
  start({{"faults",
          Faults{fault("/manifests/",
                       {{"status", 302}, {"headers", {{"Location", "file:///etc/passwd"}}}})}}});
  expect_refused(pull_it(), "redirects to an address that is neither http nor https");
}

// 443 is nobody's there: no TLS, where that may be.
TEST_F(LoggedInPull, SpeaksPlainHttpOnItsOwnPortToThisMachine) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to listen on port 80";
  start({{"listen", {"127.83.12.7", 80}}});
  expect_pulled(pull("--name it:v1 127.83.12.7/tools/demo:v1"), "it:v1", 2);
}

TEST_F(LoggedInPull, GoesThroughAProxyButNotToThisMachine) {
  const FaultyRegistry proxy(layout_);
  start({});
  std::string through = "exec env -i https_proxy=http://me:secret@" + proxy.host() +
                        " http_proxy=http://" + proxy.host();
  for (const std::string& variable : bare_environment()) through += " " + variable;
  const auto pull_through = [&](const std::string& arguments) {
    return shell(through + " " + command("pull --retry 1 " + arguments));
  };
  const Outcome outcome = pull_through("registry.example/tools/demo:v1");
  EXPECT_EQ(outcome.status, 125);
  EXPECT_NE(outcome.err.find("403"), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("secret"), std::string::npos) << outcome.err;
  ASSERT_EQ(proxy.requests().size(), 1U);
  EXPECT_EQ(proxy.requests()[0]["path"], "registry.example:443");
  EXPECT_NE(proxy.requests()[0]["authorization"], "");
  expect_pulled(pull_through("--name it:v1 " + registry_->place() + ":v1"), "it:v1", 2);
  EXPECT_EQ(proxy.requests().size(), 1U);
}

class MirroredPull : public LoggedInPull {
 protected:
  // registries.conf: these in place of the registry `place`, in this order.
  void mirror(const std::string& place, const std::vector<std::string>& mirrors) const {
    std::string text = "[[registry]]\nlocation = \"" + place + "\"\n";
    for (const std::string& one : mirrors)
      text += "[[registry.mirror]]\nlocation = \"" + one + "\"\n";
    put_at_home("registries.conf", text);
  }
};

TEST_F(MirroredPull, TakesTheFirstThatHasTheImage) {
  const FaultyRegistry without(layout_, json{{"faults", Faults{fault("/v2", {{"status", 404}})}}});
  const FaultyRegistry mirror_of_it(layout_);
  start({});
  mirror(registry_->host(), {"127.0.0.1:1", without.host(), mirror_of_it.host()});
  expect_pulled(pull_it(), "it:v1", 2);
  EXPECT_TRUE(registry_->requests().empty());
  EXPECT_EQ(without.requests().size(), 1U) << "and nothing more, since it does not have it";
  EXPECT_EQ(mirror_of_it.requests().size(), 5U);
}

TEST_F(MirroredPull, SaysFirstWhatTheRegistryItselfSays) {
  const FaultyRegistry without(layout_, json{{"faults", Faults{fault("/v2", {{"status", 404}})}}});
  start({{"basic", kLogin}});
  mirror(registry_->host(), {without.host()});
  const Outcome outcome = pull_it();
  expect_refused(outcome, without.host() + ": does not have v1");
  EXPECT_EQ(outcome.err.find("pull: " + registry_->host() + ": gives \"tools/demo\" to no one"), 0U)
      << outcome.err;
}

TEST_F(MirroredPull, OfADigestTakesItFromWhoHasIt) {
  const FaultyRegistry liar(layout_, json{{"faults", Faults{fault("/manifests/", {{"flip", 3}})}}});
  start({});
  mirror(registry_->host(), {liar.host()});
  expect_pulled(pull_it(), "it:v1", 2);  // the tag is the mirror's, what is below it is not
  EXPECT_FALSE(liar.requests().empty());
}

TEST_F(MirroredPull, GoesOnAtAnotherWhereOneBreaks) {
  const std::string digest = sha256_of(large().layers[0]);
  const FaultyRegistry breaking(layout_,
                                json{{"faults", Faults{fault(digest, {{"cut", 100'000}}, 1),
                                                       fault(digest, {{"status", 404}})}}});
  start({});
  mirror(registry_->host(), {breaking.host()});
  expect_pulled(pull_it(), "it:v1", 2);
  ASSERT_EQ(registry_->requests(digest).size(), 1U);
  EXPECT_EQ(registry_->requests(digest)[0]["range"], "bytes=100000-");
}

TEST_F(MirroredPull, RefusesAMirrorsDamagedLayer) {
  const std::string digest = sha256_of(large().layers[0]);
  const FaultyRegistry damaging(layout_, json{{"faults", Faults{fault(digest, {{"flip", 3}})}}});
  start({});
  mirror(registry_->host(), {damaging.host()});
  expect_refused(pull_it(), digest + ": came with another content");
}

TEST_F(MirroredPull, GivesEachItsOwnLoginAlone) {
  const FaultyRegistry curious(layout_, json{{"basic", "somebody:else"}});
  start({{"basic", kLogin}});
  mirror(registry_->host(), {curious.host()});
  log_in_by_file(registry_->host());
  expect_pulled(pull_it(), "it:v1", 2);
  EXPECT_FALSE(got_a_secret(curious));
}

TEST_F(MirroredPull, OfABlockedRegistryIsRefused) {
  start({});
  put_at_home("registries.conf",
              "[[registry]]\nprefix = \"" + registry_->host() + "/tools\"\nblocked = true\n");
  expect_refused(pull_it(), "registries.conf blocks " + registry_->host() + "/tools");
  EXPECT_TRUE(registry_->requests().empty());
}

class LoginCommand : public LoggedInPull {
 protected:
  Outcome login(const std::string& secret, const std::string& options = "") const {
    return cove("login -u ada --password-stdin " + options + " " + registry_->host(),
                "printf '%s\\n' '" + secret + "' | ");
  }
  Outcome logout() const { return cove("logout " + registry_->host()); }
  json config() const { return json::parse(read_file(home() + "/.docker/config.json")); }
  // docker-credential-NAME, a program that remembers what it was told.
  void put_helper(const std::string& name, const std::string& script) const {
    const std::string path = "bin/docker-credential-" + name;
    put_at_home(path, "#!/bin/sh\n" + script);
    chmod((home() + "/" + path).c_str(), 0755);
  }
};

TEST_F(LoginCommand, KeepsWhatTheRegistryTakes) {
  start({{"basic", kLogin}});
  put_at_home(".docker/config.json", R"({"auths":{"a.example":{"auth":"eDp5"}},"kept":[1]})");
  Outcome outcome = login("wrong");
  EXPECT_EQ(outcome.status, 125);
  EXPECT_NE(outcome.err.find("does not accept the login"), std::string::npos) << outcome.err;
  EXPECT_EQ(config()["auths"].size(), 1U);
  outcome = login("se:cret");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "Logged in to " + registry_->host() + "\n");
  EXPECT_EQ(config()["auths"][registry_->host()]["auth"], "YWRhOnNlOmNyZXQ=");
  EXPECT_EQ(config()["kept"], json::array({1}));
  expect_pulled(pull_it(), "it:v1", 2);
  EXPECT_EQ(logout().out, "Logged out of " + registry_->host() + "\n");
  EXPECT_EQ(logout().out, "Not logged in to " + registry_->host() + "\n");
  EXPECT_EQ(config(), json::parse(R"({"auths":{"a.example":{"auth":"eDp5"}},"kept":[1]})"));
}

TEST_F(LoginCommand, LeavesSecretsToTheHelper) {
  start({{"basic", kLogin}});
  put_helper("box", "read line; case $1 in store) printf %s \"$line\" >" + home() +
                        "/box;;"
                        "get) cat " +
                        home() +
                        "/box || echo credentials not found in native keychain;;"
                        "erase) rm " +
                        home() + "/box;; esac\n");
  put_at_home(".docker/config.json", R"({"credsStore":"box"})");
  // `read` fails at the end of input that has no newline, and has read it all the same.
  Outcome outcome = login("se:cret");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(config(), json::parse(R"({"credsStore":"box"})"));
  EXPECT_EQ(json::parse(read_file(home() + "/box"))["Secret"], "se:cret");
  expect_pulled(pull_it(), "it:v1", 2);
  EXPECT_EQ(logout().status, 0);
  EXPECT_FALSE(std::filesystem::exists(home() + "/box"));
}

TEST_F(LoginCommand, SaysThatAHelperIsMissing) {
  start({{"basic", kLogin}});
  put_at_home(".docker/config.json", R"({"credsStore":"desktop"})");
  expect_refused(pull_it(), "docker-credential-desktop: cannot be started");
}

TEST_F(LoginCommand, SaysThatAFileIsDamaged) {
  start({});
  put_at_home(".docker/config.json", "{");
  expect_refused(pull_it(), home() + "/.docker/config.json: is no JSON object");
}

}  // namespace
}  // namespace cove::testing
