#include "images/registry/client.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "images/registry/authorization.h"
#include "images/store_index/files.h"
#include "images/store_index/reference.h"
#include "images/unpack/shown_name.h"

namespace cove {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds kLongestDelay{60'000};
constexpr int kAttemptsToConnect = 3;
constexpr std::size_t kWordsCap = 64 * 1024;  // a longer answer is no explanation
constexpr std::size_t kMostWords = 400;
constexpr std::uint64_t kProgress = 64 * 1024;  // bytes of an attempt that was worth it
constexpr int kChallenges = 2;                  // met for one request: a token may have run out
constexpr const char* kManifestTypes =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json";

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) return {};
  return number;
}

// "bytes 100-199/200" -> 100
std::optional<std::uint64_t> range_start(const HttpAnswer& answer) {
  const std::string range = answer.header("content-range");
  if (!range.starts_with("bytes ")) return {};
  return number_in(std::string_view(range).substr(6));
}

// What the registry says itself: {"errors": [{"code": ..., "message": ...}]}.
std::string registry_words(const std::string& text) {
  if (text.size() > kWordsCap) return {};
  const json answer = json::parse(text, nullptr, false);
  std::string words;
  if (!answer.is_object() || !answer.contains("errors") || !answer["errors"].is_array())
    return words;
  for (const json& error : answer["errors"]) {
    if (!error.is_object() || words.size() > kMostWords) continue;
    for (const char* name : {"code", "message"}) {
      const auto part = error.find(name);
      if (part == error.end() || !part->is_string()) continue;
      words += (words.empty() ? "" : " ") + shown_name(part->get<std::string>());
    }
  }
  return words;
}

// Nobody listens on 443, perhaps because there is only 80; with a port of its own the host would
// have no other to listen on.
bool has_no_tls(const HttpFailure& failure, const std::string& host) {
  return failure.not_tls || (failure.unreachable && host.find(':') == std::string::npos);
}

std::string without_parameters(const std::string& media_type) {
  std::string type = media_type.substr(0, media_type.find(';'));
  while (!type.empty() && type.back() == ' ') type.pop_back();
  return type;
}

milliseconds with_jitter(milliseconds delay) {
  static thread_local std::minstd_rand random(std::random_device{}());
  return delay * std::uniform_int_distribution(100, 130)(random) / 100;
}

}  // namespace

EndpointStates::EndpointStates(std::vector<Endpoint> endpoints)
    : endpoints_(std::move(endpoints)), states_(endpoints_.size()) {}

EndpointStates::State EndpointStates::of(std::size_t endpoint) {
  const std::lock_guard lock(mutex_);
  return states_[endpoint];
}

void EndpointStates::set(std::size_t endpoint, State state) {
  const std::lock_guard lock(mutex_);
  states_[endpoint] = std::move(state);
}

std::size_t EndpointStates::first() {
  const std::lock_guard lock(mutex_);
  return first_;
}

void EndpointStates::set_first(std::size_t endpoint) {
  const std::lock_guard lock(mutex_);
  first_ = endpoint;
}

// Why an attempt failed, and what to do about it.
struct RegistryClient::Failure {
  Error error;
  bool transient = false;   // the same endpoint may do better
  bool final = false;       // no endpoint can do better
  bool progressed = false;  // bytes came before it failed
  bool unreachable = false;
  milliseconds wait{0};  // asked for by the registry

  static Failure of(HttpFailure failure) {
    Failure result;
    result.error = std::move(failure.error);
    result.transient = failure.transient;
    result.unreachable = failure.unreachable;
    return result;
  }
};

struct RegistryClient::Download {
  const Descriptor& descriptor;
  const BlobSink& sink;
  Sha256 hash;
  std::uint64_t received = 0;
};

RegistryClient::RegistryClient(EndpointStates& states, RetryPolicy policy)
    : states_(states), policy_(policy) {
  for (const Endpoint& endpoint : states_.endpoints())
    connections_.emplace_back(http_host(endpoint, policy_.stall));
}

Http& RegistryClient::connection(std::size_t endpoint) {
  return *std::next(connections_.begin(), static_cast<std::ptrdiff_t>(endpoint));
}

// One endpoint, again and again while that may help.
std::optional<RegistryClient::Failure> RegistryClient::try_endpoint(std::size_t endpoint,
                                                                    const Attempt& once) {
  milliseconds delay = policy_.delay;
  for (int attempt = 1;; ++attempt) {
    std::optional<Failure> failure = once(endpoint);
    if (!failure) return {};
    if (failure->progressed) {
      attempt = 1;
      delay = policy_.delay;
    }
    const int most =
        failure->unreachable ? std::min(policy_.attempts, kAttemptsToConnect) : policy_.attempts;
    if (!failure->transient || attempt >= most) return failure;
    // An answer that was longer than it said has left a rest, which would be taken for the next one.
    connection(endpoint).disconnect();
    std::this_thread::sleep_for(
        with_jitter(std::min(std::max(delay, failure->wait), kLongestDelay)));
    delay = std::min(delay * 2, kLongestDelay);
  }
}

