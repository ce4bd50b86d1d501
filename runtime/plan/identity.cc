// Who the payload is, inside and outside.
#include "runtime/identity/passwd.h"
#include "runtime/plan/draft.h"

namespace cove {
namespace {

constexpr std::uint32_t kDefaultId = 1000;

// "root" needs no entry: images without /etc/passwd exist, and its ids are the kernel's own.
Result<UserIdentity> resolve(const Draft& draft, const std::string& user) {
  Result<UserIdentity> found = find_user(user, draft.image.passwd, draft.image.group);
  if (!found && user == "root") return UserIdentity{0, 0, {}, "/root"};
  return found;
}

// The spec's user may be root. An image's may not: most name none, and mean nothing by it.
UserIdentity choose_user(Draft& draft) {
  const UserIdentity unprivileged{kDefaultId, kDefaultId, {}, {}};
  if (draft.spec.user) {
    const Result<UserIdentity> found = resolve(draft, *draft.spec.user);
    if (found) return *found;
    Error error = found.error();
    error.where = "$.user";
    draft.refuse(std::move(error));
    return unprivileged;
  }
  if (draft.image.config.user.empty()) return unprivileged;
  const Result<UserIdentity> found = resolve(draft, draft.image.config.user);
  if (found) return found->uid == 0 ? unprivileged : *found;
  Error error = found.error();
  error.code = ErrorCode::image_invalid;
  error.where = "the image's USER";
  error.hint = "name another user: --user; " + error.hint;
  draft.refuse(std::move(error));
  return unprivileged;
}

}  // namespace

void plan_identity(Draft& draft) {
  const UserIdentity user = choose_user(draft);
  IdentityPlan& identity = draft.plan.identity;
  identity.mapping = draft.host.privileged ? IdMapping::range : IdMapping::single;
  identity.uid = user.uid;
  identity.gid = user.gid;
  // Without a range there is no other id to be in a group of.
  if (draft.host.privileged) identity.groups = user.groups;
  identity.home = user.home;
  if (identity.home.empty()) identity.home = uses_default_workdir(draft) ? kDefaultWorkdir : "/tmp";
}

}  // namespace cove
