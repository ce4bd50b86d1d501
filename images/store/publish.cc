#include "images/store/publish.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "images/store/mend.h"
#include "images/store_index/files.h"
#include "images/store_index/reference.h"
#include "images/unpack/merged.h"

namespace cove {
namespace {

// The layers as they are to be stacked. Of equal layers the topmost stays (overlayfs takes no
// directory twice, and it hides all that the lower one shows); below a layer with an opaque root
// there is nothing to be seen.
std::vector<std::string> stack(const std::vector<std::string>& diff_ids, const Store& store) {
  std::vector<std::string> layers;
  for (auto diff_id = diff_ids.rbegin(); diff_id != diff_ids.rend(); ++diff_id) {
    if (std::find(layers.begin(), layers.end(), *diff_id) != layers.end()) continue;
    layers.push_back(*diff_id);
    if (hides_layers_below(store.path(layer_path(*diff_id)))) break;
  }
  std::reverse(layers.begin(), layers.end());
  return layers;
}

ImageRecord make_record(const Selected& selected, const Store& store,
                        std::vector<std::string> layers) {
  ImageRecord record;
  record.digest = selected.manifest.digest;
  record.layers = std::move(layers);
  record.layer_count = selected.configuration.diff_ids.size();
  record.created = selected.configuration.created;
  record.config = selected.configuration.config;
  record.size = packed_size(selected);
  std::vector<std::string> directories;
  for (const std::string& layer : record.layers)
    directories.push_back(store.path(layer_path(layer)));
  record.passwd = read_merged_file(directories, "etc/passwd");
  record.group = read_merged_file(directories, "etc/group");
  record.ids = store.ids();
  return record;
}

// All, or all but the layers'.
std::vector<Blob> blobs_to_keep(const Selected& selected, KeepBlobs keep) {
  std::vector<Blob> blobs = selected.blobs;
  if (keep == KeepBlobs::yes) return blobs;
  std::erase_if(blobs, [&](const Blob& blob) {
    return std::any_of(selected.layers.begin(), selected.layers.end(), [&](const Blob& layer) {
      return layer.descriptor.digest == blob.descriptor.digest;
    });
  });
  return blobs;
}

// Content first, one syncfs, then the names that lead to it.
Result<ImageRecord> publish(const Store& store, const Staging& staging, const Selected& selected,
                            const Unpacker& unpacker, KeepBlobs keep,
                            const std::vector<std::string>& names) {
  if (Result<void> flushed = store.flush(); !flushed) return fail(flushed.error());
  for (const Blob& blob : blobs_to_keep(selected, keep)) {
    if (blob.staged.empty()) continue;
    const Result<void> moved =
        store.publish(staging, blob.staged, blob_path(blob.descriptor.digest));
    // Two descriptors may share one blob: the second time it is not in staging any more.
    if (!moved && moved.error().sys_errno == ENOENT && store.has(blob_path(blob.descriptor.digest)))
      continue;
    if (!moved) return fail(moved.error());
  }
  for (const Unpacker::Unpacked& layer : unpacker.unpacked()) {
    Result<void> moved = store.publish(staging, layer.implied, implied_path(layer.diff_id));
    if (moved) moved = store.publish(staging, layer.staged, layer_path(layer.diff_id));
    if (!moved) return fail(moved.error());
  }
  for (const char* name : {"blobs/sha256", "implied", "layers"}) {
    if (auto flushed = store.flush_directory(name); !flushed) return fail(flushed.error());
  }
  std::vector<std::string> layers = stack(selected.configuration.diff_ids, store);
  if (auto mended = mend_directories(layers, store, staging); !mended) return fail(mended.error());
  ImageRecord record = make_record(selected, store, std::move(layers));
  record.keeps_blobs = keep == KeepBlobs::yes;
  const Result<FileLock> lock = store.lock_index();
  if (!lock) return fail(lock.error());
  if (Result<void> put = store.put_image(record, selected.manifest, names); !put)
    return fail(put.error());
  return record;
}

bool has_name(const Store& store, const std::string& name, const std::string& digest) {
  const Result<ImageFacts> facts = find_image(store.directory(), name);
  return facts && facts->digest == digest;
}

}  // namespace

Result<LoadResult> publish_image(const Store& store, const Staging& staging,
                                 const Selected& selected, const Unpacker& unpacker, KeepBlobs keep,
                                 const std::vector<std::string>& names) {
  const Result<ImageRecord> record = publish(store, staging, selected, unpacker, keep, names);
  if (!record) return fail(record.error());
  LoadResult result;
  result.names = names;
  result.digest = record->digest;
  result.layers = record->layer_count;
  result.size = record->size;
  for (const auto& [text, count] : unpacker.notes())
    result.notes.push_back(text + ": " + std::to_string(count));
  return result;
}

Result<void> name_image(const Store& store, const ImageRecord& record,
                        const std::vector<std::string>& names) {
  const bool named = std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    return has_name(store, name, record.digest);
  });
  const Result<ImageRecord> known = read_image_record(store.directory(), record.digest);
  if (named && known && known->keeps_blobs == record.keeps_blobs) {
    // That it was used is all there is to say; on a store that is read-only it stays unsaid.
    utimensat(store.top().number(), record_path(record.digest).c_str(), nullptr, 0);
    return {};
  }
  const Result<StoredManifest> manifest = store.manifest_of(record.digest);
  if (!manifest) return fail(manifest.error());
  const Result<FileLock> lock = store.lock_index();
  if (!lock) return fail(lock.error());
  return store.put_image(record, manifest->descriptor, names);
}

std::uint64_t packed_size(const Selected& selected) {
  std::uint64_t size = 0;
  std::set<std::string> counted;
  for (const Blob& blob : selected.blobs) {
    if (counted.insert(blob.descriptor.digest).second) size += blob.descriptor.size;
  }
  return size;
}

std::optional<ImageRecord> complete_image(const std::string& store, const std::string& digest,
                                          KeepBlobs keep) {
  if (!is_digest(digest)) return {};
  const auto there = [&](const std::string& relative) {
    return access((store + "/" + relative).c_str(), F_OK) == 0;
  };
  Result<ImageRecord> image = read_image_record(store, digest);
  if (!image) return {};
  const std::string path = store + "/" + blob_path(digest);
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return {};
  const Result<std::string> text = read_regular(file, kDocumentCap, Oversize::refuse, path);
  const Result<Manifest> manifest = parse_manifest(text.value_or(std::string()), "", digest);
  const bool complete =
      manifest && there(blob_path(manifest->config.digest)) &&
      (keep == KeepBlobs::no ||
       std::all_of(manifest->layers.begin(), manifest->layers.end(),
                   [&](const Descriptor& layer) { return there(blob_path(layer.digest)); })) &&
      std::all_of(image->layers.begin(), image->layers.end(),
                  [&](const std::string& layer) { return there(layer_path(layer)); });
  if (!complete) return {};
  image->keeps_blobs = keep == KeepBlobs::yes;
  return std::move(*image);
}

}  // namespace cove
