#include "images/registry/daemon.h"

#include <sys/capability.h>
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

constexpr const char* kStep = "docker daemon";
constexpr std::string_view kSha256 = "sha256:";
constexpr std::string_view kUnix = "unix://";
constexpr std::size_t kSocketPath = sizeof(sockaddr_un::sun_path) - 1;
// Docker writes all layers to its disk before the first byte of an archive comes.
constexpr std::chrono::minutes kArchiveStall{10};

Error daemon_error(ErrorCode code, std::string where, std::string what, std::string hint = {}) {
  Error error;
  error.code = code;
  error.step = kStep;
  error.where = std::move(where);
  error.what = std::move(what);
  error.hint = std::move(hint);
  return error;
}

Result<std::vector<std::string>> socket_paths() {
  if (const std::string host = environment("DOCKER_HOST"); !host.empty()) {
    if (host.starts_with(kUnix) && host.size() > kUnix.size())
      return std::vector{host.substr(kUnix.size())};
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
  if (path.size() > kSocketPath) {
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
  const std::string id = name.starts_with(kSha256) ? name.substr(kSha256.size()) : name;
  if (id.size() >= 12 && id.size() <= 64 && is_hex(id)) return {};
  const Result<RegistryReference> reference = parse_registry_reference(name);
  if (!reference) return fail(reference.error());
  return {};
}

Error no_connection(const std::string& path, int number) {
  const bool denied = number == EACCES || number == EPERM;
  Error error =
      daemon_error(denied ? ErrorCode::permission_denied : ErrorCode::network_failed, path,
                   "cannot connect", "is the daemon running? DOCKER_HOST names another socket");
  if (denied) error.hint = "be root or of the group docker";
  if (number == ENAMETOOLONG)
    error.hint = "the path of a socket has " + std::to_string(kSocketPath) + " bytes at most";
  error.sys_errno = number;
  return error;
}

// The first that somebody listens at.
Result<std::string> find_socket() {
  const Result<std::vector<std::string>> paths = socket_paths();
  if (!paths) return fail(paths.error());
  Error error;
  for (const std::string& path : *paths) {
    if (connect_to(path)) return path;
    if (!error.where.empty() && errno == ENOENT) continue;  // the first place says more
    error = no_connection(path, errno);
  }
  return fail(error);
}

Error refusal(const std::string& name, const HttpAnswer& answer) {
  const json document = json::parse(answer.text, nullptr, false);
  std::string said;
  if (document.is_object() && document.contains("message") && document["message"].is_string())
    said = ": " + shown_name(document["message"].get<std::string>());
  if (answer.status == 404)
    return daemon_error(ErrorCode::image_not_found, name, "the daemon has no such image" + said);
  return daemon_error(ErrorCode::network_failed, name,
                      "the daemon answers with status " + std::to_string(answer.status) + said);
}

// GET /images/IMAGE/WHAT.
struct Question {
  std::string name;   // of the image, in errors
  std::string image;  // its name or id
  const char* what;
  std::chrono::seconds stall;
  BorrowedFd out;  // where the answer goes; none: into HttpAnswer::text
};

Result<HttpAnswer> ask(const Question& question, const std::string& socket) {
  HttpHost host;
  host.proxies = false;
  host.socket = socket;
  host.connected = [] { return drop_privileges({}); };
  host.stall = question.stall;
  HttpRequest request;
  request.url = "http://docker/images/" + question.image + "/" + question.what;
  if (question.out) {
    request.sink = [&](const HttpAnswer&, std::string_view bytes) {
      return kernel::write_all(question.out, bytes);
    };
  }
  auto answer = Http(host).perform(request);
  if (answer && answer->status == 200) return std::move(*answer);
  if (answer) return fail(refusal(question.name, *answer));
  if (answer.error().from_sink) return HttpAnswer{};  // the reader knows why it stopped
  Error error = answer.error().error;
  error.step = kStep;
  error.where = question.name;
  return fail(error);
}

// In a process of its own. Root's may connect to a plain user's socket, and has no such right any more when it reads.
Result<ConfinedProcess> start(const Question& question,
                              const std::function<Result<Records>(const HttpAnswer&)>& read) {
  const Result<std::string> socket = find_socket();
  if (!socket) return fail(socket.error());
  Needs needs;
  needs.capabilities = {CAP_DAC_OVERRIDE};
  if (question.out) needs.keep = {question.out.number()};
  needs.sockets = Sockets::outgoing;
  return ConfinedProcess::start(needs, [&]() -> Result<Records> {
    const Result<HttpAnswer> answer = ask(question, *socket);
    if (!answer) return fail(answer.error());
    return read(*answer);
  });
}

}  // namespace

Result<DaemonImage> find_daemon_image(const std::string& name, std::chrono::seconds stall) {
  if (Result<void> checked = check_name(name); !checked) return fail(checked.error());
  Result<ConfinedProcess> process =
      start({name, name, "json", stall, {}}, [&](const HttpAnswer& answer) -> Result<Records> {
        const json document = json::parse(answer.text, nullptr, false);
        if (!document.is_object() || !document.contains("Id") || !document["Id"].is_string())
          return fail(
              daemon_error(ErrorCode::network_failed, name, "the daemon's answer has no Id"));
        return Records{document["Id"].get<std::string>()};
      });
  if (!process) return fail(process.error());
  Result<Records> records = process->finish();
  if (!records) return fail(records.error());
  std::string id = records->empty() ? "" : records->front();
  if (!id.starts_with(kSha256)) id.insert(0, kSha256);  // Podman leaves it out
  if (is_digest(id)) return DaemonImage{name, id};
  return fail(
      daemon_error(ErrorCode::network_failed, name, "the daemon's answer has no proper Id"));
}

Result<ConfinedProcess> export_daemon_image(const DaemonImage& image, BorrowedFd out) {
  return start({image.name, image.id, "get", kArchiveStall, out},
               [](const HttpAnswer&) -> Result<Records> { return Records{}; });
}

}  // namespace cove
