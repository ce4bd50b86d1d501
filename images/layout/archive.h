// The outer archive: what `docker save` or `skopeo copy oci-archive:` wrote, plain or compressed,
// from a file or a pipe. One pass: every member goes to the staging directory under a number,
// hashed on the way.
//
// Member names are keys of a map and never paths of ours. Meant to run in a ConfinedProcess, whose
// Records are the members.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "cove/result.h"
#include "images/unpack/confined.h"
#include "images/unpack/layer.h"
#include "runtime/kernel/fd.h"

namespace cove {

struct Member {
  std::string digest;  // of its bytes; empty for a link
  std::uint64_t size = 0;
  std::string
      staged;  // file in the staging directory; empty: not copied, since the store has that blob
  std::string link;  // a link's target, as a member's name
};
using Members = std::map<std::string, Member>;

// `in_store` says whether a blob is there already, and its size: a member named blobs/sha256/<hex>
// is passed over then.
Result<Records> copy_members(BorrowedFd archive, BorrowedFd staging, const UnpackLimits& limits,
                             const std::function<bool(const std::string& digest)>& in_store);
Members members_from(const Records& records);

// The member that a name leads to, links followed. nullptr: none.
const Member* find_member(const Members& members, const std::string& name);

}  // namespace cove
