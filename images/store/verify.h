// Whether the store still holds what its digests say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cove/result.h"
#include "images/store/store.h"
#include "images/unpack/layer.h"

namespace cove {

struct Damage {
  std::string image;  // digest
  std::string where;  // in the store: "layers/<hex>/etc/passwd", "blobs/sha256/<hex>"
  std::string what;   // "is missing", "has another content"
  bool repaired = false;
};

struct Verified {
  std::uint64_t images = 0, layers = 0, blobs = 0;
  std::vector<Damage> damage;
  bool in_use = false;  // something was not repaired, since a sandbox runs from it
  // Layers that are there, but whose content nothing can be compared with: their images were loaded
  // without keeping blobs. Paths in the store.
  std::vector<std::string> unverifiable;
};

enum class Repair { no, yes };

// Hashes every blob that an image uses, and unpacks every layer once more to compare it with what is
// there: as much work as loading all images. With Repair::yes a layer that differs is replaced by
// what its blob makes, unless a sandbox runs from it; a damaged blob is removed, so that the next
// load brings it again, and stays told as damage. Errors: of the store itself.
Result<Verified> verify_store(const Store& store, Repair repair);

}  // namespace cove
