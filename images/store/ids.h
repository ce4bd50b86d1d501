// Which ids a store's layers have, and the user namespace in which those who write it must stand.
#pragma once

#include <string>

#include "cove/result.h"
#include "images/store_index/record.h"

namespace cove {

// What a store of this process's has that is made without settle_store_ids: the image's own ids
// where the caller is privileged as a launch means it (HostFacts::privileged), else the caller's.
Result<StoreIds> ids_of_caller();

// Those of the store in `directory`; of one that is still to be made, the best that this user can
// have. Where they are a plain user's with subordinate ids, this process enters the user namespace
// in which they are mapped, for good; it must have a single thread. Errors: isolation_unavailable,
// where the store's ids cannot be had (any more).
Result<StoreIds> settle_store_ids(const std::string& directory);

}  // namespace cove
