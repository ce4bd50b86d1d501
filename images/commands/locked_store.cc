#include "images/commands/locked_store.h"

#include <ostream>

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

Result<EmptiableStore> open_for_removal(const std::string& directory, std::ostream& notes) {
  const Result<StoreIds> ids = settle_store_ids(directory);
  if (!ids) return fail(ids.error());
  Result<Store> store = Store::open(directory, *ids);
  if (!store) return fail(store.error());
  Result<FileLock> content = store->lock_content(FileLock::Mode::exclusive, FileLock::Wait::refuse);
  if (content && !content->held()) {
    notes << "waiting for a load that is under way\n" << std::flush;
    content = store->lock_content(FileLock::Mode::exclusive);
  }
  if (!content) return fail(content.error());
  Result<FileLock> index = store->lock_index();
  if (!index) return fail(index.error());
  return EmptiableStore{std::move(*store), std::move(*content), std::move(*index)};
}

}  // namespace cove
