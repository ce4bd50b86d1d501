#include "images/registry/endpoints.h"

#include <fcntl.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "images/store_index/environment.h"
#include "images/store_index/files.h"
#include "images/unpack/shown_name.h"
#include "runtime/kernel/directory.h"

namespace cove {
namespace {

constexpr std::size_t kFileCap = 1024 * 1024;
constexpr const char* kDockerHub = "registry-1.docker.io";

struct Mirror {
  std::string location;
  bool insecure = false;
  bool by_digest = true, by_tag = true;
};

struct RegistryRule {
  std::string prefix, location;
  bool insecure = false, blocked = false;
  std::vector<Mirror> mirrors;
};

Error file_error(const std::string& file, std::string what) {
  Error error;
  error.code = ErrorCode::image_invalid;
  error.step = "registries";
  error.where = file;
  error.what = std::move(what);
  return error;
}

// Nothing for a file that is not there.
Result<std::optional<std::string>> read_optional(const std::string& file) {
  const UniqueFd opened(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!opened && (errno == ENOENT || errno == ENOTDIR)) return std::optional<std::string>();
  if (opened) {
    Result<std::string> text = read_regular(opened, kFileCap, Oversize::refuse, file);
    if (text) return std::optional(std::move(*text));
  }
  Error error = file_error(file, "cannot be read");
  error.sys_errno = errno;
  return fail(error);
}

bool is_wildcard(std::string_view prefix) { return prefix.starts_with("*."); }

// HOST[:PORT][/PATH]
bool is_location(std::string_view text) {
  const std::size_t slash = text.find('/');
  return is_registry_host(text.substr(0, slash)) &&
         (slash == std::string_view::npos || is_repository(text.substr(slash + 1)));
}

// The same, or "*.HOST".
bool is_prefix(std::string_view text) {
  if (is_wildcard(text))
    return text.find(':') == text.npos && is_location(text.substr(2)) &&
           text.find('/') == text.npos;
  return is_location(text);
}

// Reads one file's rules; mistakes are collected.
class RuleReader {
 public:
  RuleReader(const std::string& file, std::vector<Error>& mistakes)
      : file_(file), mistakes_(mistakes) {}

  std::vector<RegistryRule> rules_in(const toml::table& document) {
    std::vector<RegistryRule> rules;
    if (document.contains("registries"))
      mistake(document, "is of version 1, which is not read; write [[registry]] tables");
    for (const toml::table* table : tables_in(document, "registry"))
      rules.push_back(rule_in(*table));
    return rules;
  }

 private:
  void mistake(const toml::node& node, std::string what) {
    const std::string line = std::to_string(node.source().begin.line);
    mistakes_.push_back(file_error(file_ + ":" + line, std::move(what)));
  }

  std::vector<const toml::table*> tables_in(const toml::table& parent, const char* name) {
    std::vector<const toml::table*> tables;
    const toml::node* node = parent.get(name);
    if (!node) return tables;
    const toml::array* array = node->as_array();
    if (!array) mistake(*node, std::string(name) + " is no array of tables: write it as [[...]]");
    for (std::size_t at = 0; array && at < array->size(); ++at) {
      if (const toml::table* table = array->get(at)->as_table()) {
        tables.push_back(table);
      } else {
        mistake(*array->get(at), std::string(name) + " holds what is no table");
      }
    }
    return tables;
  }

  std::string text_in(const toml::table& table, const char* name) {
    const toml::node* node = table.get(name);
    if (!node) return {};
    const std::optional<std::string> text = node->value_exact<std::string>();
    if (!text) mistake(*node, std::string(name) + " is no string");
    return text.value_or("");
  }

  bool flag_in(const toml::table& table, const char* name) {
    const toml::node* node = table.get(name);
    if (!node) return false;
    const std::optional<bool> flag = node->value_exact<bool>();
    if (!flag) mistake(*node, std::string(name) + " is neither true nor false");
    return flag.value_or(false);
  }

  std::string location_in(const toml::table& table) {
    std::string location = text_in(table, "location");
    if (!location.empty() && !is_location(location))
      mistake(*table.get("location"),
              "location \"" + shown_name(location) + "\" is no HOST[:PORT][/PATH]");
    return location;
  }

  std::string prefix_in(const toml::table& table) {
    std::string prefix = text_in(table, "prefix");
    if (!prefix.empty() && !is_prefix(prefix))
      mistake(*table.get("prefix"),
              "prefix \"" + shown_name(prefix) + "\" is neither HOST[:PORT][/PATH] nor *.HOST");
    return prefix;
  }

