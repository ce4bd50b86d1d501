// What the program may do as its sandbox's root could, and what that would undo.
#include "runtime/model/capabilities.h"

#include <algorithm>

#include "runtime/plan/draft.h"

namespace cove {
namespace {

Error undone(const std::string& what, const std::string& hint) {
  return problem(ErrorCode::invalid_argument, "capabilities", "$.capabilities", what, hint);
}

// The filter looks at modes. These two leave a privileged program without one: setfcap by an
// extended attribute, which the kernel translates to the owner of a mount that is idmapped; fsetid
// by writing into a file that is setuid already.
void refuse_privileged_files(Draft& draft) {
  if (!draft.wanted(Protection::setuid_files) || !has_writable_bind(draft)) return;
  for (const char* name : {"setfcap", "fsetid"}) {
    if (!holds_capability(draft, name)) continue;
    draft.refuse(undone(std::string(name) +
                            " beside a writable bind mount could leave a program on the host that "
                            "runs with its owner's rights",
                        "mount it read-only, or say \"require\": {\"setuid_files\": \"off\"}"));
  }
}

// user.max_user_namespaces obeys whoever holds it; that /proc/sys is read-only stands before it.
void refuse_open_sysctls(Draft& draft) {
  if (!holds_capability(draft, "sys_resource")) return;
  if (draft.wanted(Protection::masked_paths)) return;
  if (!draft.wanted(Protection::nested_user_namespaces)) return;
  draft.refuse(undone("sys_resource and a writable /proc/sys could allow nested user namespaces",
                      "leave masked_paths on, or say \"require\": {\"nested_user_namespaces\": "
                      "\"off\"}"));
}

}  // namespace

void plan_capabilities(Draft& draft) {
  draft.plan.capabilities =
      granted_capabilities(draft.spec.capabilities.value_or(std::vector<std::string>{}));
  refuse_privileged_files(draft);
  refuse_open_sysctls(draft);
  std::string names;
  for (const std::string& name : draft.plan.capabilities)
    names += (names.empty() ? "" : ",") + name;
  draft.hold(Protection::capabilities, names.empty() ? "empty-sets" : "only:" + names);
}

bool holds_capability(const Draft& draft, std::string_view name) {
  const std::vector<std::string>& held = draft.plan.capabilities;
  return std::find(held.begin(), held.end(), name) != held.end();
}

}  // namespace cove
