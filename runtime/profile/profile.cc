#include "cove/profile.h"

#include "profiles/embedded.h"

namespace cove {

std::vector<ProfileInfo> list_profiles() {
  std::vector<ProfileInfo> list;
  for (const EmbeddedProfile& profile : embedded_profiles()) {
    list.push_back(
        {std::string(profile.kind), std::string(profile.name), std::string(profile.description)});
  }
  return list;
}

Result<std::string> profile_source(std::string_view kind, std::string_view name) {
  std::string known;
  for (const EmbeddedProfile& profile : embedded_profiles()) {
    if (profile.kind == kind && profile.name == name) return std::string(profile.json);
    known +=
        (known.empty() ? "" : ", ") + std::string(profile.kind) + " " + std::string(profile.name);
  }
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "profile";
  error.what = "there is no " + std::string(kind) + " profile named \"" + std::string(name) + "\"";
  error.hint = "the profiles are " + known;
  return fail(error);
}

}  // namespace cove
