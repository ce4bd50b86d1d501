#include "images/registry/fetcher.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>

#include "images/layout/growing_file.h"
#include "images/store_index/environment.h"
#include "runtime/kernel/io.h"
#include "runtime/kernel/message.h"

namespace cove {
namespace {

// Each request may bring two, and a connection takes some.
constexpr int kDescriptors = 1024;

enum Kind : std::uint32_t { kManifest, kSmallBlob, kBlob, kCheck };

struct Request {
  std::uint32_t ticket = 0, kind = kManifest;
  Descriptor descriptor;  // kManifest: its digest is the tag or the digest that is wanted
  UniqueFd file, growing;
};

std::string encode(const Request& request) {
  MessageWriter writer;
  writer.u32(request.ticket).u32(request.kind).text(request.descriptor.digest);
  return writer.u64(request.descriptor.size).body();
}

std::optional<Request> decode_request(Message message) {
  MessageReader reader(message.body);
  Request request;
  request.ticket = reader.u32();
  request.kind = reader.u32();
  request.descriptor.digest = reader.text();
  request.descriptor.size = reader.u64();
  if (!reader.good()) return {};
  if (!message.fds.empty()) request.file = std::move(message.fds[0]);
  if (message.fds.size() > 1) request.growing = std::move(message.fds[1]);
  return request;
}

void write_error(MessageWriter& writer, const Error& error) {
  writer.u32(static_cast<std::uint32_t>(error.code))
      .u32(static_cast<std::uint32_t>(error.sys_errno));
  for (const std::string* part : {&error.step, &error.what, &error.where, &error.hint})
    writer.text(*part);
}

std::string encode(std::uint32_t ticket, const Result<Document>& result) {
  MessageWriter writer;
  writer.u32(ticket);
  if (result) {
    writer.u32(0).text(result->digest).text(result->media_type).text(result->text);
    return writer.body();
  }
  const std::vector<Error>& more = result.error().more;
  writer.u32(static_cast<std::uint32_t>(1 + more.size()));
  write_error(writer, result.error());
  for (const Error& error : more) write_error(writer, error);
  return writer.body();
}

Error read_error(MessageReader& reader) {
  Error error;
  const std::uint32_t code = reader.u32();
  if (code <= static_cast<std::uint32_t>(ErrorCode::internal))
    error.code = ErrorCode{static_cast<int>(code)};
  error.sys_errno = static_cast<int>(reader.u32());
  for (std::string* part : {&error.step, &error.what, &error.where, &error.hint})
    *part = reader.text();
  return error;
}

Error lost(std::string what) {
  Error error;
  error.code = ErrorCode::sandbox_lost;
  error.step = "pull";
  error.what = std::move(what);
  return error;
}

Result<Document> decode_answer(MessageReader reader) {
  const std::uint32_t errors = reader.u32();
  if (errors == 0) {
    Document document{reader.text(), reader.text(), reader.text()};
    if (!reader.good()) return fail(lost("the downloading process gave a malformed answer"));
    return document;
  }
  std::vector<Error> all;
  for (std::uint32_t i = 0; i < errors && reader.good(); ++i) all.push_back(read_error(reader));
  if (!reader.good()) return fail(lost("the downloading process gave a malformed answer"));
  return fail(one_error(std::move(all)));
}

// The downloading process: requests come in order, and are answered as they are done.
class Server {
 public:
  Server(BorrowedFd socket, const std::vector<Endpoint>& endpoints, const FetchSettings& settings)
      : socket_(socket), states_(endpoints), settings_(settings) {}

  void serve() {
    std::vector<std::thread> workers;
    for (unsigned i = 0; i < std::max(1U, settings_.parallel); ++i)
      workers.emplace_back([this] { work(); });
    for (;;) {
      Result<Message> message = receive_message(socket_);
      if (!message || (message->body.empty() && message->fds.empty())) break;
      std::optional<Request> request = decode_request(std::move(*message));
      if (!request) break;
      const std::lock_guard lock(mutex_);
      requests_.push_back(std::move(*request));
      changed_.notify_one();
    }
    // Nobody waits for an answer any more; downloads under way are not waited for.
    _exit(0);
  }

