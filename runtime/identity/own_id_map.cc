#include "runtime/identity/own_id_map.h"

#include <charconv>
#include <optional>

namespace cove {
namespace {

struct Extent {
  std::uint64_t inside = 0;
  std::uint64_t outside = 0;
  std::uint64_t count = 0;
};

std::optional<Extent> take_extent(std::string_view& map) {
  Extent extent;
  for (std::uint64_t* field : {&extent.inside, &extent.outside, &extent.count}) {
    const std::size_t start = map.find_first_not_of(" \t\n");
    if (start == std::string_view::npos) return std::nullopt;
    map.remove_prefix(start);
    const auto parsed = std::from_chars(map.data(), map.data() + map.size(), *field);
    if (parsed.ec != std::errc{}) return std::nullopt;
    map.remove_prefix(static_cast<std::size_t>(parsed.ptr - map.data()));
  }
  return extent;
}

}  // namespace

bool is_initial_id_map(std::string_view map) {
  const std::optional<Extent> extent = take_extent(map);
  return extent && extent->inside == 0 && extent->outside == 0 && extent->count == 4294967295;
}

bool maps_ids(std::string_view map, std::uint32_t first, std::uint32_t count) {
  while (const std::optional<Extent> extent = take_extent(map)) {
    if (extent->inside <= first && extent->inside + extent->count >= std::uint64_t{first} + count)
      return true;
  }
  return false;
}

bool maps_slot_ids(std::string_view map) {
  return maps_ids(map, kFirstSlotId, kEndOfSlotIds - kFirstSlotId);
}

std::uint32_t id_in_parent(std::string_view map, std::uint32_t id) {
  while (const std::optional<Extent> extent = take_extent(map)) {
    if (id >= extent->inside && id - extent->inside < extent->count)
      return static_cast<std::uint32_t>(extent->outside + (id - extent->inside));
  }
  return id;
}

}  // namespace cove
