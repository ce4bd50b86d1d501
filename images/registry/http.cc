#include "images/registry/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>

#include "cove/version.h"
#include "images/unpack/shown_name.h"

namespace cove {
namespace {

constexpr std::size_t kMaxHeaders = 200;
constexpr std::size_t kMaxHeader = 16 * 1024;
constexpr std::size_t kMaxHeaderBytes = 1024 * 1024;  // of all answers to a request
constexpr long kConnectSeconds = 20;
constexpr long kMaxRedirects = 5;

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

struct Transfer {
  const HttpRequest& request;
  CURL* handle;
  HttpAnswer answer;
  bool refused = false;  // by the sink
  bool too_long = false;
  std::size_t header_bytes = 0;
  bool headers_too_long = false;
};

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::size_t take_header(char* data, std::size_t, std::size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line(data, size);
  transfer.header_bytes += size;
  transfer.headers_too_long = transfer.header_bytes > kMaxHeaderBytes;
  if (transfer.headers_too_long) return 0;
  if (line.starts_with("HTTP/")) {  // another answer: of a proxy, of where a redirect led
    transfer.answer.headers.clear();
    return size;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || line.size() > kMaxHeader ||
      transfer.answer.headers.size() >= kMaxHeaders)
    return size;
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  std::string& value = transfer.answer.headers[name];
  if (!value.empty()) value += ", ";
  if (value.size() < kMaxHeader) value += trimmed(line.substr(colon + 1));
  return size;
}

std::size_t take_body(char* data, std::size_t, std::size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &transfer.answer.status);
  const bool good = transfer.answer.status >= 200 && transfer.answer.status < 300;
  if (good && transfer.request.sink) {
    transfer.refused = !transfer.request.sink(transfer.answer, {data, size});
    return transfer.refused ? 0 : size;
  }
  if (transfer.answer.text.size() + size > transfer.request.text_cap) {
    transfer.too_long = true;
    return 0;
  }
  transfer.answer.text.append(data, size);
  return size;
}

bool is_transient(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_SSL_CONNECT_ERROR:
      return true;
    default:
      return false;
  }
}

bool is_unreachable(CURLcode code) {
  return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
         code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_SSL_CONNECT_ERROR;
}

long redirects_of(CURL* handle) {
  long redirects = 0;
  if (handle) curl_easy_getinfo(handle, CURLINFO_REDIRECT_COUNT, &redirects);
  return redirects;
}

HttpFailure failure_of(CURLcode code, const Transfer& transfer, const char* detail) {
  HttpFailure failure;
  failure.error.code = ErrorCode::network_failed;
  failure.error.where = shown_name(transfer.request.url);
  failure.transient = is_transient(code);
  failure.not_tls = code == CURLE_SSL_CONNECT_ERROR;
  failure.unreachable = is_unreachable(code);
  failure.from_sink = transfer.refused;
  std::string& what = failure.error.what;
  const std::string said = shown_name(*detail ? detail : curl_easy_strerror(code));
  if (transfer.too_long) {
    what = "the answer is longer than " + std::to_string(transfer.request.text_cap / 1024) + " KiB";
  } else if (transfer.headers_too_long) {
    what = "the answer's headers are longer than 1 MiB";
  } else if (code == CURLE_COULDNT_RESOLVE_HOST) {
    what = "the host is not known: " + said;
    failure.error.hint = "check the name, and the network's name servers";
  } else if (code == CURLE_PEER_FAILED_VERIFICATION) {
    what = "the host's certificate is not trusted: " + said;
    failure.error.hint =
        "name its authority with --cert-dir, or trust the network with --tls-verify=false";
  } else if (code == CURLE_COULDNT_CONNECT) {
    what = "cannot connect: " + said;
  } else if (code == CURLE_OPERATION_TIMEDOUT) {
    what = "the host does not answer: " + said;
  } else if (code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING) {
    what = "the connection broke: " + said;
  } else if (code == CURLE_UNSUPPORTED_PROTOCOL && redirects_of(transfer.handle) == 0) {
    what = "the answer is no HTTP: " + said;  // of an earlier answer, more than its length said
    failure.transient = true;
  } else if (code == CURLE_UNSUPPORTED_PROTOCOL) {
    what = "redirects to an address that is neither http nor https, or from https to http";
  } else if (code == CURLE_SSL_CONNECT_ERROR) {
    what = "no TLS connection comes about: " + said;
  } else {
    what = said;
  }
  return failure;
}

void set_blob(CURL* handle, CURLoption option, const std::string& text) {
  if (text.empty()) return;
  curl_blob blob{const_cast<char*>(text.data()), text.size(), CURL_BLOB_COPY};
  curl_easy_setopt(handle, option, &blob);
}