Result<void> RegistryClient::try_all(const Attempt& once) {
  const std::size_t count = states_.endpoints().size(), first = states_.first();
  std::vector<Error> errors;
  for (std::size_t step = 0; step < count; ++step) {
    const std::size_t endpoint = (first + step) % count;
    std::optional<Failure> failure = try_endpoint(endpoint, once);
    if (!failure) {
      states_.set_first(endpoint);
      return {};
    }
    failure->error.step = "pull";
    if (failure->final) return fail(failure->error);
    // The registry's own word comes first, that of its mirrors behind it.
    errors.insert(endpoint + 1 == count ? errors.begin() : errors.end(), failure->error);
  }
  return fail(one_error(std::move(errors)));
}

// One answer of one endpoint, its scheme found out and its challenge met.
tl::expected<HttpAnswer, HttpFailure> RegistryClient::ask(std::size_t at, const std::string& path,
                                                          HttpRequest request) {
  const Endpoint& endpoint = states_.endpoints()[at];
  Http& http = connection(at);
  for (int challenges = 0;;) {
    EndpointStates::State state = states_.of(at);
    request.url = state.scheme + "://" + endpoint.host + path;
    // A login or a token is given in the clear only where that was asked for.
    request.authorization = state.authorization;
    auto answer = http.perform(request);
    if (!answer && endpoint.plain_http && state.scheme == "https" &&
        has_no_tls(answer.error(), endpoint.host)) {
      state.scheme = "http";
      states_.set(at, state);
      continue;
    }
    if (!answer || answer->status != 401 || challenges++ == kChallenges) return answer;
    // Another thread may have met the challenge meanwhile.
    if (states_.of(at).authorization != state.authorization) continue;
    const auto authorization = authorization_for(*answer, endpoint, policy_.stall);
    if (!authorization) return tl::unexpected(authorization.error());
    if (authorization->empty() || *authorization == state.authorization) return answer;
    state.authorization = *authorization;
    states_.set(at, state);
  }
}

RegistryClient::Failure RegistryClient::refusal(std::size_t at, const std::string& path,
                                                const HttpAnswer& answer) const {
  const Endpoint& endpoint = states_.endpoints()[at];
  const std::string words = registry_words(answer.text);
  const std::string said = words.empty() ? "" : ": " + words;
  Failure failure;
  failure.error =
      network_error(endpoint.host, "answers with status " + std::to_string(answer.status) + " to " +
                                       shown_name(path) + said);
  failure.transient = is_transient_status(answer.status);
  if (const auto seconds = number_in(answer.header("retry-after")))
    failure.wait = std::chrono::seconds(std::min<std::uint64_t>(*seconds, 3600));
  const std::string what = endpoint.repository.empty() ? "it" : "\"" + endpoint.repository + "\"";
  const std::string login_hint = "cove image login " + endpoint.host;
  if (answer.elsewhere) {
    failure.error.what = "redirects to a host that " + failure.error.what;
  } else if (answer.status == 401) {
    failure.error.code = ErrorCode::permission_denied;
    failure.error.what = endpoint.login.empty()
                             ? "gives " + what + " to no one without a login" + said
                             : "does not accept the login for " + what + said;
    failure.error.hint = login_hint;
  } else if (answer.status == 403) {
    failure.error.code = ErrorCode::permission_denied;
    failure.error.what = "refuses access to " + what + said;
    failure.error.hint = endpoint.login.empty() ? login_hint : "";
  } else if (answer.status == 404) {
    failure.error.code = ErrorCode::image_not_found;
    failure.error.what =
        "does not have " + shown_name(path.substr(path.rfind('/') + 1)) + " of " + what + said;
  } else if (answer.status == 429) {
    failure.error.what = "allows no more requests for now (status 429)" + said;
    failure.error.hint = "try again later, or log in: " + login_hint;
  }
  return failure;
}

