// HTTP as a registry client or a daemon's needs it, on libcurl. Hostile answers: headers and texts
// are capped, bodies go to a sink, and no redirect leads to another protocol. The process's
// environment chooses proxies (http_proxy, https_proxy, no_proxy), never for a loopback host.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "cove/result.h"

namespace cove {

inline constexpr std::size_t kHttpTextCap = 8 * 1024 * 1024;

// Certificates in PEM, the files' text. Empty: none; the system's authorities always count.
struct Certificates {
  std::string authorities;
  std::string client, client_key;
};

// How a host is spoken to.
struct HttpHost {
  Certificates certificates;
  bool verify = true;
  bool proxies = true;
  std::string socket;  // a path: HTTP over this Unix socket, and redirects are not followed
  // Called when there is a connection, before anything is sent. False ends it.
  std::function<bool()> connected{};
  std::chrono::seconds stall{30};  // how long nothing may come, from 1 on
};

struct HttpAnswer {
  long status = 0;
  std::map<std::string, std::string> headers;  // names in lower-case, of the last answer
  bool elsewhere = false;                      // redirects led to another scheme, host or port
  std::string text;                            // of an answer whose body did not go to the sink

  // Empty where there is none. `name` in lower-case.
  std::string header(const std::string& name) const;
};

// Takes a part of the body of a 2xx answer; false ends the transfer.
using HttpSink = std::function<bool(const HttpAnswer& head, std::string_view bytes)>;

struct HttpRequest {
  std::string url;
  std::string accept;
  std::string authorization;  // header's value; goes to the URL's host alone, not to where it
                              // redirects
  std::uint64_t from = 0;     // the first byte that is wanted
  std::string form;           // POST with this body instead of GET; redirects are not followed then
  std::size_t text_cap = kHttpTextCap;
  HttpSink sink;  // none: the body goes to HttpAnswer::text
};

// Why there is no answer.
struct HttpFailure {
  Error error;
  bool transient = false;    // worth another attempt
  bool not_tls = false;      // the server does not speak TLS
  bool unreachable = false;  // no connection came about
  bool from_sink = false;    // the sink ended it
};

// One connection's worth of libcurl, used again for the next request. Not for several threads.
class Http {
 public:
  explicit Http(HttpHost host);
  tl::expected<HttpAnswer, HttpFailure> perform(const HttpRequest& request);
  // The next request gets a new connection.
  void disconnect();

 private:
  struct Free {
    void operator()(void* handle) const;
  };
  HttpHost host_;
  std::unique_ptr<void, Free> handle_;  // CURL
};

// Whether an answer of this status may be another one the next time.
bool is_transient_status(long status);

// A network_failed Error, in one line.
Error network_error(std::string where, std::string what, std::string hint = {});

// Text as a part of a URL's path or query.
std::string url_escaped(std::string_view text);

}  // namespace cove