  Mirror mirror_in(const toml::table& table, bool digests_only) {
    Mirror mirror;
    mirror.location = location_in(table);
    if (mirror.location.empty()) mistake(table, "the mirror has no location");
    mirror.insecure = flag_in(table, "insecure");
    const std::string from = text_in(table, "pull-from-mirror");
    if (!from.empty() && from != "all" && from != "digest-only" && from != "tag-only")
      mistake(table, "pull-from-mirror is none of all, digest-only, tag-only");
    mirror.by_tag = !digests_only && from != "digest-only";
    mirror.by_digest = from != "tag-only";
    return mirror;
  }

  RegistryRule rule_in(const toml::table& table) {
    RegistryRule rule;
    rule.prefix = prefix_in(table);
    rule.location = location_in(table);
    if (rule.prefix.empty()) rule.prefix = rule.location;
    if (rule.prefix.empty()) mistake(table, "the registry has neither prefix nor location");
    if (rule.location.empty() && !is_wildcard(rule.prefix)) rule.location = rule.prefix;
    rule.insecure = flag_in(table, "insecure");
    rule.blocked = flag_in(table, "blocked");
    const bool digests_only = flag_in(table, "mirror-by-digest-only");
    for (const toml::table* mirror : tables_in(table, "mirror"))
      rule.mirrors.push_back(mirror_in(*mirror, digests_only));
    return rule;
  }

