#include "runtime/launch/take_away.h"

#include "runtime/cgroup/group_tree.h"

namespace cove {

Result<void> take_away(const Belongings& belongings, BorrowedFd root, BorrowedFd records,
                       std::chrono::milliseconds patience) {
  auto removed = remove_groups(root, belongings.record.groups, patience);
  if (!removed) return removed;
  forget_sandbox(records, belongings.id, belongings.slots, belongings.record.slot);
  return {};
}

}  // namespace cove