 private:
  void work() {
    RegistryClient client(states_, settings_.retry);
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return !requests_.empty(); });
      const Request request = std::move(requests_.front());
      requests_.pop_front();
      lock.unlock();
      const Result<Document> result = answer(client, request);
      if (!send_message(socket_, encode(request.ticket, result))) return;
    }
  }

  static Result<Document> answer(RegistryClient& client, const Request& request) {
    switch (request.kind) {
      case kManifest:
        return client.manifest(request.descriptor.digest);
      case kSmallBlob:
        return client.small_blob(request.descriptor.digest);
      case kCheck: {
        const Result<void> checked = client.check();
        if (!checked) return fail(checked.error());
        return Document{};
      }
      default:
        break;
    }
    const Result<void> done = client.blob(request.descriptor, [&](std::string_view bytes) {
      if (!kernel::write_all(request.file, bytes)) return false;
      if (request.growing) tell_growth(request.growing);
      return true;
    });
    if (!done) return fail(done.error());
    if (request.growing) tell_complete(request.growing);
    return Document{};
  }

  BorrowedFd socket_;
  EndpointStates states_;
  const FetchSettings& settings_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Request> requests_;
};

// What the resolver and TLS read: their configuration, modules, certificates.
std::vector<std::string> readable_places() {
  std::vector<std::string> places{
      "/etc", "/usr", "/lib", "/lib64", "/nix", "/dev/urandom", "/var/lib/ca-certificates"};
  for (const char* variable : {"SSL_CERT_FILE", "SSL_CERT_DIR", "OPENSSL_CONF"}) {
    if (std::string path = environment(variable); !path.empty()) places.push_back(std::move(path));
  }
  // Often a link into /run.
  std::error_code missing;
  places.push_back(std::filesystem::canonical("/etc/resolv.conf", missing));
  return places;
}

}  // namespace

Result<Fetcher> Fetcher::start(const std::vector<Endpoint>& endpoints,
                               const FetchSettings& settings, BorrowedFd user_namespace) {
  Result<SocketPair> sockets = make_socket_pair();
  if (!sockets) return fail(sockets.error());
  Needs needs;
  needs.user_namespace = user_namespace;
  needs.keep = {sockets->second.number()};
  needs.readable = readable_places();
  needs.sockets = Sockets::outgoing;
  needs.descriptors = kDescriptors;
  needs.file_bytes = ~std::uint64_t{0};
  Result<ConfinedProcess> process = ConfinedProcess::start(needs, [&]() -> Result<Records> {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
      return fail(lost("libcurl cannot be used"));
    Server(sockets->second, endpoints, settings).serve();
    return Records{};
  });
  if (!process) return fail(process.error());
  return Fetcher(std::move(sockets->first), std::move(*process));
}

Result<Fetcher::Ticket> Fetcher::ask(std::uint32_t kind, const Descriptor& descriptor,
                                     const std::vector<BorrowedFd>& descriptors) {
  Request request;
  request.ticket = ++last_;
  request.kind = kind;
  request.descriptor = descriptor;
  const Result<void> sent = send_message(socket_, encode(request), descriptors);
  if (!sent) return fail(lost("the downloading process is gone"));
  return request.ticket;
}

Result<Document> Fetcher::answer_to(Ticket ticket) {
  for (;;) {
    if (const auto found = answers_.find(ticket); found != answers_.end()) {
      const std::string body = std::move(found->second);
      answers_.erase(found);
      MessageReader reader(body);
      (void)reader.u32();
      return decode_answer(reader);
    }
    Result<Message> message = receive_message(socket_);
    if (!message || message->body.empty())
      return fail(lost("the downloading process ended without an answer"));
    const Ticket other = MessageReader(message->body).u32();
    if (other > last_) return fail(lost("the downloading process gave a malformed answer"));
    answers_[other] = std::move(message->body);
  }
}

Result<Document> Fetcher::document(std::uint32_t kind, const std::string& name) {
  Descriptor descriptor;
  descriptor.digest = name;
  const Result<Ticket> ticket = ask(kind, descriptor, {});
  if (!ticket) return fail(ticket.error());
  return answer_to(*ticket);
}

Result<Document> Fetcher::manifest(const std::string& version) {
  return document(kManifest, version);
}

Result<Document> Fetcher::small_blob(const std::string& digest) {
  return document(kSmallBlob, digest);
}

Result<void> Fetcher::check() {
  const Result<Document> checked = document(kCheck, "");
  if (!checked) return fail(checked.error());
  return {};
}

Result<Fetcher::Ticket> Fetcher::begin(const Descriptor& descriptor, BorrowedFd file,
                                       BorrowedFd growing) {
  std::vector<BorrowedFd> descriptors{file};
  if (growing) descriptors.push_back(growing);
  return ask(kBlob, descriptor, descriptors);
}

Result<void> Fetcher::wait(Ticket ticket) {
  const Result<Document> answer = answer_to(ticket);
  if (!answer) return fail(answer.error());
  return {};
}

}  // namespace cove
