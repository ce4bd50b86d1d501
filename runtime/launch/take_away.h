// The end of what belongs to a sandbox.
#pragma once

#include <chrono>

#include "cove/result.h"
#include "runtime/kernel/fd.h"
#include "runtime/state/belongings.h"

namespace cove {

// Removes groups, slot and record. Only when all processes are gone, or are to be killed. What
// cannot be removed stays on record, for the collector. `root`: the host's root directory;
// `records`: the directory of records.
Result<void> take_away(const Belongings& belongings, BorrowedFd root, BorrowedFd records,
                       std::chrono::milliseconds patience);

}  // namespace cove
