// The image store, as a launch sees it. Loading, listing and removing are the work of the
// `cove-image` executable; a launch reads one small file.
#pragma once

#include <string>
#include <string_view>
#include <utility>

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

// Keeps an image in the store: `rm` and `prune` leave it alone as long as this, or a duplicate of its
// descriptor, is open. A flock, so it ends with the last process that has it.
class ImageHold {
 public:
  ImageHold() = default;
  explicit ImageHold(int descriptor) : descriptor_(descriptor) {}
  ImageHold(ImageHold&& other) noexcept : descriptor_(other.release()) {}
  ImageHold& operator=(ImageHold&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~ImageHold();

  int descriptor() const { return descriptor_; }  // -1: nothing is held
  // The caller's, to close.
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_ = -1;
};

struct HeldImage {
  ImageFacts facts;
  ImageHold hold;
  bool use_is_noted = false;  // within the last minute: note_use has nothing to tell
};

// As find_image, for who is going to use the image's layers. Waits for a removal of this very image
// that is under way, which takes milliseconds; what was removed is not found.
Result<HeldImage> hold_image(const std::string& store, std::string_view reference);

// Writes down that the image of that ImageHold is used now, for `cove image ls` and `prune`. Where that cannot be
// (a store that is mounted read-only), it is not.
void note_use(int held_descriptor);

// The ImageFacts of a plain directory: no configuration, its own passwd and group, read in-root.
// "/" gives the host's tools.
Result<ImageFacts> describe_rootfs(const std::string& directory);

}  // namespace cove
