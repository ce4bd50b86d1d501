// The small file that a launch reads, one per image, and the paths of everything below the store's
// top.
//
//   images/digests/<hex>.json          ImageRecord; locked (flock, shared) by whoever uses the image
//   images/names/<escaped name>.json   symbolic link to ../digests/<hex>.json
//   images/transports/<key>.json       TransportRecord: an archive that was loaded, as it was then
//   ids.json                           StoreIds
//
// Written by cove-image (stage, fsync, rename), read by everybody. The store's top is 0700 and
// ours, so records are trusted; they are checked all the same, since digests become paths.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cove/facts.h"
#include "cove/result.h"
#include "images/store_index/reference.h"

namespace cove {

inline constexpr int kRecordVersion = 2;
inline constexpr std::size_t kRecordCap = 4 * 1024 * 1024;
// A record's time of modification is that of the image's last use. A launch does not write it again
// for so long.
inline constexpr std::int64_t kUseNotedSeconds = 60;

// Which ids the files of a store's layers have. Settled when the store is made.
struct StoreIds {
  LayerIds kind = LayerIds::image;
  std::optional<SubordinateIds> subordinate;  // LayerIds::subordinate only

  bool operator==(const StoreIds&) const = default;
};
inline constexpr const char* kIdsFile = "ids.json";  // StoreIds, in the store's top

struct ImageRecord {
  std::string digest;               // of the manifest, "sha256:..."
  std::vector<std::string> layers;  // diff ids, "sha256:...", the lowest first; none twice
  std::uint64_t size = 0;           // bytes of all blobs of the image
  std::uint64_t layer_count = 0;    // as the image counts them
  std::string created;              // as its configuration says, may be empty
  bool keeps_blobs = true;          // else it can do without its layers' blobs
  ImageConfig config;
  std::string passwd, group;
  StoreIds ids;
};

// An archive or layout as it was when it was loaded.
struct TransportRecord {
  std::string selector;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0, changed_ns = 0;  // st_mtim, st_ctim
  std::string digest;                            // of the image that it gave
  std::vector<std::string> names;                // and the names that it gave to it
};

std::string to_text(const StoreIds& ids);
Result<StoreIds> store_ids_from(std::string_view text, const std::string& file);
std::string to_text(const ImageRecord& record);
std::string to_text(const TransportRecord& record);
Result<ImageRecord> image_record_from(std::string_view text, const std::string& file);
Result<TransportRecord> transport_record_from(std::string_view text, const std::string& file);

// Paths relative to the store's top.
std::string record_path(std::string_view digest);
std::string name_path(std::string_view normal_name);
std::string layer_path(std::string_view diff_id);
std::string implied_path(std::string_view diff_id);
std::string blob_path(std::string_view digest);
std::string transport_path(const Transport& transport, const struct stat& file);
std::string daemon_path(std::string_view id);  // of an image that a daemon gave
// The inverse of name_path's last part; empty for a file that is no name.
std::string name_of_file(std::string_view file);

// Fills in what identifies the state of a file.
void stamp(TransportRecord& record, const struct stat& file);
bool same_stamp(const TransportRecord& record, const struct stat& file);

// The file whose state stands for a transport: the archive itself, or the layout's index.json.
std::string stamped_file(const Transport& transport);

// An image by its full digest, its name unset.
Result<ImageRecord> read_image_record(const std::string& store, std::string_view digest);
ImageFacts facts_of(const ImageRecord& record, const std::string& store, std::string_view name);

// All names of a store, sorted; and the digests of all its records.
std::vector<std::string> names_of(const std::string& store);
std::vector<std::string> digests_of(const std::string& store);

}  // namespace cove
