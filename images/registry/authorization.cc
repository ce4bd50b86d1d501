#include "images/registry/authorization.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "images/registry/base64.h"
#include "images/registry/challenge.h"
#include "images/registry/reference.h"
#include "images/unpack/shown_name.h"

namespace cove {
namespace {

using nlohmann::json;

constexpr std::size_t kTokenCap = 256 * 1024;

std::string basic(const Login& login) {
  return "Basic " + base64_encoded(login.user + ":" + login.password);
}

std::string host_in(std::string_view url) {
  const std::size_t start = url.find("//");
  if (start == std::string_view::npos) return {};
  url.remove_prefix(start + 2);
  return std::string(url.substr(0, url.find_first_of("/?#")));
}

// Where a login may be sent: over TLS, or in the clear to this machine, or where the network was
// said to be trusted. No user in it, no spaces, no fragment: nothing that readers of URLs have ever
// disagreed on.
bool may_get_login(const Endpoint& endpoint, const std::string& realm) {
  const bool plain_characters = std::all_of(realm.begin(), realm.end(), [](char c) {
    return c > ' ' && c < 0x7f && c != '@' && c != '#' && c != '\\';
  });
  const std::string host = host_in(realm);
  if (!plain_characters || !is_registry_host(host)) return false;
  if (realm.starts_with("https://")) return true;
  return realm.starts_with("http://") && endpoint.plain_http &&
         (is_loopback_host(host) || !endpoint.verify_tls);
}

HttpRequest token_request(const Login& login, const Challenge& challenge) {
  const auto parameter = [&](const char* name) {
    const auto found = challenge.parameters.find(name);
    return found == challenge.parameters.end() ? std::string() : found->second;
  };
  std::string query = "service=" + url_escaped(parameter("service"));
  if (const std::string scope = parameter("scope"); !scope.empty())
    query += "&scope=" + url_escaped(scope);
  HttpRequest request;
  request.text_cap = kTokenCap;
  request.url = parameter("realm");
  if (!login.identity_token.empty()) {
    request.form = "grant_type=refresh_token&client_id=cove&" + query +
                   "&refresh_token=" + url_escaped(login.identity_token);
    return request;
  }
  request.url += (request.url.find('?') == std::string::npos ? "?" : "&") + query;
  if (!login.empty()) request.authorization = basic(login);
  return request;
}

// Empty where there is none. It becomes a header: nothing that could end one.
std::string token_in(const std::string& text) {
  const json document = json::parse(text, nullptr, false);
  for (const char* name : {"token", "access_token"}) {
    if (!document.is_object() || !document.contains(name) || !document[name].is_string()) continue;
    const std::string token = document[name];
    if (!token.empty() &&
        std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; }))
      return token;
  }
  return {};
}

HttpFailure no_token(const Endpoint& endpoint, const std::string& host, long status) {
  HttpFailure failure{
      network_error(shown_name(host), "gives no token: status " + std::to_string(status))};
  failure.transient = is_transient_status(status);
  if (status == 401 || status == 403) {
    failure.error.code = ErrorCode::permission_denied;
    failure.error.what = endpoint.login.empty() ? "asks for a login" : "does not accept the login";
    failure.error.hint = "cove image login " + endpoint.host;
  }
  return failure;
}

tl::expected<std::string, HttpFailure> fetch_token(const Endpoint& endpoint,
                                                   const Challenge& challenge,
                                                   std::chrono::seconds stall) {
  const auto named = challenge.parameters.find("realm");
  const std::string realm = named == challenge.parameters.end() ? "" : named->second;
  if (!may_get_login(endpoint, realm)) {
    return tl::unexpected(
        HttpFailure{network_error(endpoint.host, "asks for a login at \"" + shown_name(realm) +
                                                     "\", which is no proper https address")});
  }
  const std::string host = host_in(realm);
  HttpHost server = http_host(endpoint, stall);
  server.proxies = !is_loopback_host(host);
  if (host != endpoint.host) server.certificates.client = server.certificates.client_key = "";
  const auto answer = Http(server).perform(token_request(endpoint.login, challenge));
  if (!answer) return tl::unexpected(answer.error());
  if (answer->status != 200) return tl::unexpected(no_token(endpoint, host, answer->status));
  if (const std::string token = token_in(answer->text); !token.empty()) return "Bearer " + token;
  return tl::unexpected(
      HttpFailure{network_error(shown_name(host), "gives an answer without a token")});
}

}  // namespace

tl::expected<std::string, HttpFailure> authorization_for(const HttpAnswer& answer,
                                                         const Endpoint& endpoint,
                                                         std::chrono::seconds stall) {
  if (answer.elsewhere) return std::string();
  const std::vector<Challenge> challenges = parse_challenges(answer.header("www-authenticate"));
  for (const Challenge& challenge : challenges) {
    if (challenge.scheme == "bearer") return fetch_token(endpoint, challenge, stall);
  }
  for (const Challenge& challenge : challenges) {
    if (challenge.scheme == "basic" && !endpoint.login.user.empty()) return basic(endpoint.login);
  }
  return std::string();
}

}  // namespace cove
