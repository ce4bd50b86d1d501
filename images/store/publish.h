// The last step of every way into the store: what is complete and unpacked in staging goes to its
// place, gets its record, and its names. And its counterpart: what is there already.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cove/result.h"
#include "images/store/load.h"
#include "images/store/select.h"
#include "images/store/store.h"
#include "images/store/unpacker.h"

namespace cove {

// With the content locked (shared). `unpacker` has unpacked what is selected.
Result<LoadResult> publish_image(const Store& store, const Staging& staging,
                                 const Selected& selected, const Unpacker& unpacker, KeepBlobs keep,
                                 const std::vector<std::string>& names);

// Names for an image that is there, unless it has them all; that it was used is written down.
Result<void> name_image(const Store& store, const ImageRecord& record,
                        const std::vector<std::string>& names);

// Bytes of the blobs that belong to it.
std::uint64_t packed_size(const Selected& selected);

// The image with this digest, if the store (its directory) has every part of it that is to be kept;
// as it is to be from now on.
std::optional<ImageRecord> complete_image(const std::string& store, const std::string& digest,
                                          KeepBlobs keep);

}  // namespace cove
