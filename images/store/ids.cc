#include "images/store/ids.h"

#include <fcntl.h>

#include <utility>

#include "cove/host.h"
#include "images/store_index/files.h"
#include "runtime/identity/subordinate_ids.h"

namespace cove {
namespace {

// Nothing where there is no store yet.
Result<std::optional<StoreIds>> read_ids(const std::string& directory) {
  const std::string path = directory + "/" + kIdsFile;
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) return std::optional<StoreIds>();
  const Result<std::string> text = read_regular(file, kRecordCap, Oversize::refuse, path);
  if (!text) return fail(text.error());
  const Result<StoreIds> ids = store_ids_from(*text, path);
  if (!ids) return fail(ids.error());
  return std::optional<StoreIds>(*ids);
}

StoreIds best_ids(const HostFacts& host) {
  if (host.privileged) return {LayerIds::image, {}};
  if (host.subordinate_ids) return {LayerIds::subordinate, host.subordinate_ids};
  return {LayerIds::caller, {}};
}

Error lost_ids(const std::string& directory, const HostFacts& host) {
  Error error;
  error.code = ErrorCode::isolation_unavailable;
  error.step = "image store";
  error.where = directory;
  error.what = "was made with subordinate ids that this user has no more";
  if (!host.subordinate_ids_reason.empty()) error.what += ": " + host.subordinate_ids_reason;
  error.hint = "put them back, or choose another --store";
  return error;
}

}  // namespace

Result<StoreIds> ids_of_caller() {
  const Result<HostFacts> host = gather_host_facts();
  if (!host) return fail(host.error());
  return StoreIds{host->privileged ? LayerIds::image : LayerIds::caller, {}};
}

Result<StoreIds> settle_store_ids(const std::string& directory) {
  const Result<HostFacts> host = gather_host_facts();
  if (!host) return fail(host.error());
  const Result<std::optional<StoreIds>> known = read_ids(directory);
  if (!known) return fail(known.error());
  const StoreIds ids = known->value_or(best_ids(*host));
  if (ids.kind != LayerIds::subordinate) return ids;
  if (ids.subordinate != host->subordinate_ids) return fail(lost_ids(directory, *host));
  if (Result<void> entered = enter_subordinate_ids(*ids.subordinate, 0); !entered)
    return fail(entered.error());
  return ids;
}

}  // namespace cove
