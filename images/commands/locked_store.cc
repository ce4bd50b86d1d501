#include "images/commands/locked_store.h"

#include "images/store/ids.h"

namespace cove {

Result<LockedStore> open_locked(const std::string& directory, FileLock::Mode mode) {
  const Result<StoreIds> ids = settle_store_ids(directory);
  if (!ids) return fail(ids.error());
  Result<Store> store = Store::open(directory, *ids);
  if (!store) return fail(store.error());
  Result<FileLock> content = store->lock_content(mode);
  if (!content) return fail(content.error());
  return LockedStore{std::move(*store), std::move(*content)};
}

}  // namespace cove
