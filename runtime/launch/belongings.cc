#include "runtime/launch/belongings.h"

#include "runtime/cgroup/group_tree.h"

namespace cove {

std::optional<std::uint32_t> Belongings::first_id() const {
  return record.slot ? std::optional(kFirstSlotId + *record.slot * kSlotIds) : std::nullopt;
}

Result<void> take_away(const Belongings& belongings, std::chrono::milliseconds patience) {
  auto removed = remove_groups(belongings.root, belongings.record.groups, patience);
  if (!removed) return removed;
  forget_sandbox(belongings.records, belongings.id, belongings.slots, belongings.record.slot);
  return {};
}

}  // namespace cove