Result<Document> RegistryClient::document(const std::string& below, const std::string& accept,
                                          const std::string& digest) {
  Document found;
  const auto once = [&](std::size_t at) -> std::optional<Failure> {
    const Endpoint& endpoint = states_.endpoints()[at];
    const std::string path = "/v2/" + endpoint.repository + "/" + below;
    HttpRequest request;
    request.accept = accept;
    auto answer = ask(at, path, request);
    if (!answer) return Failure::of(answer.error());
    if (answer->status != 200) return refusal(at, path, *answer);
    if (const std::string encoding = answer->header("content-encoding");
        !encoding.empty() && encoding != "identity") {
      Failure failure;
      failure.error =
          network_error(endpoint.host, "sent " + shown_name(path) + " encoded (" +
                                           shown_name(encoding) + "), which was not asked for");
      return failure;
    }
    found.text = std::move(answer->text);
    found.digest = sha256_of(found.text);
    found.media_type = without_parameters(answer->header("content-type"));
    if (digest.empty() || digest == found.digest) return {};
    Failure failure;
    failure.error =
        invalid_image(endpoint.host, "sent another document than was asked for: " + digest +
                                         ", got " + found.digest);
    return failure;
  };
  if (Result<void> done = try_all(once); !done) return fail(done.error());
  return found;
}

Result<Document> RegistryClient::manifest(const std::string& version) {
  return document("manifests/" + version, kManifestTypes,
                  is_digest(version) ? version : std::string());
}

Result<Document> RegistryClient::small_blob(const std::string& digest) {
  return document("blobs/" + digest, "", digest);
}

std::optional<RegistryClient::Failure> RegistryClient::continue_download(std::size_t at,
                                                                         Download& download) {
  const Endpoint& endpoint = states_.endpoints()[at];
  const Descriptor& wanted = download.descriptor;
  const std::string path = "/v2/" + endpoint.repository + "/blobs/" + wanted.digest;
  Failure failure;
  bool begun = false;
  std::uint64_t known = 0;  // bytes that come although we have them
  HttpRequest request;
  request.from = download.received;
  request.sink = [&](const HttpAnswer& head, std::string_view bytes) {
    if (!begun) {
      begun = true;
      if (head.status != 206) known = download.received;
      if (head.status == 206 && range_start(head) != download.received) {
        failure.error = network_error(endpoint.host, "sent another part than was asked for");
        return false;
      }
    }
    const std::size_t passed = std::min<std::uint64_t>(known, bytes.size());
    known -= passed;
    bytes.remove_prefix(passed);
    if (bytes.size() > wanted.size - download.received) {
      failure.final = true;
      failure.error =
          invalid_image(wanted.digest, "is longer than the " + std::to_string(wanted.size) +
                                           " bytes that its manifest says");
      return false;
    }
    if (!download.sink(bytes)) {
      failure.final = true;
      failure.error = storage_error("", "keep what came", wanted.digest);
      return false;
    }
    download.hash.update(bytes);
    download.received += bytes.size();
    failure.progressed = download.received - request.from >= kProgress;
    return true;
  };
  const auto answer = ask(at, path, request);
  if (!answer && answer.error().from_sink) return failure;
  // All of it came: how the connection ended matters no more.
  if (!answer && begun && download.received == wanted.size) return {};
  if (!answer) {
    Failure broken = Failure::of(answer.error());
    broken.progressed = failure.progressed;
    return broken;
  }
  const bool complete = download.received == wanted.size;
  const bool good = answer->status == 200 || answer->status == 206;
  const bool no_more = answer->status == 416;
  if (!good && !no_more) return refusal(at, path, *answer);
  if (complete) return {};
  if (no_more) {
    failure.error =
        invalid_image(wanted.digest, "is shorter than the " + std::to_string(wanted.size) +
                                         " bytes that its manifest says");
    return failure;
  }
  failure.transient = true;
  failure.error = network_error(endpoint.host, "ended " + wanted.digest + " after " +
                                                   std::to_string(download.received) + " of " +
                                                   std::to_string(wanted.size) + " bytes");
  return failure;
}

Result<void> RegistryClient::blob(const Descriptor& descriptor, const BlobSink& sink) {
  Download download{descriptor, sink, {}};
  const auto once = [&](std::size_t endpoint) { return continue_download(endpoint, download); };
  if (Result<void> done = try_all(once); !done) return done;
  const std::string digest = download.hash.finish();
  if (digest == descriptor.digest) return {};
  Error error = invalid_image(descriptor.digest, "came with another content, of digest " + digest,
                              "the registry, a mirror or a proxy on the way damages it");
  error.step = "pull";
  return fail(error);
}

Result<void> RegistryClient::check() {
  return try_all([&](std::size_t at) -> std::optional<Failure> {
    const auto answer = ask(at, "/v2/", {});
    if (!answer) return Failure::of(answer.error());
    if (answer->status != 200) return refusal(at, "/v2/", *answer);
    return {};
  });
}

}  // namespace cove
