// Which of the images in a source is meant, and all that belongs to it, complete and compared with
// its digests.
#pragma once

#include <string>
#include <vector>

#include "cove/result.h"
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
// selector which image.
Result<Selected> select_image(Source& source, const Staging& staging, const Transport& transport);

}  // namespace cove
