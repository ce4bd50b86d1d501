// Docker's format of a system call policy: what moby, Podman and containerd read and their default
// profiles are written in (docs/seccomp.md).
#pragma once

#include "runtime/seccomp/docker_rules.h"
#include "runtime/seccomp/document.h"
#include "runtime/seccomp/policy.h"

namespace cove {

// The rules whose `includes` and `excludes` hold. What is wrong with `json` is complained of to
// `document`, also in the other rules; then the profile is of no use.
DockerProfile read_docker_profile(DocumentReader& document, const Json& json,
                                  const Circumstances& circumstances);

}  // namespace cove
