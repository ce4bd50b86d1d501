// An OCI layout's directory as a Source. Documents are copied when they are asked for; layers by a
// process of their own, one after the other, while they are unpacked from where they are: whatever
// somebody writes there meanwhile, the copy is compared with its digest, and what is unpacked with
// its diff id.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cove/result.h"
#include "images/store/source.h"
#include "images/unpack/confined.h"
#include "runtime/kernel/fd.h"

namespace cove {

class DirectorySource : public Source {
 public:
  DirectorySource(const Store& store, const Staging& staging, KeepBlobs keep, UniqueFd directory,
                  std::uint64_t byte_limit)
      : Source(store, staging, keep), directory_(std::move(directory)), left_(byte_limit) {}

  bool has(const std::string& path) override { return static_cast<bool>(open_file(path)); }
  Result<Blob> take(const std::string& path, const std::string& digest) override;
  using Source::take;
  Result<UniqueFd> open(const Blob& blob) const override;
  Result<void> begun() override;
  Result<void> complete(const Blob& blob) override;

 protected:
  Result<Blob> begin(const Descriptor& layer) override;

 private:
  struct Copy {
    std::string path;
    UniqueFd from, to;
    Descriptor expected;
  };

  UniqueFd open_file(const std::string& path) const;
  Result<UniqueFd> open_for_copy(const std::string& path) const;
  std::string next_name();  // in staging
  static Result<Records> copy_all(const std::vector<Copy>& copies);

  UniqueFd directory_;
  std::uint64_t left_;
  int staged_ = 0;
  std::vector<Copy> waiting_;           // for begun()
  std::map<std::string, Blob> layers_;  // by digest
  std::optional<ConfinedProcess> copier_;
  std::optional<Result<Records>> copied_;  // digests, in the order of tickets
};

}  // namespace cove
