// The store as a command opens it: with its ids settled and its content locked.
#pragma once

#include <iosfwd>
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

// For who removes something: a load counts on layers that it found, and is waited for, which is told
// to `notes`.
struct EmptiableStore {
  Store store;
  FileLock content, index;
};
Result<EmptiableStore> open_for_removal(const std::string& directory, std::ostream& notes);

}  // namespace cove
