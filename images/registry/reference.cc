#include "images/registry/reference.h"

#include <algorithm>

#include "images/store_index/reference.h"
#include "images/unpack/shown_name.h"

namespace cove {
namespace {

constexpr std::string_view kDefaultRegistry = "docker.io";
constexpr std::size_t kMaxRepository = 255;  // of a whole name, in the distribution specification
constexpr std::size_t kMaxTag = 128;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_separator(char c) { return c == '.' || c == '_' || c == '-'; }

bool is_repository_part(std::string_view part) {
  if (part.empty() || is_separator(part.front()) || is_separator(part.back())) return false;
  return std::all_of(part.begin(), part.end(),
                     [](char c) { return is_lower(c) || is_digit(c) || is_separator(c); });
}

bool is_tag(std::string_view text) {
  if (text.empty() || text.size() > kMaxTag || text.front() == '.' || text.front() == '-')
    return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return is_lower(c) || is_upper(c) || is_digit(c) || is_separator(c);
  });
}

// The first part of a name is a registry if it could be no repository of Docker's own.
bool names_a_registry(std::string_view first) {
  return first == "localhost" || first.find_first_of(".:") != std::string_view::npos ||
         std::any_of(first.begin(), first.end(), is_upper);
}

Error reference_error(std::string_view text, std::string what) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "image name";
  error.what = "\"" + shown_name(text) + "\" " + std::move(what);
  return error;
}

}  // namespace

bool is_repository(std::string_view text) {
  if (text.size() > kMaxRepository) return false;
  for (;;) {
    const std::size_t slash = text.find('/');
    if (!is_repository_part(text.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

std::string RegistryReference::text() const {
  return place() + (tag.empty() ? "@" + digest : ":" + tag);
}

bool is_registry_host(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view host = text.substr(0, colon);
  if (host.empty() || host.size() > 253 || host.front() == '.' || host.front() == '-') return false;
  const bool letters = std::all_of(host.begin(), host.end(), [](char c) {
    return is_lower(c) || is_upper(c) || is_digit(c) || c == '.' || c == '-';
  });
  if (!letters || colon == std::string_view::npos) return letters;
  const std::string_view port = text.substr(colon + 1);
  return !port.empty() && port.size() <= 5 && std::all_of(port.begin(), port.end(), is_digit);
}

bool is_loopback_host(std::string_view host) {
  const std::string_view name = host.substr(0, host.find(':'));
  const bool address =
      std::all_of(name.begin(), name.end(), [](char c) { return is_digit(c) || c == '.'; });
  return name == "localhost" || (address && name.starts_with("127."));
}

Result<RegistryReference> parse_registry_reference(std::string_view text) {
  RegistryReference reference;
  std::string_view rest = text;
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    reference.digest = rest.substr(at + 1);
    rest = rest.substr(0, at);
    if (!is_digest(reference.digest))
      return fail(reference_error(text,
                                  "has a digest that is not sha256: and 64 lower-case hex "
                                  "digits"));
  }
  const std::size_t last = rest.rfind('/');
  const std::size_t colon = rest.find(':', last == std::string_view::npos ? 0 : last);
  if (colon != std::string_view::npos) {
    reference.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!is_tag(reference.tag))
      return fail(reference_error(
          text, "has a tag that is not made of 1 to 128 letters, digits, '_', '.' and '-'"));
  } else if (reference.digest.empty()) {
    reference.tag = "latest";
  }

  reference.registry = kDefaultRegistry;
  const std::size_t slash = rest.find('/');
  if (slash != std::string_view::npos && names_a_registry(rest.substr(0, slash))) {
    reference.registry = rest.substr(0, slash);
    rest.remove_prefix(slash + 1);
    if (!is_registry_host(reference.registry))
      return fail(reference_error(text, "names no registry: a host, or host:port"));
    if (reference.registry == "index.docker.io") reference.registry = kDefaultRegistry;
  }
  reference.repository = rest;
  if (reference.registry == kDefaultRegistry && rest.find('/') == std::string_view::npos)
    reference.repository = "library/" + reference.repository;
  if (!is_repository(reference.repository))
    return fail(reference_error(text,
                                "names no repository: parts of lower-case letters, digits, "
                                "'.', '_' and '-', with '/' between"));
  return reference;
}

}  // namespace cove
