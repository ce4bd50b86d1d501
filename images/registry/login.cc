#include "images/registry/login.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "images/registry/base64.h"
#include "images/registry/credential_helper.h"
#include "images/store_index/environment.h"
#include "images/store_index/files.h"
#include "images/unpack/shown_name.h"

namespace cove {
namespace {

using nlohmann::json;

constexpr std::size_t kFileCap = 1024 * 1024;
// The name under which Docker keeps its own registry.
constexpr const char* kDockerHubKey = "https://index.docker.io/v1/";
constexpr std::string_view kTokenUser = "<token>";  // of helpers: the secret is an identity token

Error file_error(const std::string& file, std::string what) {
  Error error;
  error.code = ErrorCode::image_invalid;
  error.step = "credentials";
  error.where = file;
  error.what = std::move(what);
  error.hint = "mend or remove that file";
  return error;
}

// "https://index.docker.io/v1/" -> "docker.io"
std::string normal_key(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  }
  while (key.ends_with('/')) key.remove_suffix(1);
  for (const std::string_view version : {"/v1", "/v2"}) {
    if (key.ends_with(version)) key.remove_suffix(version.size());
  }
  for (const std::string_view alias : {"index.docker.io", "registry-1.docker.io"}) {
    if (key == alias) return "docker.io";
  }
  return std::string(key);
}

std::string registry_of(const std::string& place) { return place.substr(0, place.find('/')); }

// As helpers know it.
std::string server_name(const std::string& registry) {
  return registry == "docker.io" ? kDockerHubKey : registry;
}

// An empty object for a file that is not there.
Result<json> read_login_file(const std::string& file) {
  const UniqueFd opened(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!opened && (errno == ENOENT || errno == ENOTDIR)) return json::object();
  if (!opened) {
    Error error = file_error(file, "cannot be read");
    error.sys_errno = errno;
    return fail(error);
  }
  const Result<std::string> text = read_regular(opened, kFileCap, Oversize::refuse, file);
  if (!text) return fail(text.error());
  if (text->find_first_not_of(" \t\r\n") == std::string::npos) return json::object();
  json document = json::parse(*text, nullptr, false);
  if (!document.is_object()) return fail(file_error(file, "is no JSON object"));
  return document;
}

std::string text_in(const json& object, const char* name) {
  if (!object.is_object()) return {};
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// The member of `objects` whose name stands for the registry.
json::const_iterator find_key(const json& objects, const std::string& wanted) {
  for (auto member = objects.begin(); member != objects.end(); ++member) {
    if (normal_key(member.key()) == wanted) return member;
  }
  return objects.end();
}

std::string helper_for(const json& document, const std::string& registry) {
  const auto helpers = document.find("credHelpers");
  if (helpers == document.end() || !helpers->is_object()) return {};
  const auto found = find_key(*helpers, registry);
  return found != helpers->end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<Login> login_from_entry(const json& entry, const std::string& file) {
  Login login;
  login.identity_token = text_in(entry, "identitytoken");
  const std::string auth = text_in(entry, "auth");
  if (auth.empty()) {
    login.user = text_in(entry, "username");
    login.password = text_in(entry, "password");
    return login;
  }
  const std::optional<std::string> decoded = base64_decoded(auth);
  const std::size_t colon = decoded ? decoded->find(':') : std::string::npos;
  if (colon == std::string::npos)
    return fail(file_error(file, "holds an \"auth\" that is not Base64 of USER:PASSWORD"));
  login.user = decoded->substr(0, colon);
  login.password = decoded->substr(colon + 1);
  while (login.password.ends_with('\0')) login.password.pop_back();
  return login;
}

Result<Login> login_from_helper(const std::string& helper, const std::string& registry) {
  const Result<std::optional<std::string>> printed =
      call_credential_helper(helper, "get", server_name(registry));
  if (!printed) return fail(printed.error());
  if (!*printed) return Login{};
  const json answer = json::parse(**printed, nullptr, false);
  if (!answer.is_object())
    return fail(file_error("docker-credential-" + helper, "gave an answer that is no JSON object"));
  Login login{text_in(answer, "Username"), text_in(answer, "Secret"), {}};
  if (login.user == kTokenUser) login = {{}, {}, login.password};
  return login;
}

// The entry of "auths" for the longest leading part of the place.
Result<Login> login_from_entries(const json& document, const std::string& file,
                                 const std::string& place) {
  const auto entries = document.find("auths");
  if (entries == document.end() || !entries->is_object()) return Login{};
  for (std::string part = place;; part.resize(part.rfind('/'))) {
    if (const auto found = find_key(*entries, part); found != entries->end()) {
      Result<Login> login = login_from_entry(*found, file);
      if (!login || !login->empty()) return login;
    }
    if (part.find('/') == std::string::npos) return Login{};
  }
}

Result<Login> login_in_file(const std::string& file, const std::string& place) {
  const Result<json> document = read_login_file(file);
  if (!document) return fail(document.error());
  const std::string registry = registry_of(place);
  if (const std::string helper = helper_for(*document, registry); !helper.empty())
    return login_from_helper(helper, registry);
  Result<Login> login = login_from_entries(*document, file, place);
  if (!login || !login->empty()) return login;
  const std::string helper = text_in(*document, "credsStore");
  return helper.empty() ? login : login_from_helper(helper, registry);
}

// Where a chain of symbolic links ends: what is replaced is the file, not a link to it.
std::string behind_links(const std::string& file) {
  const std::unique_ptr<char, void (*)(void*)> real(realpath(file.c_str(), nullptr), std::free);
  return real ? real.get() : file;
}

Result<void> write_login_file(const std::string& name, const json& document) {
  const std::string file = behind_links(name);
  const auto failed = [&](const char* action) {
    Error error = errno_error(ErrorCode::setup_failed, "credentials", action);
    error.where = file;
    return fail(error);
  };
  for (std::size_t slash = file.find('/', 1); slash != std::string::npos;
       slash = file.find('/', slash + 1)) {
    if (mkdir(file.substr(0, slash).c_str(), 0700) != 0 && errno != EEXIST) return failed("mkdir");
  }
  const std::string text = document.dump(1, '\t', false, json::error_handler_t::replace) + "\n";
  const std::string aside = file + ".cove-" + std::to_string(getpid());
  unlink(aside.c_str());  // of a process of the same number that was killed
  const UniqueFd out(open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!out) return failed("create");
  const bool written =
      write(out.number(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
      fsync(out.number()) == 0;
  if (written && rename(aside.c_str(), file.c_str()) == 0) return {};
  const auto error = failed("write");
  unlink(aside.c_str());
  return error;
}

Error no_place() {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "credentials";
  error.what = "there is no place to keep them";
  error.hint = "set HOME, DOCKER_CONFIG or REGISTRY_AUTH_FILE";
  return error;
}

// Of the file: the helper that keeps what belongs to the registry; empty: the file itself does.
std::string keeper(const json& document, const std::string& registry) {
  const std::string helper = helper_for(document, registry);
  return helper.empty() ? text_in(document, "credsStore") : helper;
}

// The file that the registry's login is looked for in first, so that the new one is what is found.
Result<std::string> file_to_write(const LoginFiles& files, const std::string& registry) {
  for (const std::string& file : files.readable) {
    const Result<json> document = read_login_file(file);
    if (!document) return fail(document.error());
    if (file == files.writable || !helper_for(*document, registry).empty()) return file;
    const auto entries = document->find("auths");
    if (entries != document->end() && entries->is_object() &&
        find_key(*entries, registry) != entries->end())
      return file;
  }
  if (files.writable.empty()) return fail(no_place());
  return files.writable;
}

// Every spelling of the registry. False: there was none.
bool erase_entries(json& document, const std::string& registry) {
  const auto entries = document.find("auths");
  if (entries == document.end() || !entries->is_object()) return false;
  bool found = false;
  for (auto known = find_key(*entries, registry); known != entries->end();
       known = find_key(*entries, registry)) {
    entries->erase(std::string(known.key()));
    found = true;
  }
  return found;
}

Result<bool> forget_in_file(const std::string& file, const std::string& registry) {
  Result<json> document = read_login_file(file);
  if (!document) return fail(document.error());
  bool found = false;
  if (const std::string helper = keeper(*document, registry); !helper.empty()) {
    const auto erased = call_credential_helper(helper, "erase", server_name(registry));
    if (!erased) return fail(erased.error());
    found = erased->has_value();
  }
  if (!erase_entries(*document, registry)) return found;
  if (Result<void> written = write_login_file(file, *document); !written)
    return fail(written.error());
  return true;
}

}  // namespace

LoginFiles login_files() {
  LoginFiles files;
  const std::string given = environment("REGISTRY_AUTH_FILE");
  const std::string home = environment("HOME");
  const std::string docker = environment("DOCKER_CONFIG");
  if (!given.empty()) files.readable.push_back(given);
  if (const std::string run = environment("XDG_RUNTIME_DIR"); !run.empty())
    files.readable.push_back(run + "/containers/auth.json");
  if (!home.empty()) files.readable.push_back(home + "/.config/containers/auth.json");
  if (!docker.empty() || !home.empty()) {
    files.writable = (docker.empty() ? home + "/.docker" : docker) + "/config.json";
    files.readable.push_back(files.writable);
  }
  if (!given.empty()) files.writable = given;
  return files;
}

Result<Login> find_login(const LoginFiles& files, const std::string& place) {
  for (const std::string& file : files.readable) {
    Result<Login> login = login_in_file(file, place);
    if (!login || !login->empty()) return login;
  }
  return Login{};
}

Result<void> keep_login(const LoginFiles& files, const std::string& registry, const Login& login) {
  const Result<std::string> file = file_to_write(files, registry);
  if (!file) return fail(file.error());
  Result<json> document = read_login_file(*file);
  if (!document) return fail(document.error());
  if (const std::string helper = keeper(*document, registry); !helper.empty()) {
    const json secret{
        {"ServerURL", server_name(registry)}, {"Username", login.user}, {"Secret", login.password}};
    const auto stored = call_credential_helper(
        helper, "store", secret.dump(-1, ' ', false, json::error_handler_t::replace));
    if (!stored) return fail(stored.error());
    const Result<Login> before = login_from_entries(*document, *file, registry);
    if (before && before->empty()) return {};
    erase_entries(*document, registry);  // a login in the file itself would come first
    return write_login_file(*file, *document);
  }
  json& entries = (*document)["auths"];
  if (!entries.is_object()) entries = json::object();
  const auto known = find_key(entries, registry);
  const std::string key = known != entries.end() ? known.key() : server_name(registry);
  entries[key] = {{"auth", base64_encoded(login.user + ":" + login.password)}};
  return write_login_file(*file, *document);
}

Result<bool> forget_login(const LoginFiles& files, const std::string& registry) {
  if (files.readable.empty()) return fail(no_place());
  bool found = false;
  for (const std::string& file : files.readable) {
    const Result<bool> forgotten = forget_in_file(file, registry);
    if (!forgotten) return forgotten;
    found = found || *forgotten;
  }
  return found;
}

}  // namespace cove
