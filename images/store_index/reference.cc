#include "images/store_index/reference.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "images/store_index/environment.h"

namespace cove {
namespace {

constexpr std::string_view kDigestPrefix = "sha256:";
constexpr std::size_t kMaxName = 200;  // escaped, at worst, it still is a file name

struct Prefix {
  std::string_view text;
  TransportKind kind;
};
constexpr std::array<Prefix, 5> kTransports{{
    {"docker-archive:", TransportKind::docker_archive},
    {"oci:", TransportKind::oci_directory},
    {"oci-archive:", TransportKind::oci_archive},
    {"docker-daemon:", TransportKind::docker_daemon},
    {"docker://", TransportKind::registry},
}};

Error name_error(std::string_view name, std::string what) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "image name";
  error.what = "\"" + std::string(name) + "\" " + std::move(what);
  return error;
}

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_component(std::string_view text) {
  if (text.empty() || !is_alphanumeric(text.front())) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

// "localhost:5000": a port behind the first of several components.
std::string_view without_port(std::string_view component) {
  const std::size_t colon = component.rfind(':');
  if (colon == std::string_view::npos || colon + 1 == component.size()) return component;
  const std::string_view port = component.substr(colon + 1);
  const bool digits =
      std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits ? component.substr(0, colon) : component;
}

Error nameless(std::string_view reference, std::string_view prefix, bool path) {
  const std::string text(prefix);
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "image";
  error.what = "\"" + std::string(reference) + "\" names no " + (path ? "file" : "image");
  error.hint = path ? "write " + text + "PATH or " + text + "PATH:NAME" : "write " + text + "NAME";
  return error;
}

}  // namespace

std::string_view to_string(TransportKind kind) {
  switch (kind) {
    case TransportKind::file:
      return "file";
    case TransportKind::docker_archive:
      return "docker-archive";
    case TransportKind::oci_directory:
      return "oci";
    case TransportKind::oci_archive:
      return "oci-archive";
    case TransportKind::docker_daemon:
      return "docker-daemon";
    case TransportKind::registry:
      return "docker";
  }
  return "file";
}

std::string default_store() {
  if (const std::string root = environment("COVE_ROOT"); !root.empty()) return root;
  if (geteuid() == 0 && access("/var/lib", W_OK) == 0) return "/var/lib/cove";
  // The base directory specification: a relative XDG_DATA_HOME is to be ignored.
  if (const std::string data = environment("XDG_DATA_HOME"); data.starts_with('/'))
    return data + "/cove";
  if (const std::string home = environment("HOME"); home.starts_with('/'))
    return home + "/.local/share/cove";
  return {};
}

bool is_transport(std::string_view reference) {
  return std::any_of(kTransports.begin(), kTransports.end(),
                     [&](const Prefix& prefix) { return reference.starts_with(prefix.text); });
}

Result<std::optional<Transport>> parse_transport(std::string_view reference) {
  for (const Prefix& prefix : kTransports) {
    if (!reference.starts_with(prefix.text)) continue;
    const std::string_view rest = reference.substr(prefix.text.size());
    Transport transport{prefix.kind, std::string(rest), {}};
    // As skopeo: a path holds no colon.
    if (const std::size_t colon = rest.find(':');
        transport.is_path() && colon != std::string_view::npos) {
      transport.path.resize(colon);
      transport.selector = rest.substr(colon + 1);
    }
    if (transport.path.empty()) return fail(nameless(reference, prefix.text, transport.is_path()));
    return transport;
  }
  return std::optional<Transport>();
}

Result<std::string> normal_name(std::string_view name) {
  if (name.empty()) return fail(name_error(name, "is empty"));
  if (name.size() > kMaxName) return fail(name_error(name, "is longer than 200 bytes"));
  if (name.starts_with(kDigestPrefix)) return fail(name_error(name, "reads as a digest"));
  if (is_transport(name)) return fail(name_error(name, "reads as a transport"));

  std::string_view rest = name;
  for (const std::string_view prefix :
       {"docker.io/library/", "index.docker.io/library/", "docker.io/"}) {
    if (!rest.starts_with(prefix)) continue;
    rest.remove_prefix(prefix.size());
    break;
  }
  std::string_view tag = "latest";
  const std::size_t slash = rest.rfind('/');
  const std::size_t colon = rest.find(':', slash == std::string_view::npos ? 0 : slash);
  if (colon != std::string_view::npos) {
    tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!is_component(tag) && !(tag.starts_with('_') && is_component(tag.substr(1)))) {
      return fail(
          name_error(name, "has a tag that is not made of letters, digits, '.', '_' and '-'"));
    }
  }
  for (std::string_view left = rest;;) {
    const std::size_t end = left.find('/');
    std::string_view component = left.substr(0, end);
    if (left.data() == rest.data() && end != std::string_view::npos)
      component = without_port(component);
    if (!is_component(component)) {
      return fail(name_error(
          name, "is not a name: parts of letters, digits, '.', '_' and '-', with '/' between"));
    }
    if (end == std::string_view::npos) break;
    left.remove_prefix(end + 1);
  }
  std::string normal = std::string(rest) + ":" + std::string(tag);
  if (is_transport(normal)) return fail(name_error(name, "reads as a transport"));
  return normal;
}

std::string full_name(std::string_view normal_name) {
  const std::size_t slash = normal_name.find('/');
  const std::string name(normal_name);
  if (slash == std::string_view::npos) return "docker.io/library/" + name;
  const std::string_view first = normal_name.substr(0, slash);
  const bool registry = first == "localhost" || first.find_first_of(".:") != first.npos;
  return registry ? name : "docker.io/" + name;
}

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_digest(std::string_view text) {
  return text.size() == kDigestPrefix.size() + 64 && text.starts_with(kDigestPrefix) &&
         is_hex(text.substr(kDigestPrefix.size()));
}

std::string_view digest_hex(std::string_view digest) { return digest.substr(kDigestPrefix.size()); }

}  // namespace cove
