// What /proc/self/uid_map and gid_map say of the user namespace that this process is in
// (user_namespaces(7)).
#pragma once

#include <cstdint>
#include <string_view>

namespace cove {

// The ids from which sandboxes get their ranges, one slot of 65536 each: above what login, subuid
// and nspawn hand out, below the foreign ranges of systemd. The 65536 behind them are of the processes
// that unpack images for root.
inline constexpr std::uint32_t kFirstSlotId = 0x70000000;
inline constexpr std::uint32_t kEndOfSlotIds = 0x7FFD0000;
inline constexpr std::uint32_t kFirstUnpackId = kEndOfSlotIds;

// True for the initial user namespace: every id maps to itself.
bool is_initial_id_map(std::string_view map);

// True where one line of the map covers `count` ids from `first` on: the kernel lends no others to a
// namespace below.
bool maps_ids(std::string_view map, std::uint32_t first, std::uint32_t count);

// The same of all slot ids. A container's root, with its 65536 ids, may
// have every capability and still cannot give a sandbox a range of its own.
bool maps_slot_ids(std::string_view map);

// What the namespace's parent calls an id; the id itself where it is not mapped.
std::uint32_t id_in_parent(std::string_view map, std::uint32_t id);

}  // namespace cove
