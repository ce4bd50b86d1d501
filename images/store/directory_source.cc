#include "images/store/directory_source.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

#include "images/layout/sha256.h"
#include "images/store_index/files.h"

namespace cove {
namespace {

constexpr std::size_t kPiece = 1024 * 1024;
constexpr std::size_t kBlock = 4096;  // of memory and of disks
// Each that is copied beside the unpacking keeps two descriptors open at once.
constexpr std::size_t kMostBeside = 64;

Error another_size(const std::string& path, std::uint64_t expected) {
  return invalid_image(
      path, "has another size than it should: expected " + std::to_string(expected) + " bytes");
}

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

// Past the page cache, where the file system can do that: nobody reads a copied blob soon, and to
// fill memory with it takes the processor's time. Takes whole blocks, but for the last piece.
class DirectFile {
 public:
  explicit DirectFile(BorrowedFd file) : file_(file) { set_direct(true); }

  // False with errno.
  bool write_all(std::string_view bytes) {
    if (bytes.size() % kBlock != 0) set_direct(false);
    while (!bytes.empty()) {
      const ssize_t written = write(file_.number(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0 && errno == EINVAL && direct_) {  // it wants larger blocks, or can not
        set_direct(false);
        continue;
      }
      if (written < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
  }

 private:
  void set_direct(bool direct) {
    const int flags = fcntl(file_.number(), F_GETFL);
    const bool set =
        fcntl(file_.number(), F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
    direct_ = direct && set;
  }

  BorrowedFd file_;
  bool direct_ = false;
};

// As many as there are, at most `room`. Negative with errno.
ssize_t read_all(BorrowedFd file, char* into, std::size_t room) {
  std::size_t size = 0;
  while (size < room) {
    const ssize_t got = read(file.number(), into + size, room - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return got;
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  return static_cast<ssize_t>(size);
}

// Up to `limit` bytes and some more, hashed.
Result<Descriptor> copy_hashed(BorrowedFd from, BorrowedFd to, const std::string& path,
                               std::uint64_t limit) {
  Descriptor copied;
  Sha256 hash;
  const std::unique_ptr<char, Free> buffer(static_cast<char*>(std::aligned_alloc(kBlock, kPiece)));
  if (!buffer) return fail(out_of_memory());
  DirectFile out(to);
  while (copied.size <= limit) {
    const ssize_t got = read_all(from, buffer.get(), kPiece);
    if (got < 0) return fail(io_error("read", path));
    if (got == 0) break;
    const std::string_view bytes(buffer.get(), static_cast<std::size_t>(got));
    if (!out.write_all(bytes)) return fail(io_error("write", path));
    hash.update(bytes);
    copied.size += bytes.size();
  }
  copied.digest = hash.finish();
  return copied;
}

}  // namespace

UniqueFd DirectorySource::open_file(const std::string& path) const {
  UniqueFd file =
      open_beneath(directory_, path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY, RESOLVE_BENEATH);
  struct stat status {};
  if (file && (fstat(file.number(), &status) != 0 || !S_ISREG(status.st_mode))) {
    file.reset();
    errno = EINVAL;
  }
  return file;
}

Result<UniqueFd> DirectorySource::open_for_copy(const std::string& path) const {
  UniqueFd file = open_file(path);
  if (file) return file;
  Error error = invalid_image(
      path, errno == EXDEV ? "leads out of the layout" : "cannot be opened in the layout");
  error.sys_errno = errno == EXDEV ? 0 : errno;
  return fail(error);
}

std::string DirectorySource::next_name() { return "blob-" + std::to_string(staged_++); }

Result<Blob> DirectorySource::take(const std::string& path, const std::string& digest) {
  if (!digest.empty() && store_.has(blob_path(digest))) return stored(digest);
  const Result<UniqueFd> from = open_for_copy(path);
  if (!from) return fail(from.error());
  Blob blob;
  blob.staged = next_name();
  const Result<UniqueFd> to = staging_.create_file(blob.staged);
  if (!to) return fail(to.error());
  Result<Descriptor> copied = copy_hashed(*from, *to, path, left_);
  if (!copied) return fail(copied.error());
  if (copied->size > left_) return fail(refused(UnpackRule::limit_bytes, path));
  left_ -= copied->size;
  blob.descriptor = std::move(*copied);
  return blob;
}

Result<UniqueFd> DirectorySource::open(const Blob& blob) const {
  return blob.arrival ? open_for_copy(blob_path(blob.descriptor.digest)) : Source::open(blob);
}

Result<Blob> DirectorySource::begin(const Descriptor& layer) {
  if (const auto known = layers_.find(layer.digest); known != layers_.end()) return known->second;
  const std::string path = blob_path(layer.digest);
  if (store_.has(path) || waiting_.size() >= kMostBeside) return take(layer);
  if (layer.size > left_) return fail(refused(UnpackRule::limit_bytes, path));
  left_ -= layer.size;
  Result<UniqueFd> from = open_for_copy(path);
  if (!from) return fail(from.error());
  Blob blob;
  blob.descriptor = layer;
  blob.staged = next_name();
  Result<UniqueFd> to = staging_.create_file(blob.staged);
  if (!to) return fail(to.error());
  blob.arrival = std::make_shared<Arrival>();
  blob.arrival->ticket = static_cast<std::uint32_t>(waiting_.size());
  waiting_.push_back({path, std::move(*from), std::move(*to), layer});
  layers_[layer.digest] = blob;
  return blob;
}

Result<Records> DirectorySource::copy_all(const std::vector<Copy>& copies) {
  Records digests;
  for (const Copy& copy : copies) {
    const Result<Descriptor> copied =
        copy_hashed(copy.from, copy.to, copy.path, copy.expected.size);
    if (!copied) return fail(copied.error());
    if (copied->size != copy.expected.size)
      return fail(another_size(copy.path, copy.expected.size));
    digests.push_back(copied->digest);
  }
  return digests;
}

Result<void> DirectorySource::begun() {
  if (waiting_.empty()) return {};
  const std::vector<Copy> copies = std::move(waiting_);
  Needs needs;
  for (const Copy& copy : copies) {
    for (const UniqueFd* file : {&copy.from, &copy.to}) needs.keep.push_back(file->number());
  }
  Result<ConfinedProcess> copier = ConfinedProcess::start(needs, [&] { return copy_all(copies); });
  if (!copier) return fail(copier.error());
  copier_.emplace(std::move(*copier));
  return {};
}

Result<void> DirectorySource::complete(const Blob& blob) {
  if (!blob.arrival) return {};
  if (!copied_) copied_.emplace(copier_->finish());
  if (!*copied_) return fail(copied_->error());
  const Records& digests = **copied_;
  const std::size_t ticket = blob.arrival->ticket;
  const std::string& digest = blob.descriptor.digest;
  if (ticket >= digests.size()) return fail(digest_error(blob_path(digest), digest, "none"));
  if (digests[ticket] != digest)
    return fail(digest_error(blob_path(digest), digest, digests[ticket]));
  return {};
}

}  // namespace cove
