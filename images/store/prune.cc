#include "images/store/prune.h"

#include <algorithm>
#include <tuple>

namespace cove {
namespace {

constexpr std::chrono::milliseconds kNoPatience{0};

class Pruner {
 public:
  Pruner(const Store& store, const Inventory& inventory, const PruneOptions& options)
      : store_(store), inventory_(inventory), options_(options) {}

  Result<Pruned> prune(const std::vector<const InventoriedImage*>& candidates) {
    for (const InventoriedImage* image : candidates) {
      if (is_small_enough()) break;
      if (auto done = try_to_remove(*image); !done) return fail(done.error());
    }
    pruned_.left = inventory_.bytes_without(gone_);
    pruned_.freed = inventory_.total() - pruned_.left;
    return std::move(pruned_);
  }

 private:
  bool is_small_enough() const {
    return options_.keep_storage && inventory_.bytes_without(gone_) <= options_.keep_storage->count;
  }

  Result<void> try_to_remove(const InventoriedImage& image) {
    const std::string& digest = image.record.digest;
    const auto claim = store_.claim_image(digest, kNoPatience);
    if (!claim) return fail(claim.error());
    if (*claim && !(*claim)->held()) {
      pruned_.in_use.push_back({digest, image.names});
      return {};
    }
    if (!options_.dry_run) {
      if (auto removed = store_.remove_image(digest); !removed) return fail(removed.error());
    }
    gone_.insert(digest);
    pruned_.removed.push_back({digest, image.names});
    return {};
  }

  const Store& store_;
  const Inventory& inventory_;
  const PruneOptions& options_;
  std::set<std::string> gone_;
  Pruned pruned_;
};

}  // namespace

std::vector<const InventoriedImage*> prune_candidates(const Inventory& inventory,
                                                      const PruneOptions& options, WallTime now) {
  const bool named_too = options.all || options.older_than || options.keep_storage;
  std::vector<const InventoriedImage*> candidates;
  for (const InventoriedImage& image : inventory.images) {
    if (!named_too && !image.names.empty()) continue;
    if (options.older_than && now - image.last_used < *options.older_than) continue;
    candidates.push_back(&image);
  }
  const auto rank = [](const InventoriedImage* image) {
    return std::tuple(!image->names.empty(), image->last_used, image->record.digest);
  };
  std::sort(candidates.begin(), candidates.end(),
            [&](const auto* one, const auto* other) { return rank(one) < rank(other); });
  return candidates;
}

Result<Pruned> prune(const Store& store, const PruneOptions& options) {
  const Result<Inventory> inventory = take_inventory(store.directory());
  if (!inventory) return fail(inventory.error());
  const WallTime now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  Result<Pruned> pruned =
      Pruner(store, *inventory, options).prune(prune_candidates(*inventory, options, now));
  if (!pruned || options.dry_run) return pruned;
  if (const auto collected = store.collect_garbage(); !collected) return fail(collected.error());
  return pruned;
}

}  // namespace cove
