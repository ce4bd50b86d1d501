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

Error foreign_store(const Draft& draft, std::string what, std::string hint) {
  return problem(ErrorCode::image_invalid, "image", draft.image.name, std::move(what),
                 std::move(hint));
}

// A plain user has one mapping for the layers of its store and for its sandboxes; which one, was
// settled when the store was made.
IdMapping choose_mapping(Draft& draft) {
  const HostFacts& host = draft.host;
  const ImageFacts& image = draft.image;
  const bool of_a_plain_user =
      image.layer_ids == LayerIds::caller || image.layer_ids == LayerIds::subordinate;
  if (host.privileged) {
    if (of_a_plain_user) {
      draft.refuse(foreign_store(draft, "it lies in the store of a plain user",
                                 "load it as root, or run it as that user"));
    }
    return IdMapping::range;
  }
  if (image.layer_ids == LayerIds::caller) return IdMapping::single;
  if (image.layer_ids == LayerIds::subordinate && image.subordinate_ids != host.subordinate_ids) {
    draft.refuse(foreign_store(
        draft,
        "it was loaded with subordinate ids that this user has no more" +
            (host.subordinate_ids_reason.empty() ? "" : ": " + host.subordinate_ids_reason),
        "put them back, or load it into another store (--store DIR)"));
  }
  return host.subordinate_ids ? IdMapping::subordinate : IdMapping::single;
}

}  // namespace

void plan_identity(Draft& draft) {
  const UserIdentity user = choose_user(draft);
  IdentityPlan& identity = draft.plan.identity;
  identity.mapping = choose_mapping(draft);
  identity.uid = user.uid;
  identity.gid = user.gid;
  // Without a range there is no other id to be in a group of.
  if (identity.mapping != IdMapping::single) identity.groups = user.groups;
  identity.home = user.home;
  if (identity.home.empty()) identity.home = uses_default_workdir(draft) ? kDefaultWorkdir : "/tmp";
}

}  // namespace cove
