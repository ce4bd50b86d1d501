// What the store's content weighs on disk, and which images it is for.
//
// Sizes are those of allocated blocks, as du(1) counts them, a file with several links once. A
// layer's is measured once, and kept in sizes/<hex>: layers do not change.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cove/result.h"
#include "images/store_index/record.h"

namespace cove {

using WallTime = std::chrono::sys_seconds;

struct InventoriedImage {
  ImageRecord record;
  std::vector<std::string> names;  // sorted
  WallTime last_used;              // loaded, tagged, or a sandbox started from it
  std::set<std::string> content;   // paths of its blobs and layers, relative to the store's top
};

struct Inventory {
  std::vector<InventoriedImage> images;          // by digest
  std::map<std::string, std::uint64_t> content;  // bytes of all blobs and layers that are there
  std::set<std::string>
      foreign;  // of it, what entries of index.json use that are no images of ours

  std::uint64_t bytes_of(const std::set<std::string>& paths) const;
  // Of what the image uses, those that others use as well.
  std::uint64_t shared_bytes_of(const InventoriedImage& image) const;
  // Of what is used, were it without the images of these digests: what is left when they are removed.
  std::uint64_t bytes_without(const std::set<std::string>& digests) const;
  // Of all that is there, used or not.
  std::uint64_t total() const;
};

// Of the store in `directory`; empty where there is none. Needs the rights to look into layers that
// were not measured before. What is removed meanwhile is left out.
Result<Inventory> take_inventory(const std::string& directory);
// Whether there are such layers.
bool has_unmeasured_layers(const std::string& directory);

}  // namespace cove
