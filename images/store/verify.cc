#include "images/store/verify.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <map>
#include <optional>
#include <set>

#include "images/layout/sha256.h"
#include "images/store/mend.h"
#include "images/store/source.h"
#include "images/store/unpacker.h"
#include "images/store_index/files.h"
#include "images/unpack/compare.h"
#include "runtime/kernel/directory.h"

namespace cove {
namespace {

constexpr std::size_t kTold = 20;  // differences of one layer
constexpr std::size_t kPiece = 1024 * 1024;
constexpr std::chrono::milliseconds kPatience{100};  // with a launch that looks at a record

// Nothing where it cannot be read, with errno.
std::optional<std::string> digest_of_file(BorrowedFd top, const std::string& path) {
  const UniqueFd file(openat(top.number(), path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return {};
  Sha256 hash;
  std::vector<char> buffer(kPiece);
  for (;;) {
    const ssize_t got = read(file.number(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return {};
    if (got == 0) return hash.finish();
    hash.update({buffer.data(), static_cast<std::size_t>(got)});
  }
}

class Verifier {
 public:
  Verifier(const Store& store, const Staging& staging, Repair repair)
      : store_(store), staging_(staging), repair_(repair) {}

  Result<void> verify(const std::string& digest) {
    image_ = digest;
    ++verified_.images;
    const Result<ImageRecord> record = read_image_record(store_.directory(), digest);
    if (!record) return tell(record_path(digest), record.error().what);
    if (!sound(digest)) return {};
    const Result<StoredManifest> stored = store_.manifest_of(digest);
    if (!stored) return tell(blob_path(digest), stored.error().what);
    const Manifest& manifest = stored->manifest;
    std::vector<Blobs> blobs;
    for (const Descriptor& layer : manifest.layers) {
      const bool none = !record->keeps_blobs && !store_.has(blob_path(layer.digest));
      blobs.push_back(none ? Blobs::not_kept : sound(layer.digest) ? Blobs::sound : Blobs::damaged);
    }
    if (!sound(manifest.config.digest)) return {};
    const Result<Configuration> configuration = configuration_of(manifest.config.digest);
    if (!configuration) return fail(configuration.error());
    const std::vector<std::string>& diff_ids = configuration->diff_ids;
    for (std::size_t at = 0; at < diff_ids.size() && at < blobs.size(); ++at) {
      if (blobs[at] == Blobs::not_kept) look_for(diff_ids[at]);
      if (blobs[at] != Blobs::sound) continue;
      if (auto done = verify_layer(manifest.layers[at], diff_ids[at]); !done) return done;
    }
    return verify_mended(*record, diff_ids);
  }

  // A layer is the same in all images, and one of these may keep its blob.
  Verified take() {
    for (const std::string& diff_id : without_blob_) {
      if (!layers_.contains(diff_id)) verified_.unverifiable.push_back(layer_path(diff_id));
    }
    return std::move(verified_);
  }

 private:
  enum class Blobs { sound, damaged, not_kept };

  Result<void> tell(const std::string& where, const std::string& what, bool repaired = false) {
    verified_.damage.push_back({image_, where, what, repaired});
    return {};
  }

  // A blob, looked at once, however many images use it.
  bool sound(const std::string& digest) {
    const auto known = blobs_.find(digest);
    if (known != blobs_.end()) return known->second;
    ++verified_.blobs;
    const std::string path = blob_path(digest);
    const auto found = digest_of_file(store_.top(), path);
    const bool missing = !found && errno == ENOENT;
    const bool same = found == digest;
    if (!found) {
      (void)tell(path, missing ? "is missing" : "cannot be read");
    } else if (!same) {
      // So that the next load does not count on it.
      if (repair_ == Repair::yes) unlinkat(store_.top().number(), path.c_str(), 0);
      (void)tell(path, "has another content");
    }
    return blobs_[digest] = same;
  }

  Result<Configuration> configuration_of(const std::string& digest) const {
    Blob blob;
    blob.descriptor.digest = digest;
    const Result<std::string> text = StoredSource(store_, staging_).read(blob);
    if (!text) return fail(text.error());
    return parse_configuration(*text, digest);
  }

  // All that can be done for a layer without its blob.
  void look_for(const std::string& diff_id) {
    if (!without_blob_.insert(diff_id).second) return;
    if (!store_.has(layer_path(diff_id))) (void)tell(layer_path(diff_id), "is missing");
  }

  Result<void> verify_layer(const Descriptor& descriptor, const std::string& diff_id) {
    if (!layers_.insert(diff_id).second) return {};
    ++verified_.layers;
    StoredSource source(store_, staging_);
    UnpackLimits limits;
    limits.ratio = 0;  // whoever loaded it may have allowed more
    Unpacker unpacker(store_, staging_, source, limits);
    Blob blob;
    blob.descriptor = descriptor;
    const auto unpacked = unpacker.unpack_one(blob, diff_id, "layer " + diff_id);
    if (!unpacked && unpacked.error().code != ErrorCode::image_invalid)
      return fail(unpacked.error());
    if (!unpacked) return tell(layer_path(diff_id), unpacked.error().what);
    const UniqueFd expected = open_staged(unpacked->staged);
    if (!expected) return fail(io_error("open", unpacked->staged));
    const Result<std::string> implied = read_staged(unpacked->implied);
    if (!implied) return fail(implied.error());
    auto compared =
        compare(expected, unpacked->staged, layer_path(diff_id), implied_from(*implied));
    // The next layer of this image has the same names in staging.
    if (compared) clear(*unpacked);
    return compared;
  }

  // The layer of ours, if it has one.
  Result<void> verify_mended(const ImageRecord& record, const std::vector<std::string>& diff_ids) {
    std::vector<std::string> layers;
    for (const std::string& layer : record.layers) {
      if (std::find(diff_ids.begin(), diff_ids.end(), layer) != diff_ids.end())
        layers.push_back(layer);
    }
    const DirectoryTree tree = directories_of(layers, store_);
    if (tree.empty() || !layers_.insert(digest_of(tree)).second) return {};
    ++verified_.layers;
    const auto staged = stage_directories(tree, staging_);
    if (!staged) return fail(staged.error());
    const UniqueFd expected = open_staged(*staged);
    if (!expected) return fail(io_error("open", *staged));
    auto compared = compare(expected, *staged, layer_path(digest_of(tree)), {});
    if (compared) (void)remove_tree(staging_.directory(), staged->c_str());
    return compared;
  }

  Result<void> compare(BorrowedFd expected, const std::string& staged, const std::string& path,
                       const Implied& untimed) {
    const UniqueFd found(openat(store_.top().number(), path.c_str(),
                                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    std::vector<std::pair<std::string, std::string>> differences;
    if (!found) {
      differences.emplace_back(path, "is missing");
    } else {
      compare_trees(expected, found, untimed,
                    [&](const std::string& where, const std::string& what) {
                      differences.emplace_back(where.empty() ? path : path + "/" + where, what);
                    });
    }
    if (differences.empty()) return {};
    bool repaired = false;
    if (repair_ == Repair::yes) {
      const Result<FileLock> index = store_.lock_index();
      if (!index) return fail(index.error());
      const auto claims = claim_users_of(path);
      if (!claims) return fail(claims.error());
      if (*claims) {
        if (auto replaced = replace(staged, path, static_cast<bool>(found)); !replaced)
          return replaced;
        repaired = true;
      } else {
        verified_.in_use = true;
        (void)tell(path, "is not repaired while a sandbox runs from it");
      }
    }
    for (std::size_t at = 0; at < std::min(differences.size(), kTold); ++at)
      (void)tell(differences[at].first, differences[at].second, repaired);
    if (differences.size() > kTold)
      (void)tell(path, "and " + std::to_string(differences.size() - kTold) + " more", repaired);
    return {};
  }

  // All images that have the layer, so that no sandbox begins to run from it. None where one does.
  Result<std::optional<std::vector<FileLock>>> claim_users_of(const std::string& path) const {
    std::vector<FileLock> claims;
    for (const std::string& digest : digests_of(store_.directory())) {
      const Result<ImageRecord> record = read_image_record(store_.directory(), digest);
      const bool uses = record && std::any_of(record->layers.begin(), record->layers.end(),
                                              [&](const std::string& layer) {
                                                return layer_path(layer) == path;
                                              });
      if (!uses) continue;
      auto claim = store_.claim_image(digest, kPatience);
      if (!claim) return fail(claim.error());
      if (!*claim) continue;
      if (!(*claim)->held()) return std::nullopt;
      claims.push_back(std::move(**claim));
    }
    return claims;
  }

  Result<void> replace(const std::string& staged, const std::string& path, bool exists) {
    if (auto flushed = store_.flush(); !flushed) return flushed;
    const unsigned flags = exists ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    if (renameat2(staging_.directory().number(), staged.c_str(), store_.top().number(),
                  path.c_str(), flags) != 0)
      return fail(io_error("replace", path));
    return store_.flush_directory("layers");
  }

  UniqueFd open_staged(const std::string& name) const {
    return UniqueFd(openat(staging_.directory().number(), name.c_str(),
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  Result<std::string> read_staged(const std::string& name) const {
    const UniqueFd file(
        openat(staging_.directory().number(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!file) return fail(io_error("open", name));
    return read_regular(file, kImpliedCap, Oversize::refuse, name);
  }
  void clear(const Unpacker::Unpacked& unpacked) const {
    for (const std::string& name : {unpacked.staged, unpacked.implied})
      (void)remove_tree(staging_.directory(), name.c_str());
  }

  const Store& store_;
  const Staging& staging_;
  const Repair repair_;
  std::string image_;
  std::map<std::string, bool> blobs_;
  std::set<std::string> layers_, without_blob_;
  Verified verified_;
};

}  // namespace

Result<Verified> verify_store(const Store& store, Repair repair) {
  const Result<Staging> staging = store.stage();
  if (!staging) return fail(staging.error());
  Verifier verifier(store, *staging, repair);
  for (const std::string& digest : digests_of(store.directory())) {
    if (auto verified = verifier.verify(digest); !verified) return fail(verified.error());
  }
  return verifier.take();
}

}  // namespace cove
