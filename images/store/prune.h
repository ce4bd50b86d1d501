// Which images may go, and their removal.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cove/result.h"
#include "cove/units.h"
#include "images/store/inventory.h"
#include "images/store/store.h"

namespace cove {

// Without an option images go that have no name. Each of these three lets images with names go, too;
// two of them together, only what both let go.
struct PruneOptions {
  bool all = false;                                // every image that nothing runs from
  std::optional<std::chrono::seconds> older_than;  // not used for so long
  std::optional<Bytes>
      keep_storage;      // until the store is at most so large, least recently used first
  bool dry_run = false;  // only tell
};

struct PrunedImage {
  std::string digest;
  std::vector<std::string> names;
};

struct Pruned {
  std::vector<PrunedImage> removed;  // in the order in which they went
  std::vector<PrunedImage> in_use;   // would have gone, but a sandbox runs from them
  std::uint64_t freed = 0;           // bytes on disk, content that no image used among them
  std::uint64_t left = 0;            // bytes of the store's blobs and layers afterwards
};

// What may go by its name and its last use, in the order in which it goes: images without a name
// first, then the least recently used. Whether it is needed is prune's to find out.
std::vector<const InventoriedImage*> prune_candidates(const Inventory& inventory,
                                                      const PruneOptions& options, WallTime now);

// With the store opened as by open_for_removal. Never touches what a sandbox runs from.
Result<Pruned> prune(const Store& store, const PruneOptions& options);

}  // namespace cove
