// Who to be at a registry: the files in which docker, podman and skopeo keep logins, and the
// credential helpers that these name (docker-credential-NAME).
//
// Read, the first that knows the registry: $REGISTRY_AUTH_FILE,
// $XDG_RUNTIME_DIR/containers/auth.json, ~/.config/containers/auth.json, $DOCKER_CONFIG/config.json
// or ~/.docker/config.json. Written: the first of these that knows the registry already, so that no
// older login comes before the new one; else $REGISTRY_AUTH_FILE, else Docker's.
#pragma once

#include <string>
#include <vector>

#include "cove/result.h"

namespace cove {

struct Login {
  std::string user, password;
  std::string identity_token;  // an OAuth 2 refresh token in place of the password

  bool empty() const { return user.empty() && identity_token.empty(); }
};

struct LoginFiles {
  std::vector<std::string> readable;  // in this order; they need not exist
  std::string writable;               // for a login that none knows; empty: there is no place
};
LoginFiles login_files();  // by this process's environment

// The login for "docker.io/library/python", or for a registry alone. An empty one: none is known.
// Errors: image_invalid (a file that cannot be read as one), setup_failed (a helper that fails).
Result<Login> find_login(const LoginFiles& files, const std::string& place);

// Into the helper that the file names for the registry, else into the file itself, which is
// replaced in one step, mode 0600, with all else in it kept.
Result<void> keep_login(const LoginFiles& files, const std::string& registry, const Login& login);

// From all files and their helpers. False: there was none.
Result<bool> forget_login(const LoginFiles& files, const std::string& registry);

}  // namespace cove
