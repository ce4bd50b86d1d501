// A repository of a registry as a Source: manifests and configurations are fetched when they are
// asked for; layers come while others are unpacked already.
#pragma once

#include <map>
#include <string>

#include "cove/result.h"
#include "images/registry/fetcher.h"
#include "images/store/source.h"

namespace cove {

class RegistrySource : public Source {
 public:
  RegistrySource(const Store& store, const Staging& staging, KeepBlobs keep, Fetcher fetcher,
                 std::uint64_t byte_limit)
      : Source(store, staging, keep), fetcher_(std::move(fetcher)), left_(byte_limit) {}

  // What the tag or digest stands for: an index or a manifest, which take() has at hand then.
  Result<Descriptor> resolve(const std::string& version);

  bool has(const std::string&) override { return false; }
  Result<Blob> take(const std::string& path, const std::string& digest) override;
  Result<Blob> take(const Descriptor& descriptor) override;
  Result<void> complete(const Blob& blob) override;

 protected:
  Result<Blob> begin(const Descriptor& layer) override;

 private:
  Result<Blob> keep(const Document& document, const Descriptor& descriptor);

  Fetcher fetcher_;
  std::uint64_t left_;  // bytes that may still be fetched
  std::map<std::string, Blob> taken_;
  std::map<Fetcher::Ticket, Result<void>> completed_;
};

}  // namespace cove
