// What is written down of running sandboxes, so that whoever comes next can remove what a killed
// process left.
//
//   <state>/            0700
//     sandboxes/<id>    one record per sandbox: its cgroups and its uid slot. Locked (flock) by its
//                       engine, launcher and init, who share the open file; a record that can be
//                       locked belongs to nobody
//     slots             uid ranges. Byte n is locked (an open file description lock) while slot n is
//                       in use; 32 bytes at 32 n name the sandbox that took it last, zero once that
//                       has been cleaned up
//     seccomp/          compiled filters of the caller's own profiles
//
// A kill releases locks while the pid namespace is still dying. So a lock says nothing about
// processes: only who has emptied the groups may clear the slot.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cove/result.h"
#include "runtime/identity/own_id_map.h"
#include "runtime/kernel/fd.h"

namespace cove {

inline constexpr std::uint32_t kSlotIds = 65536;
inline constexpr std::uint32_t kSlotCount = (kEndOfSlotIds - kFirstSlotId) / kSlotIds;

struct SandboxRecord {
  std::vector<std::string> groups;  // directories, deepest first
  std::optional<std::uint32_t> slot;
};

// A uid range that is taken. Closing it without forget_sandbox() leaves it to the collector.
struct Slot {
  std::uint32_t number = 0;
  UniqueFd lock;
  std::uint32_t first_id() const { return kFirstSlotId + number * kSlotIds; }
};

class StateDirectory {
 public:
  // Empty `path`: the first that can be used of /run/cove (for root), $XDG_RUNTIME_DIR/cove and
  // /tmp/cove-UID. Refuses a directory that is not the caller's or that others may enter.
  static Result<StateDirectory> open(const std::string& path);

  // A free uid range, away from what /etc/subuid and /etc/subgid give to users.
  Result<Slot> take_slot(const std::string& sandbox_id);

  // The record, locked.
  Result<UniqueFd> write_record(const std::string& sandbox_id, const SandboxRecord& record);
  // The directory of records, for forget_sandbox.
  BorrowedFd records() const { return sandboxes_; }

  // Calls `clean` for each record that belongs to nobody; where it succeeds, clears the slot and
  // removes the record. Returns how many.
  Result<int> collect(const std::function<Result<void>(const SandboxRecord&)>& clean);

  BorrowedFd filter_cache() const { return filters_; }

 private:
  bool slot_is_dirty(BorrowedFd slots, std::uint32_t number);
  UniqueFd directory_, sandboxes_, filters_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>>
      foreign_ids_;  // [first, last], of subuid and subgid
};

// Takes a sandbox off the books, once nothing of it is left: clears its slot, where it has one, and
// removes its record. `slots`: the open file that holds the slot's lock.
void forget_sandbox(BorrowedFd records, const std::string& sandbox_id, BorrowedFd slots,
                    std::optional<std::uint32_t> slot);

// 26 characters of Crockford's base 32: 48 bits of milliseconds, 80 random ones. Sorts by time.
std::string make_sandbox_id();

}  // namespace cove
