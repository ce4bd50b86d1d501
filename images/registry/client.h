// The pull side of the OCI distribution specification (and of Docker's registry API), for one
// thread: manifests and blobs of one repository, from the first endpoint that gives them; tokens,
// retries, and downloads that go on where they broke.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cove/result.h"
#include "images/layout/documents.h"
#include "images/layout/sha256.h"
#include "images/registry/endpoints.h"
#include "images/registry/http.h"
#include "runtime/kernel/fd.h"

namespace cove {

struct RetryPolicy {
  // At one endpoint, without progress between them; of these at most 3 to come to a connection.
  int attempts = 6;
  std::chrono::milliseconds delay{500};  // before the second; doubled each time, up to a minute
  std::chrono::seconds stall{30};        // how long nothing may come, from 1 on
};

struct Document {
  std::string digest;
  std::string media_type;  // as the registry says, without parameters
  std::string text;
};

// What the threads of one pull share: how each endpoint wants to be spoken to.
class EndpointStates {
 public:
  struct State {
    std::string scheme = "https";
    std::string authorization;
  };
  explicit EndpointStates(std::vector<Endpoint> endpoints);
  const std::vector<Endpoint>& endpoints() const { return endpoints_; }
  State of(std::size_t endpoint);
  void set(std::size_t endpoint, State state);
  // The endpoint to begin with: the last that gave something.
  std::size_t first();
  void set_first(std::size_t endpoint);

 private:
  std::mutex mutex_;
  std::vector<Endpoint> endpoints_;
  std::vector<State> states_;
  std::size_t first_ = 0;
};

// Receives a blob's bytes in order. False: errno says why they cannot be kept.
using BlobSink = std::function<bool(std::string_view bytes)>;

class RegistryClient {
 public:
  RegistryClient(EndpointStates& states, RetryPolicy policy);

  // Errors of all: image_not_found, permission_denied, network_failed, image_invalid.

  // `version`: a tag or a digest; a digest is compared.
  Result<Document> manifest(const std::string& version);
  // A small blob, compared with its digest.
  Result<Document> small_blob(const std::string& digest);
  // A blob, compared with its size and digest.
  Result<void> blob(const Descriptor& descriptor, const BlobSink& sink);
  // GET /v2/: that the registry is one, and takes the login.
  Result<void> check();

 private:
  struct Failure;
  using Attempt = std::function<std::optional<Failure>(std::size_t endpoint)>;
  struct Download;

  Result<void> try_all(const Attempt& once);
  std::optional<Failure> try_endpoint(std::size_t endpoint, const Attempt& once);
  Result<Document> document(const std::string& path, const std::string& accept,
                            const std::string& digest);
  std::optional<Failure> continue_download(std::size_t endpoint, Download& download);
  Http& connection(std::size_t endpoint);
  tl::expected<HttpAnswer, HttpFailure> ask(std::size_t endpoint, const std::string& path,
                                            HttpRequest request);
  Failure refusal(std::size_t endpoint, const std::string& path, const HttpAnswer& answer) const;

  EndpointStates& states_;
  RetryPolicy policy_;
  std::list<Http> connections_;  // one for each endpoint
};

}  // namespace cove
