#include "images/store/save.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "images/store/source.h"
#include "images/store_index/reference.h"

namespace cove {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kPiece = 1024 * 1024;

struct SavedImage {
  StoredManifest stored;
  std::vector<std::string> names;
};

Result<void> refuse_without_blobs(const Store& store, const StoredManifest& stored,
                                  const std::string& reference) {
  const std::vector<Descriptor>& layers = stored.manifest.layers;
  const auto missing = std::count_if(layers.begin(), layers.end(), [&](const Descriptor& layer) {
    return !store.has(blob_path(layer.digest));
  });
  if (missing == 0) return {};
  const Result<ImageRecord> record = read_image_record(store.directory(), stored.descriptor.digest);
  const bool dropped = record && !record->keeps_blobs;
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "image save";
  error.where = reference;
  error.what = dropped ? "was loaded with --no-keep-blobs: the blobs of its layers are not there"
                       : "the blobs of " + std::to_string(missing) + " of its layers are missing";
  error.hint = "load it once more, without --no-keep-blobs, from where it came; then save it";
  return fail(error);
}

// Images in the order in which they are named; of one with several names all of these.
Result<std::vector<SavedImage>> find_all(const Store& store,
                                         const std::vector<std::string>& references) {
  std::vector<SavedImage> images;
  std::vector<Error> mistakes;
  for (const std::string& reference : references) {
    const Result<ImageFacts> facts = find_image(store.directory(), reference);
    if (!facts) {
      mistakes.push_back(facts.error());
      continue;
    }
    auto image = std::find_if(images.begin(), images.end(), [&](const SavedImage& known) {
      return known.stored.descriptor.digest == facts->digest;
    });
    if (image == images.end()) {
      Result<StoredManifest> stored = store.manifest_of(facts->digest);
      if (!stored) return fail(stored.error());
      if (auto whole = refuse_without_blobs(store, *stored, reference); !whole) {
        mistakes.push_back(whole.error());
        continue;
      }
      image = images.insert(images.end(), {std::move(*stored), {}});
    }
    const Result<std::string> name = normal_name(reference);
    if (name && store.has(name_path(*name))) image->names.push_back(*name);
  }
  if (!mistakes.empty()) return fail(one_error(std::move(mistakes)));
  return images;
}

std::string dump(const ordered_json& document) {
  return document.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string tag_of(const std::string& name) { return name.substr(name.rfind(':') + 1); }

std::string index_text(const std::vector<SavedImage>& images) {
  ordered_json manifests = ordered_json::array();
  for (const SavedImage& image : images) {
    const Descriptor& descriptor = image.stored.descriptor;
    const ordered_json entry{{"mediaType", descriptor.media_type},
                             {"digest", descriptor.digest},
                             {"size", descriptor.size}};
    for (const std::string& name : image.names) {
      manifests.push_back(entry);
      manifests.back()["annotations"] = {{"io.containerd.image.name", full_name(name)},
                                         {"org.opencontainers.image.ref.name", tag_of(name)}};
    }
    if (image.names.empty()) manifests.push_back(entry);
  }
  return dump({{"schemaVersion", 2},
               {"mediaType", "application/vnd.oci.image.index.v1+json"},
               {"manifests", manifests}});
}

std::string docker_manifest_text(const std::vector<SavedImage>& images) {
  ordered_json all = ordered_json::array();
  for (const SavedImage& image : images) {
    ordered_json layers = ordered_json::array();
    for (const Descriptor& layer : image.stored.manifest.layers)
      layers.push_back(blob_path(layer.digest));
    all.push_back({{"Config", blob_path(image.stored.manifest.config.digest)},
                   {"RepoTags", image.names},
                   {"Layers", layers}});
  }
  return dump(all);
}

struct ArchiveFree {
  void operator()(archive* writer) const { archive_write_free(writer); }
};
struct EntryFree {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

class ArchiveWriter {
 public:
  ArchiveWriter(BorrowedFd out, std::string where)
      : writer_(archive_write_new()), where_(std::move(where)) {
    archive_write_set_format_pax_restricted(writer_.get());
    archive_write_set_bytes_per_block(writer_.get(), static_cast<int>(kPiece));
    archive_write_set_bytes_in_last_block(writer_.get(), 1);
    good_ = archive_write_open_fd(writer_.get(), out.number()) == ARCHIVE_OK;
  }

  Result<void> add(const std::string& path, const std::string& text) {
    return begin(path, text.size()) && write(text.data(), text.size()) ? Result<void>() : failed();
  }
  Result<void> add(const std::string& path, BorrowedFd file) {
    struct stat status {};
    if (fstat(file.number(), &status) != 0) return fail(io_error("look at", path));
    auto left = static_cast<std::size_t>(status.st_size);
    if (!begin(path, left)) return failed();
    std::vector<char> buffer(kPiece);
    while (left > 0) {
      const ssize_t got = read(file.number(), buffer.data(), std::min(left, buffer.size()));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return fail(io_error("read", path));
      if (!write(buffer.data(), static_cast<std::size_t>(got))) return failed();
      left -= static_cast<std::size_t>(got);
    }
    return {};
  }
  Result<void> close() {
    return good_ && archive_write_close(writer_.get()) == ARCHIVE_OK ? Result<void>() : failed();
  }

 private:
  bool begin(const std::string& path, std::size_t size) {
    const std::unique_ptr<archive_entry, EntryFree> entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), path.c_str());
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    archive_entry_set_mtime(entry.get(), 0, 0);
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
    good_ = good_ && archive_write_header(writer_.get(), entry.get()) == ARCHIVE_OK;
    return good_;
  }
  bool write(const char* bytes, std::size_t count) {
    good_ =
        good_ && archive_write_data(writer_.get(), bytes, count) == static_cast<la_ssize_t>(count);
    return good_;
  }
  Result<void> failed() const {
    errno = archive_errno(writer_.get());
    return fail(io_error("write", where_));
  }

  std::unique_ptr<archive, ArchiveFree> writer_;
  std::string where_;
  bool good_ = false;
};

Result<void> add_blob(const Store& store, const Descriptor& blob, ArchiveWriter& archive) {
  const std::string path = blob_path(blob.digest);
  const UniqueFd file(
      openat(store.top().number(), path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return fail(io_error("open", path));
  return archive.add(path, file);
}

}  // namespace

Result<void> save_images(const Store& store, const std::vector<std::string>& references,
                         BorrowedFd out, const std::string& where) {
  const Result<std::vector<SavedImage>> images = find_all(store, references);
  if (!images) return fail(images.error());
  ArchiveWriter archive(out, where);
  // What leads to the rest comes first, for readers that see the archive once.
  for (const auto& [path, text] :
       {std::pair<std::string, std::string>{"oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}"},
        {"index.json", index_text(*images)},
        {"manifest.json", docker_manifest_text(*images)}}) {
    if (auto added = archive.add(path, text); !added) return added;
  }
  std::set<std::string> written;
  for (const SavedImage& image : *images) {
    std::vector<Descriptor> blobs{image.stored.descriptor, image.stored.manifest.config};
    blobs.insert(blobs.end(), image.stored.manifest.layers.begin(),
                 image.stored.manifest.layers.end());
    for (const Descriptor& blob : blobs) {
      if (!written.insert(blob.digest).second) continue;
      if (auto added = add_blob(store, blob, archive); !added) return added;
    }
  }
  return archive.close();
}

}  // namespace cove