  const std::string& file_;
  std::vector<Error>& mistakes_;
};

// Of all files; a later one replaces an earlier one's rule for the same prefix.
Result<std::vector<RegistryRule>> read_rules(const std::vector<std::string>& files) {
  std::vector<RegistryRule> all;
  std::vector<Error> mistakes;
  for (const std::string& file : files) {
    const Result<std::optional<std::string>> text = read_optional(file);
    if (!text) return fail(text.error());
    if (!*text) continue;
    try {
      const toml::table document = toml::parse(**text, file);
      for (RegistryRule& rule : RuleReader(file, mistakes).rules_in(document)) {
        std::erase_if(all, [&](const RegistryRule& one) { return one.prefix == rule.prefix; });
        all.push_back(std::move(rule));
      }
    } catch (const toml::parse_error& error) {
      const std::string line = std::to_string(error.source().begin.line);
      mistakes.push_back(
          file_error(file + ":" + line, "is no TOML: " + std::string(error.description())));
    }
  }
  if (!mistakes.empty()) return fail(one_error(std::move(mistakes)));
  return all;
}

// How much of the place the prefix covers; 0: it is another's. Of a port, a wildcard says nothing.
std::size_t covered(const RegistryRule& rule, const std::string& place) {
  const std::string& prefix = rule.prefix;
  if (is_wildcard(prefix)) {
    const std::size_t end = place.find_first_of(":/");
    const std::string_view name = std::string_view(place).substr(0, end);
    return name.ends_with(std::string_view(prefix).substr(1)) ? name.size() : 0;
  }
  if (!place.starts_with(prefix)) return 0;
  return place.size() == prefix.size() || place[prefix.size()] == '/' ? prefix.size() : 0;
}

Result<std::string> read_certificates(const std::string& directory,
                                      const std::vector<std::string>& names,
                                      std::string_view suffix) {
  std::string all;
  for (const std::string& name : names) {
    if (!name.ends_with(suffix)) continue;
    const Result<std::optional<std::string>> text = read_optional(directory + "/" + name);
    if (!text) return fail(text.error());
    all += text->value_or("") + "\n";
  }
  return all;
}

Result<Certificates> certificates_in(const std::string& directory) {
  const UniqueFd opened(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened) {
    Error error = file_error(directory, "cannot be opened");
    error.code = ErrorCode::invalid_argument;
    error.sys_errno = errno;
    return fail(error);
  }
  std::vector<std::string> names = names_in(opened).value_or(std::vector<std::string>{});
  std::sort(names.begin(), names.end());
  Certificates found;
  for (const auto& [suffix, place] :
       {std::pair(".crt", &found.authorities), std::pair(".cert", &found.client),
        std::pair(".key", &found.client_key)}) {
    Result<std::string> text = read_certificates(directory, names, suffix);
    if (!text) return fail(text.error());
    *place = std::move(*text);
  }
  return found;
}

Result<Certificates> certificates_for(const std::string& host, const RegistrySettings& settings) {
  if (!settings.cert_dir.empty()) return certificates_in(settings.cert_dir);
  for (const std::string& directory : settings.certificate_directories) {
    const std::string path = directory + "/" + host;
    const UniqueFd there(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (there) return certificates_in(path);
  }
  return Certificates{};
}

Result<Endpoint> endpoint_at(const std::string& location, bool insecure,
                             const RegistrySettings& settings) {
  Endpoint endpoint;
  const std::size_t slash = location.find('/');
  endpoint.host = location.substr(0, slash);
  if (slash != std::string::npos) endpoint.repository = location.substr(slash + 1);
  if (!is_registry_host(endpoint.host))
    return fail(file_error(settings.files.empty() ? "" : settings.files.front(),
                           "makes \"" + shown_name(location) + "\" of it, which is no place"));
  endpoint.verify_tls = settings.verify_tls && !insecure;
  endpoint.plain_http = !endpoint.verify_tls || is_loopback_host(endpoint.host);
  const std::string host = endpoint.host;
  if (host == "docker.io" || host == "index.docker.io") endpoint.host = kDockerHub;
  Result<Certificates> certificates = certificates_for(host, settings);
  if (!certificates) return fail(certificates.error());
  endpoint.certificates = std::move(*certificates);
  return endpoint;
}

// The same with the login for this place.
Result<Endpoint> endpoint_with_login(const std::string& location, bool insecure,
                                     const RegistrySettings& settings) {
  Result<Endpoint> endpoint = endpoint_at(location, insecure, settings);
  if (!endpoint) return endpoint;
  Result<Login> login = find_login(settings.logins, location);
  if (!login) return fail(login.error());
  endpoint->login = std::move(*login);
  return endpoint;
}

const RegistryRule* rule_for(const std::vector<RegistryRule>& rules, const std::string& place) {
  const RegistryRule* best = nullptr;
  for (const RegistryRule& rule : rules) {
    if (covered(rule, place) > (best ? covered(*best, place) : 0)) best = &rule;
  }
  return best;
}

}  // namespace

std::vector<std::string> registry_files(const std::vector<std::string>& directories) {
  std::vector<std::string> files;
  for (const std::string& directory : directories) {
    const std::string file = directory + "/registries.conf";
    if (files.empty() && access(file.c_str(), F_OK) == 0) files.push_back(file);
  }
  for (auto directory = directories.rbegin(); directory != directories.rend(); ++directory) {
    const std::string beside = *directory + "/registries.conf.d";
    const UniqueFd opened(open(beside.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    std::vector<std::string> names;
    if (opened) names = names_in(opened).value_or(std::vector<std::string>{});
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      if (name.ends_with(".conf")) files.push_back(beside + "/" + name);
    }
  }
  return files;
}

RegistrySettings registry_settings() {
  RegistrySettings settings;
  settings.logins = login_files();
  const std::string home = environment("HOME");
  std::vector<std::string> directories;
  if (!home.empty()) directories.push_back(home + "/.config/containers");
  directories.emplace_back("/etc/containers");
  for (const std::string& directory : directories)
    settings.certificate_directories.push_back(directory + "/certs.d");
  settings.certificate_directories.emplace_back("/etc/docker/certs.d");
  const std::string given = environment("CONTAINERS_REGISTRIES_CONF");
  settings.files = given.empty() ? registry_files(directories) : std::vector<std::string>{given};
  return settings;
}

Result<std::vector<Endpoint>> endpoints_for(const RegistryReference& reference,
                                            const RegistrySettings& settings) {
  const Result<std::vector<RegistryRule>> rules = read_rules(settings.files);
  if (!rules) return fail(rules.error());
  const std::string place = reference.place();
  const RegistryRule* rule = rule_for(*rules, place);
  if (rule && rule->blocked) {
    Error error;
    error.code = ErrorCode::permission_denied;
    error.step = "registries";
    error.what = "registries.conf blocks " + rule->prefix;
    return fail(error);
  }
  std::vector<Endpoint> endpoints;
  const auto add = [&](const std::string& location, bool insecure) -> Result<void> {
    Result<Endpoint> endpoint = endpoint_with_login(location, insecure, settings);
    if (!endpoint) return fail(endpoint.error());
    endpoints.push_back(std::move(*endpoint));
    return {};
  };
  if (!rule) {
    if (Result<void> added = add(place, false); !added) return fail(added.error());
    return endpoints;
  }
  const std::string rest = place.substr(covered(*rule, place));
  for (const Mirror& mirror : rule->mirrors) {
    if (reference.digest.empty() ? !mirror.by_tag : !mirror.by_digest) continue;
    if (Result<void> added = add(mirror.location + rest, mirror.insecure); !added)
      return fail(added.error());
  }
  const std::string own = rule->location.empty() ? place : rule->location + rest;
  if (Result<void> added = add(own, rule->insecure); !added) return fail(added.error());
  return endpoints;
}

HttpHost http_host(const Endpoint& endpoint, std::chrono::seconds stall) {
  return {
      endpoint.certificates, endpoint.verify_tls, !is_loopback_host(endpoint.host), "", {}, stall};
}

Result<Endpoint> endpoint_of(const std::string& registry, const RegistrySettings& settings) {
  const Result<std::vector<RegistryRule>> rules = read_rules(settings.files);
  if (!rules) return fail(rules.error());
  const RegistryRule* rule = rule_for(*rules, registry);
  return endpoint_at(registry, rule && rule->insecure, settings);
}

}  // namespace cove
