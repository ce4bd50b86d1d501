// Images that a daemon of Docker has, or of Podman, by its Engine API over a Unix socket. No docker
// command is needed. The daemon is as powerful as root, and is trusted with what it says; its
// answers are read in processes of their own all the same.
#pragma once

#include <string>

#include "cove/result.h"
#include "images/unpack/confined.h"
#include "runtime/kernel/fd.h"

namespace cove {

// The socket that somebody listens at: the one that $DOCKER_HOST names (unix:// only), else /var/run/docker.sock, else
// $XDG_RUNTIME_DIR/docker.sock. Errors: network_failed, permission_denied, invalid_argument.
Result<std::string> find_daemon();

// The daemon's id of an image: it changes when the image does. `name`: a name or an id. Errors:
// image_not_found, network_failed, invalid_argument.
Result<std::string> find_daemon_image(const std::string& name);

// Begins to write the image, as `docker save` does, into `out`; its finish() says how it went.
Result<ConfinedProcess> export_daemon_image(const std::string& name, BorrowedFd out);

}  // namespace cove
