// Which of the images in a source is meant, and all that belongs to it, complete and compared with
// its digests.
#pragma once

#include <string>
#include <vector>

#include "cove/result.h"
#include "images/layout/byte_source.h"
#include "images/layout/documents.h"
#include "images/store/source.h"
#include "images/store/store.h"
#include "images/store_index/reference.h"

namespace cove {

// The image that was chosen, complete and checked, not yet unpacked.
struct Selected {
  Descriptor manifest;
  Configuration configuration;
  std::vector<std::string> names;
  std::vector<Blob> blobs;   // all of it: manifest, config and layers
  std::vector<Blob> layers;  // lowest first
};

// `transport` says what form the source has (`file`: what it holds is found out), and by its
// selector which image. Not for a registry, which has no list of images.
Result<Selected> select_image(Source& source, const Staging& staging, const Transport& transport,
                              const Platform& platform);

// The same in two steps, for who begins with a manifest or an index: an image's documents, below the
// indexes that lead to it, and all that they name.
struct Documents {
  Blob manifest_blob, config_blob;
  Manifest manifest;
  Configuration configuration;
};
Result<Documents> follow_indexes(Source& source, Descriptor top, const Platform& platform);
Result<Selected> select_layers(Source& source, Documents documents);

// For images that bring no manifest: one is made, in staging.
std::string layer_media_type(Compression compression);
Result<Blob> stage_manifest(const Staging& staging, const Descriptor& config,
                            const std::vector<Descriptor>& layers);

}  // namespace cove
