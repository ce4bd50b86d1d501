#include "images/registry/daemon.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

#include "images/registry/http.h"
#include "images/registry/reference.h"
#include "images/store_index/environment.h"
#include "images/store_index/reference.h"
#include "images/unpack/shown_name.h"
#include "runtime/kernel/io.h"

namespace cove {
namespace {

using nlohmann::json;

constexpr std::string_view kUnix = "unix://";

Error daemon_error(ErrorCode code, std::string where, std::string what, std::string hint = {}) {
  Error error;
  error.code = code;
  error.step = "docker daemon";
  error.where = std::move(where);
  error.what = std::move(what);
  error.hint = std::move(hint);
  return error;
}

Result<std::vector<std::string>> socket_paths() {
  if (const std::string host = environment("DOCKER_HOST"); !host.empty()) {
    if (host.starts_with(kUnix)) return std::vector{host.substr(kUnix.size())};
    return fail(daemon_error(ErrorCode::invalid_argument, "DOCKER_HOST",
                             "\"" + shown_name(host) + "\" is no Unix socket",
                             "write unix:///PATH, or load what docker save writes"));
  }
  std::vector<std::string> paths{"/var/run/docker.sock"};
  if (const std::string run = environment("XDG_RUNTIME_DIR"); !run.empty())
    paths.push_back(run + "/docker.sock");
  return paths;
}

// errno says why there is none.
UniqueFd connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return {};
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket &&
      connect(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    socket.reset();
  return socket;
}

// The name becomes a part of a path in the request: only what is a name, or an id, does.
Result<void> check_name(const std::string& name) {
  const std::string id = name.starts_with("sha256:") ? name.substr(7) : name;
  if (id.size() >= 12 && id.size() <= 64 && is_hex(id)) return {};
  const Result<RegistryReference> reference = parse_registry_reference(name);
  if (!reference) return fail(reference.error());
  return {};
}

HttpRequest request_for(const std::string& name, const char* what) {
  HttpRequest request;
  request.url = "http://docker/images/" + name + "/" + what;
  return request;
}

Error refusal(const std::string& name, const HttpAnswer& answer) {
  const json document = json::parse(answer.text, nullptr, false);
  std::string said;
  if (document.is_object() && document.contains("message") && document["message"].is_string())
    said = ": " + shown_name(document["message"].get<std::string>());
  if (answer.status == 404)
    return daemon_error(ErrorCode::image_not_found, name, "the daemon has no such image");
  return daemon_error(ErrorCode::network_failed, name,
                      "the daemon answers with status " + std::to_string(answer.status) + said);
}

// One request in a process of its own, that writes to `out`, if anywhere.
Result<ConfinedProcess> start_request(const std::string& name, BorrowedFd out,
                                      const std::function<Result<Records>(Http&)>& work) {
  if (Result<void> checked = check_name(name); !checked) return fail(checked.error());
  const Result<std::string> socket = find_daemon();
  if (!socket) return fail(socket.error());
  Needs needs;
  if (out) needs.keep = {out.number()};
  needs.sockets = Sockets::outgoing;
  return ConfinedProcess::start(needs, [&]() -> Result<Records> {
    HttpHost host;
    host.proxies = false;
    host.socket = *socket;
    Http http(std::move(host));
    return work(http);
  });
}

}  // namespace

Result<std::string> find_daemon() {
  const Result<std::vector<std::string>> paths = socket_paths();
  if (!paths) return fail(paths.error());
  Error error;
  for (const std::string& path : *paths) {
    if (connect_to(path)) return path;
    if (!error.where.empty() && errno == ENOENT) continue;  // the first place says more
    const bool denied = errno == EACCES || errno == EPERM;
    const int number = errno;
    error = daemon_error(denied ? ErrorCode::permission_denied : ErrorCode::network_failed, path,
                         "cannot connect",
                         denied ? "be root or of the group docker"
                                : "is the daemon running? DOCKER_HOST names another socket");
    error.sys_errno = number;
  }
  return fail(error);
}

Result<std::string> find_daemon_image(const std::string& name) {
  Result<ConfinedProcess> process = start_request(name, {}, [&](Http& http) -> Result<Records> {
    const auto answer = http.perform(request_for(name, "json"));
    if (!answer) return fail(answer.error().error);
    if (answer->status != 200) return fail(refusal(name, *answer));
    const json document = json::parse(answer->text, nullptr, false);
    if (!document.is_object() || !document.contains("Id") || !document["Id"].is_string())
      return fail(daemon_error(ErrorCode::network_failed, name, "the daemon's answer has no Id"));
    return Records{document["Id"].get<std::string>()};
  });
  if (!process) return fail(process.error());
  Result<Records> records = process->finish();
  if (!records) return fail(records.error());
  std::string id = records->empty() ? "" : records->front();
  if (!id.starts_with("sha256:")) id.insert(0, "sha256:");  // Podman leaves it out
  if (is_digest(id)) return id;
  return fail(
      daemon_error(ErrorCode::network_failed, name, "the daemon's answer has no proper Id"));
}

Result<ConfinedProcess> export_daemon_image(const std::string& name, BorrowedFd out) {
  return start_request(name, out, [&](Http& http) -> Result<Records> {
    HttpRequest request = request_for(name, "get");
    request.sink = [&](const HttpAnswer&, std::string_view bytes) {
      return kernel::write_all(out, bytes);
    };
    const auto answer = http.perform(request);
    if (!answer && answer.error().from_sink) return Records{};  // the reader knows why it stopped
    if (!answer) return fail(answer.error().error);
    if (answer->status != 200) return fail(refusal(name, *answer));
    return Records{};
  });
}

}  // namespace cove
