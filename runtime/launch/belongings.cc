#include "runtime/launch/belongings.h"

#include <sys/socket.h>

#include <utility>

#include "runtime/cgroup/group_tree.h"

namespace cove {

std::optional<std::uint32_t> Belongings::first_id() const {
  return record.slot ? std::optional(kFirstSlotId + *record.slot * kSlotIds) : std::nullopt;
}

Result<void> take_away(const Belongings& belongings, BorrowedFd root, BorrowedFd records,
                       std::chrono::milliseconds patience) {
  auto removed = remove_groups(root, belongings.record.groups, patience);
  if (!removed) return removed;
  forget_sandbox(records, belongings.id, belongings.slots, belongings.record.slot);
  return {};
}

Lease& Lease::operator=(Lease&& other) noexcept {
  std::swap(end_, other.end_);
  return *this;
}

Lease::~Lease() {
  if (end_) shutdown(end_.number(), SHUT_RDWR);
}

}  // namespace cove