void set_host(CURL* handle, const HttpHost& host) {
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(host.stall.count()));
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, host.verify ? 1L : 0L);
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, host.verify ? 2L : 0L);
  set_blob(handle, CURLOPT_CAINFO_BLOB, host.certificates.authorities);
  set_blob(handle, CURLOPT_SSLCERT_BLOB, host.certificates.client);
  set_blob(handle, CURLOPT_SSLKEY_BLOB, host.certificates.client_key);
  if (!host.proxies) curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");
  if (host.socket.empty()) return;
  curl_easy_setopt(handle, CURLOPT_UNIX_SOCKET_PATH, host.socket.c_str());
  // It would be this socket that is asked, whatever host a redirect names.
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
}

int tell_connected(void* host, char*, char*, int, int) {
  return static_cast<const HttpHost*>(host)->connected() ? CURL_PREREQFUNC_OK
                                                         : CURL_PREREQFUNC_ABORT;
}

void set_habits(CURL* handle) {
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(handle, CURLOPT_MAXREDIRS, kMaxRedirects);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, 128L * 1024);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, (std::string("cove/") + version()).c_str());
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_body);
}

void add_header(HeaderList& list, const std::string& header) {
  if (curl_slist* longer = curl_slist_append(list.get(), header.c_str())) {
    (void)list.release();
    list.reset(longer);
  }
}

std::string part_of(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) return {};
  const std::unique_ptr<char, void (*)(void*)> owned(text, curl_free);
  return text;
}

// "https://host:443"; empty: not to be told.
std::string origin_of(const char* url) {
  const std::unique_ptr<CURLU, void (*)(CURLU*)> parsed(curl_url(), curl_url_cleanup);
  if (!url || !parsed || curl_url_set(parsed.get(), CURLUPART_URL, url, 0) != CURLUE_OK) return {};
  return part_of(parsed.get(), CURLUPART_SCHEME) + "://" + part_of(parsed.get(), CURLUPART_HOST) +
         ":" + part_of(parsed.get(), CURLUPART_PORT);
}

bool was_led_elsewhere(CURL* handle, const HttpRequest& request) {
  const char* last = nullptr;
  curl_easy_getinfo(handle, CURLINFO_EFFECTIVE_URL, &last);
  if (redirects_of(handle) == 0) return false;
  const std::string first = origin_of(request.url.c_str());
  return first.empty() || origin_of(last) != first;
}

}  // namespace

void Http::Free::operator()(void* handle) const { curl_easy_cleanup(handle); }

Http::Http(HttpHost host) : host_(std::move(host)), handle_(curl_easy_init()) {}

void Http::disconnect() { handle_.reset(curl_easy_init()); }

tl::expected<HttpAnswer, HttpFailure> Http::perform(const HttpRequest& request) {
  CURL* handle = handle_.get();
  std::array<char, CURL_ERROR_SIZE> detail{};
  Transfer transfer{request, handle, {}};
  if (!handle) return tl::unexpected(failure_of(CURLE_FAILED_INIT, transfer, ""));
  curl_easy_reset(handle);
  set_habits(handle);
  set_host(handle, host_);
  if (host_.connected) {
    curl_easy_setopt(handle, CURLOPT_PREREQFUNCTION, tell_connected);
    curl_easy_setopt(handle, CURLOPT_PREREQDATA, &host_);
  }
  // What was asked of over TLS is not given in the clear behind a redirect.
  const bool tls = request.url.starts_with("https:");
  curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, tls ? "https" : "http,https");
  curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, detail.data());
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
  HeaderList headers;
  if (!request.accept.empty()) add_header(headers, "Accept: " + request.accept);
  if (!request.authorization.empty())
    add_header(headers, "Authorization: " + request.authorization);
  if (request.from > 0) {
    const std::string range = std::to_string(request.from) + "-";
    curl_easy_setopt(handle, CURLOPT_RANGE, range.c_str());
  }
  if (!request.form.empty()) {
    curl_easy_setopt(handle, CURLOPT_COPYPOSTFIELDS, request.form.c_str());
    // A form holds a secret, which a redirect would take to wherever it likes.
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
  }
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());

  const CURLcode code = curl_easy_perform(handle);
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, nullptr);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, nullptr);
  if (code != CURLE_OK) return tl::unexpected(failure_of(code, transfer, detail.data()));
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &transfer.answer.status);
  transfer.answer.elsewhere = was_led_elsewhere(handle, request);
  return std::move(transfer.answer);
}

std::string HttpAnswer::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

bool is_transient_status(long status) {
  return status == 408 || status == 429 || (status >= 500 && status != 501);
}

Error network_error(std::string where, std::string what, std::string hint) {
  Error error;
  error.code = ErrorCode::network_failed;
  error.where = std::move(where);
  error.what = std::move(what);
  error.hint = std::move(hint);
  return error;
}

std::string url_escaped(std::string_view text) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string escaped;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      escaped += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    escaped += {'%', kDigits[byte >> 4U], kDigits[byte & 15U]};
  }
  return escaped;
}

}  // namespace cove
