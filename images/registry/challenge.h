// What a registry says in WWW-Authenticate (RFC 9110, section 11.6.1). Pure functions on hostile
// text.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace cove {

struct Challenge {
  std::string scheme;                             // lower-case: "bearer", "basic"
  std::map<std::string, std::string> parameters;  // names in lower-case
};

// The challenges of one header, in order. What cannot be read ends the list.
std::vector<Challenge> parse_challenges(std::string_view header);

}  // namespace cove
