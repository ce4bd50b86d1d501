// The image store, as a launch sees it. Loading, listing and removing are the work of the
// `cove-image` executable; a launch reads one small file.
#pragma once

#include <string>
#include <string_view>

#include "cove/facts.h"
#include "cove/result.h"

namespace cove {

// $COVE_ROOT, else /var/lib/cove for root (who may write there: not so in a user namespace of a
// plain user), else $XDG_DATA_HOME/cove or ~/.local/share/cove.
std::string default_store();

// True for a reference that names a transport as skopeo writes it: "docker-archive:FILE",
// "oci:DIR[:TAG]", "oci-archive:FILE".
bool is_transport(std::string_view reference);

// Finds an image by name ("python-demo", "name:tag") or by digest ("sha256:...", or 12 or more of
// its hex digits). A name without a tag means ":latest". Errors: image_not_found (with the names
// that the store does have), image_invalid.
Result<ImageFacts> find_image(const std::string& store, std::string_view reference);

// The ImageFacts of a plain directory: no configuration, its own passwd and group, read in-root.
// "/" gives the host's tools.
Result<ImageFacts> describe_rootfs(const std::string& directory);

}  // namespace cove
