// Loading: from an archive, a pipe, an OCI layout or a registry into the store.
//
// Hostile bytes are decompressed and untarred in confined processes only; manifests and
// configurations (JSON, capped) are read here. Everything is compared with its digest before
// anything is published, and nothing is named before its layers are complete.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cove/result.h"
#include "images/layout/platform.h"
#include "images/registry/endpoints.h"
#include "images/registry/fetcher.h"
#include "images/store/progress.h"
#include "images/store/store.h"
#include "images/store_index/record.h"
#include "images/unpack/layer.h"

namespace cove {

struct LoadOptions {
  std::string store;
  std::string reference;  // a transport, a path, or "-": an archive on standard input
  std::string name;       // in place of the names that the image brings
  Platform platform = host_platform();
  KeepBlobs keep_blobs = KeepBlobs::yes;
  UnpackLimits limits;
  ProgressSink progress;  // none: nobody looks
  RegistrySettings registries;
  FetchSettings fetch;
  StoreIds ids;  // settle_store_ids (ids.h), or ids_of_caller
};

struct LoadResult {
  std::string digest;
  std::vector<std::string> names;
  std::uint64_t layers = 0;
  std::uint64_t size = 0;       // bytes of the image's blobs
  bool already_loaded = false;  // nothing was unpacked: an unchanged archive, a known manifest
  std::vector<std::string> notes;
};

// The caller must have a single thread (confined.h). Errors: image_not_found, image_invalid,
// invalid_argument, permission_denied, resource_exhausted, setup_failed, network_failed.
Result<LoadResult> load_image(const LoadOptions& options);

}  // namespace cove
