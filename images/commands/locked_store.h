// The store as a command opens it: with its ids settled and its content locked.
#pragma once

#include <string>

#include "cove/result.h"
#include "images/store/store.h"

namespace cove {

// Shared: nothing that is used is removed meanwhile.
struct LockedStore {
  Store store;
  FileLock content;
};
Result<LockedStore> open_locked(const std::string& directory, FileLock::Mode mode);

}  // namespace cove
