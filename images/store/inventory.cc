#include "images/store/inventory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "images/layout/documents.h"
#include "images/store/disk_space.h"
#include "images/store/listed_blobs.h"
#include "images/store/source.h"
#include "images/store_index/files.h"
#include "runtime/kernel/directory.h"

namespace cove {
namespace {

constexpr std::size_t kSizeCap = 32;

std::string size_path(const std::string& hex) { return "sizes/" + hex; }

std::vector<std::string> list(BorrowedFd top, const char* path) {
  const UniqueFd directory(openat(top.number(), path, O_PATH | O_DIRECTORY | O_CLOEXEC));
  return directory ? names_in(directory).value_or(std::vector<std::string>{})
                   : std::vector<std::string>{};
}

Result<std::string> read_in(BorrowedFd top, const std::string& path, std::size_t cap) {
  const UniqueFd file(openat(top.number(), path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return fail(io_error("open", path));
  return read_regular(file, cap, Oversize::refuse, path);
}

std::optional<std::uint64_t> known_size(BorrowedFd top, const std::string& hex) {
  const std::string text = read_in(top, size_path(hex), kSizeCap).value_or("");
  std::uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  if (error != std::errc() || *end != '\n') return std::nullopt;
  return bytes;
}

// In one write, and read only whole: with its newline. Where it cannot be kept, it is measured again.
void remember_size(BorrowedFd top, const std::string& hex, std::uint64_t bytes) {
  const UniqueFd file(openat(top.number(), size_path(hex).c_str(),
                             O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  const std::string text = std::to_string(bytes) + "\n";
  if (file && write(file.number(), text.data(), text.size()) < 0)
    unlinkat(top.number(), size_path(hex).c_str(), 0);
}

Result<std::uint64_t> layer_size(BorrowedFd top, const std::string& hex) {
  if (const auto known = known_size(top, hex)) return *known;
  const Result<std::uint64_t> bytes = bytes_on_disk(top, "layers/" + hex);
  if (bytes) remember_size(top, hex, *bytes);
  return bytes;
}

class Stocktaker {
 public:
  Stocktaker(const std::string& directory, BorrowedFd top) : directory_(directory), top_(top) {}

  Result<Inventory> take() {
    if (Result<void> weighed = weigh(); !weighed) return fail(weighed.error());
    std::map<std::string, std::vector<std::string>> names;
    for (const std::string& name : names_of(directory_)) {
      const Result<ImageFacts> facts = find_image(directory_, name);
      if (facts) names[facts->digest].push_back(name);
    }
    for (const std::string& digest : digests_of(directory_)) {
      Result<ImageRecord> record = read_image_record(directory_, digest);
      if (!record && record.error().sys_errno == ENOENT) continue;  // removed just now
      if (!record) return fail(record.error());
      add(std::move(*record), std::move(names[digest]));
    }
    if (Result<void> foreign = find_foreign(); !foreign) return fail(foreign.error());
    return std::move(inventory_);
  }

 private:
  Result<void> weigh() {
    struct stat status {};
    for (const std::string& hex : list(top_, "blobs/sha256")) {
      const std::string path = "blobs/sha256/" + hex;
      if (fstatat(top_.number(), path.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0)
        inventory_.content[path] = allocated_bytes(status);
    }
    for (const std::string& hex : list(top_, "layers")) {
      const Result<std::uint64_t> bytes = layer_size(top_, hex);
      if (!bytes && bytes.error().sys_errno == ENOENT) continue;
      if (!bytes) return fail(bytes.error());
      inventory_.content["layers/" + hex] = *bytes;
    }
    return {};
  }

  void add(ImageRecord record, std::vector<std::string> names) {
    InventoriedImage image{std::move(record), std::move(names), {}, {}};
    struct stat status {};
    const std::string path = record_path(image.record.digest);
    if (fstatat(top_.number(), path.c_str(), &status, 0) == 0)
      image.last_used = WallTime(std::chrono::seconds(status.st_mtim.tv_sec));
    std::set<std::string> paths{blob_path(image.record.digest)};
    for (const std::string& layer : image.record.layers) paths.insert(layer_path(layer));
    const auto text = read_in(top_, blob_path(image.record.digest), kDocumentCap);
    const auto manifest = parse_manifest(text.value_or(""), "", image.record.digest);
    if (manifest) {
      paths.insert(blob_path(manifest->config.digest));
      for (const Descriptor& layer : manifest->layers) paths.insert(blob_path(layer.digest));
    }
    for (const std::string& there : paths) {
      if (inventory_.content.contains(there)) image.content.insert(there);
    }
    inventory_.images.push_back(std::move(image));
  }

  Result<void> find_foreign() {
    std::set<std::string> ours;
    for (const InventoriedImage& image : inventory_.images) ours.insert(image.record.digest);
    const auto blobs = listed_blobs(top_, [&](const std::string& digest) {
      return ours.contains(digest) ? Follow::nothing : Follow::all;
    });
    if (!blobs && blobs.error().sys_errno == ENOENT) return {};  // no index.json yet
    if (!blobs) return fail(blobs.error());
    for (const std::string& digest : *blobs) {
      if (inventory_.content.contains(blob_path(digest)))
        inventory_.foreign.insert(blob_path(digest));
    }
    return {};
  }

  const std::string& directory_;
  BorrowedFd top_;
  Inventory inventory_;
};

UniqueFd open_top(const std::string& directory) {
  return UniqueFd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

}  // namespace

std::uint64_t Inventory::bytes_of(const std::set<std::string>& paths) const {
  std::uint64_t bytes = 0;
  for (const std::string& path : paths) bytes += content.at(path);
  return bytes;
}

std::uint64_t Inventory::shared_bytes_of(const InventoriedImage& image) const {
  std::set<std::string> shared;
  const auto add_shared = [&](const std::set<std::string>& others) {
    std::set_intersection(image.content.begin(), image.content.end(), others.begin(), others.end(),
                          std::inserter(shared, shared.end()));
  };
  for (const InventoriedImage& other : images) {
    if (&other != &image) add_shared(other.content);
  }
  add_shared(foreign);
  return bytes_of(shared);
}

std::uint64_t Inventory::bytes_without(const std::set<std::string>& removed) const {
  std::set<std::string> used = foreign;
  for (const InventoriedImage& image : images) {
    if (!removed.contains(image.record.digest))
      used.insert(image.content.begin(), image.content.end());
  }
  return bytes_of(used);
}

std::uint64_t Inventory::total() const {
  std::uint64_t bytes = 0;
  for (const auto& [path, size] : content) bytes += size;
  return bytes;
}

Result<Inventory> take_inventory(const std::string& directory) {
  const UniqueFd top = open_top(directory);
  if (!top && errno == ENOENT) return Inventory();
  if (!top) return fail(io_error("open", directory));
  return Stocktaker(directory, top).take();
}

bool has_unmeasured_layers(const std::string& directory) {
  const UniqueFd top = open_top(directory);
  if (!top) return false;
  const std::vector<std::string> layers = list(top, "layers");
  return std::any_of(layers.begin(), layers.end(),
                     [&](const std::string& hex) { return !known_size(top, hex); });
}

}  // namespace cove
