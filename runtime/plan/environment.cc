// The payload's environment: the image's, then the host variables that were allowed, then the
// spec's own. Nothing else of the caller's comes in. The last value of a name wins and keeps the
// first one's place, as in Docker.
#include <algorithm>

#include "runtime/plan/draft.h"

namespace cove {
namespace {

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

using Environment = std::vector<std::pair<std::string, std::string>>;

void set(Environment& env, std::string name, std::string value) {
  const auto known = std::find_if(env.begin(), env.end(),
                                  [&](const auto& variable) { return variable.first == name; });
  if (known != env.end()) {
    known->second = std::move(value);
  } else {
    env.emplace_back(std::move(name), std::move(value));
  }
}

bool has(const Environment& env, std::string_view name) {
  return std::any_of(env.begin(), env.end(),
                     [&](const auto& variable) { return variable.first == name; });
}

void set_images(Draft& draft, Environment& env) {
  for (const std::string& entry : draft.image.config.env) {
    if (entry.find('\0') != std::string::npos) {
      draft.refuse(problem(ErrorCode::image_invalid, "image", "the image's ENV",
                           "a variable has a NUL byte in it", "build the image again"));
      return;
    }
    // Docker drops what is no variable, and so images have it.
    const std::size_t equals = entry.find('=');
    if (equals == 0 || equals == std::string::npos) continue;
    set(env, entry.substr(0, equals), entry.substr(equals + 1));
  }
}

}  // namespace

void plan_environment(Draft& draft) {
  Environment& env = draft.plan.process.env;
  set_images(draft, env);
  if (!has(env, "PATH")) set(env, "PATH", kDefaultPath);
  if (!has(env, "HOME")) set(env, "HOME", draft.plan.identity.home);
  // Docker's choice too: every image with a terminal database has it.
  if (draft.plan.tty && !has(env, "TERM")) set(env, "TERM", "xterm");
  for (const std::string& name : draft.spec.env_allowlist) {
    const auto value = draft.host.environment.find(name);
    if (value != draft.host.environment.end()) set(env, name, value->second);
  }
  for (const auto& [name, value] : draft.spec.env) set(env, name, value);
}

}  // namespace cove
