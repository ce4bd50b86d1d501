#include "images/store/listed_blobs.h"

#include <fcntl.h>

#include <cerrno>
#include <vector>

#include "images/layout/documents.h"
#include "images/store/source.h"
#include "images/store_index/files.h"
#include "images/store_index/record.h"

namespace cove {
namespace {

constexpr int kMaxIndexDepth = 4;

Result<std::string> read_document(BorrowedFd top, const std::string& path) {
  const UniqueFd file(
      openat(top.number(), path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) return fail(io_error("open", path));
  return read_regular(file, kDocumentCap, Oversize::refuse, path);
}

class BlobLister {
 public:
  BlobLister(BorrowedFd top, const std::function<Follow(const std::string&)>& follow)
      : top_(top), follow_(follow) {}

  Result<void> list(const std::vector<Descriptor>& descriptors, int depth) {
    for (const Descriptor& descriptor : descriptors) {
      const Follow follow = follow_(descriptor.digest);
      if (follow == Follow::nothing || !found_.insert(descriptor.digest).second) continue;
      const Result<std::string> text = read_document(top_, blob_path(descriptor.digest));
      if (!text && text.error().sys_errno == ENOENT) continue;  // another platform's
      if (!text) return fail(text.error());
      if (Result<void> listed = list(descriptor, *text, follow, depth); !listed) return listed;
    }
    return {};
  }

  std::set<std::string> take() { return std::move(found_); }

 private:
  Result<void> list(const Descriptor& descriptor, const std::string& text, Follow follow,
                    int depth) {
    const Result<DocumentKind> kind = kind_of(descriptor.media_type);
    if (kind && *kind == DocumentKind::index && depth < kMaxIndexDepth) {
      const auto nested = parse_index(text, descriptor.media_type, descriptor.digest);
      return nested ? list(*nested, depth + 1) : fail(nested.error());
    }
    const Result<Manifest> manifest = parse_manifest(text, "", descriptor.digest);
    if (!manifest) return fail(manifest.error());
    found_.insert(manifest->config.digest);
    if (follow == Follow::documents) return {};
    for (const Descriptor& layer : manifest->layers) found_.insert(layer.digest);
    return {};
  }

  BorrowedFd top_;
  const std::function<Follow(const std::string&)>& follow_;
  std::set<std::string> found_;
};

}  // namespace

Result<std::set<std::string>> listed_blobs(
    BorrowedFd top, const std::function<Follow(const std::string& digest)>& follow) {
  const Result<std::string> text = read_document(top, "index.json");
  if (!text) return fail(text.error());
  const Result<std::vector<Descriptor>> roots = parse_index(*text, "", "index.json");
  if (!roots) return fail(roots.error());
  BlobLister lister(top, follow);
  if (Result<void> listed = lister.list(*roots, 0); !listed) return fail(listed.error());
  return lister.take();
}

}  // namespace cove
