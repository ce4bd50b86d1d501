// What the program may do as its sandbox's root could, and what that would undo.
#include "runtime/model/capabilities.h"

#include <algorithm>

#include "runtime/plan/draft.h"

namespace cove {
namespace {

Error undone(const std::string& what, const std::string& hint) {
  return problem(ErrorCode::invalid_argument, "capabilities", "$.capabilities", what, hint);
}

// The filter looks at modes, and capabilities of a file are an extended attribute. The kernel
// translates its owner through a mount that is idmapped: in a directory of the host's root they
// would hold on the host.
void refuse_privileged_files(Draft& draft) {
  if (!holds_capability(draft, "setfcap")) return;
  if (!draft.wanted(Protection::setuid_files) || !has_writable_bind(draft)) return;
  draft.refuse(
      undone("setfcap beside a writable bind mount could leave a privileged program on the host",
             "mount it read-only, or say \"require\": {\"setuid_files\": \"off\"}"));
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
