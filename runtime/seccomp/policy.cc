#include "runtime/seccomp/policy.h"

#include "runtime/seccomp/cove_policy.h"
#include "runtime/seccomp/docker_policy.h"
#include "runtime/seccomp/document.h"

namespace cove {

Result<Policy> parse_policy(std::string_view json, const Circumstances& circumstances) {
  DocumentReader document;
  Policy policy;
  if (const auto parsed = document.parse(json)) {
    policy = parsed->is_object() && parsed->contains("defaultAction")
                 ? policy_of(read_docker_profile(document, *parsed, circumstances))
                 : read_cove_policy(document, *parsed);
  }
  if (const auto mistakes = document.mistakes()) return fail(*mistakes);
  return policy;
}

}  // namespace cove
