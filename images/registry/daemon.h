// Images that a daemon of Docker has, or of Podman, by its Engine API over a Unix socket. No docker
// command is needed. The daemon is as powerful as root, and is trusted with what it says; its
// answers are read in processes of their own all the same.
#pragma once

#include <chrono>
#include <string>

#include "cove/result.h"
#include "images/unpack/confined.h"
#include "runtime/kernel/fd.h"

namespace cove {

struct DaemonImage {
  std::string name;  // or id, as it was asked for
  std::string id;    // a digest, which changes when the image does
};

// Asks the daemon that listens at the socket that $DOCKER_HOST names (unix:// only), else at /var/run/docker.sock, else at
// $XDG_RUNTIME_DIR/docker.sock. `stall`: how long it may say nothing. Errors: image_not_found, network_failed,
// permission_denied, invalid_argument.
Result<DaemonImage> find_daemon_image(const std::string& name, std::chrono::seconds stall);

// Begins to write the image, as `docker save` does, into `out`; its finish() says how it went. That of this id: by now the
// name may be another image's.
Result<ConfinedProcess> export_daemon_image(const DaemonImage& image, BorrowedFd out);

}  // namespace cove
