// A plain user's mapping of many ids: the caller's own, and the subordinate ones that the host lends
// it (subuid(5), subgid(5)).
//
//   inside             on the host
//   0 to 999           the first 1000 subordinate ids
//   1000               the caller
//   1001 to 65535      the rest of them
//
// It is one mapping for all that belongs to a user, the layers of the image store and every sandbox,
// since a plain user cannot idmap a mount. So files of the caller's that are mounted into a sandbox
// belong to its default user there.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "cove/facts.h"
#include "cove/result.h"
#include "runtime/identity/id_map.h"

namespace cove {

inline constexpr std::uint32_t kOwnId = 1000;  // the caller, inside
inline constexpr std::uint32_t kMappedIds = 65536;

// The map of a user namespace whose parent has that mapping, and which has the same.
IdMap same_subordinate_ids();

// The first of 65,535 ids that a text in the form of /etc/subuid gives to the user, by name or
// number; nothing where no line of it gives that many.
std::optional<std::uint32_t> first_subordinate_id(std::string_view text, std::string_view user,
                                                  std::uint32_t uid);

// The login name of `uid` in a text in the form of /etc/passwd; empty where it has none.
std::string_view user_name_of(std::string_view passwd, std::uint32_t uid);

// Moves this process, which must be single-threaded, into a new user namespace with that mapping,
// in which it keeps its id (kOwnId now) and gets all capabilities; `flags`: of more namespaces, for
// unshare(2). newuidmap(1) and newgidmap(1) write the maps, since only they may. Error:
// isolation_unavailable; the process may be in the new namespaces by then, without a map.
Result<void> enter_subordinate_ids(const SubordinateIds& ids, int flags);

}  // namespace cove
