// Users and groups as an image's own /etc/passwd and /etc/group have them (passwd(5), group(5)).
//
// Both texts and the image's USER are hostile: nothing here reads a file, asks libnss, or trusts a
// number. An id is decimal digits and at most 65535, since that is all a sandbox maps; what starts
// like a number and does not end like one is refused, never taken for a name (CVE-2024-40635:
// "2147483648+" became root).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cove/result.h"

namespace cove {

struct UserIdentity {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups;  // supplementary, without `gid`
  std::string home;                   // absolute, or empty where there is no usable entry
};

// `user_spec` is "name", "uid", "name:group" or "uid:gid". Lines that break the format are skipped,
// the first match wins. Supplementary groups are those that list the user's name, at most 64, and
// none where a group is given (Docker's rule). A uid without an entry gets the gid of the same
// number. Docker gives it gid 0, which opens whatever an image keeps for its root group.
//
// Errors: invalid_argument, with some of the names that are known.
Result<UserIdentity> find_user(std::string_view user_spec, std::string_view passwd,
                               std::string_view group);

}  // namespace cove
