#include "images/store/source.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <set>
#include <vector>

#include "images/layout/archive.h"
#include "images/store/directory_source.h"
#include "images/store_index/files.h"
#include "images/store_index/record.h"
#include "images/unpack/confined.h"
#include "images/unpack/shown_name.h"
#include "runtime/kernel/directory.h"

namespace cove {
namespace {

class ArchiveSource : public Source {
 public:
  ArchiveSource(const Store& store, const Staging& staging, Members members)
      : Source(store, staging), members_(std::move(members)) {}

  bool has(const std::string& path) override { return find_member(members_, path) != nullptr; }

  Result<Blob> take(const std::string& path, const std::string&) override {
    const Member* member = find_member(members_, path);
    if (!member) return fail(invalid_image(shown_name(path), "is missing in the archive"));
    if (member->staged.empty()) return stored(member->digest);
    Blob blob;
    blob.staged = member->staged;
    blob.descriptor.digest = member->digest;
    blob.descriptor.size = member->size;
    return blob;
  }

 private:
  Members members_;
};

}  // namespace

Result<std::string> Source::read(const Blob& blob) const {
  const Result<UniqueFd> file = open(blob);
  if (!file) return fail(file.error());
  return read_regular(*file, kDocumentCap, Oversize::refuse, blob.descriptor.digest);
}

Result<UniqueFd> Source::open(const Blob& blob) const {
  const bool staged = !blob.staged.empty();
  const std::string path = staged ? blob.staged : blob_path(blob.descriptor.digest);
  const int directory = staged ? staging_.directory().number() : store_.top().number();
  UniqueFd file(openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return fail(io_error("open", path));
  return file;
}

Result<Blob> Source::take(const Descriptor& descriptor) {
  Result<Blob> blob = take(blob_path(descriptor.digest), descriptor.digest);
  if (!blob) return blob;
  if (blob->descriptor.digest != descriptor.digest) {
    return fail(
        digest_error(blob_path(descriptor.digest), descriptor.digest, blob->descriptor.digest));
  }
  if (blob->descriptor.size != descriptor.size) {
    return fail(invalid_image(descriptor.digest, "has another size than it should: expected " +
                                                     std::to_string(descriptor.size) +
                                                     " bytes, found " +
                                                     std::to_string(blob->descriptor.size)));
  }
  blob->descriptor = descriptor;
  return blob;
}

Result<Blob> Source::layer(const Descriptor& descriptor, const std::string& diff_id) {
  if (keep_ == KeepBlobs::yes || !store_.has(layer_path(diff_id))) return begin(descriptor);
  Blob unpacked;
  unpacked.descriptor = descriptor;
  return unpacked;
}

Blob Source::stored(const std::string& digest) const {
  struct stat status {};
  Blob blob;
  blob.descriptor.digest = digest;
  if (stat(store_.path(blob_path(digest)).c_str(), &status) == 0) {
    blob.descriptor.size = static_cast<std::uint64_t>(status.st_size);
  }
  return blob;
}

Error digest_error(const std::string& where, const std::string& expected,
                   const std::string& found) {
  return invalid_image(
      where, "has another digest than it should: expected " + expected + ", found " + found);
}

Error io_error(const char* action, const std::string& where) {
  return storage_error("image store", action, where);
}

Result<Opened> open_transport(Transport named) {
  Opened opened;
  opened.transport = std::move(named);
  Transport& transport = opened.transport;
  if (transport.path == "-" && transport.kind != TransportKind::oci_directory) {
    transport.path.clear();
    opened.file.reset(fcntl(0, F_DUPFD_CLOEXEC, 3));
  } else {
    opened.file.reset(::open(transport.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  }
  struct stat status {};
  if (!opened.file || fstat(opened.file.number(), &status) != 0) {
    const ErrorCode code =
        errno == EACCES ? ErrorCode::permission_denied : ErrorCode::image_not_found;
    Error error = errno_error(code, "image", "open");
    error.where = transport.path.empty() ? "standard input" : transport.path;
    return fail(error);
  }
  const bool directory = S_ISDIR(status.st_mode);
  if (transport.kind == TransportKind::file && directory)
    transport.kind = TransportKind::oci_directory;
  if (directory != (transport.kind == TransportKind::oci_directory)) {
    const char* what = directory ? "is a directory, not an archive" : "is not a directory";
    return fail(
        invalid_image(transport.path, what,
                      directory ? "write oci:DIR for an OCI layout" : "write oci-archive:FILE"));
  }
  opened.state = status;
  opened.lasting = S_ISREG(status.st_mode) && !transport.path.empty();
  if (directory) {
    opened.stamped =
        open_beneath(opened.file, "index.json", O_RDONLY | O_NONBLOCK, RESOLVE_BENEATH);
    if (!opened.stamped || fstat(opened.stamped.number(), &opened.state) != 0) {
      Error error =
          errno_error(ErrorCode::image_invalid, "image", "is no OCI layout: open index.json");
      error.where = transport.path;
      return fail(error);
    }
    opened.lasting = true;
  }
  return opened;
}

bool unchanged(const Opened& opened) {
  TransportRecord before;
  stamp(before, opened.state);
  struct stat now {};
  const BorrowedFd file = opened.stamped ? opened.stamped.borrow() : opened.file.borrow();
  return opened.lasting && fstat(file.number(), &now) == 0 && same_stamp(before, now);
}
namespace {

std::set<std::string> blobs_in(const Store& store) {
  const UniqueFd directory(openat(store.top().number(), "blobs/sha256",
                                  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  std::set<std::string> digests;
  for (const std::string& hex : names_in(directory).value_or(std::vector<std::string>()))
    digests.insert("sha256:" + hex);
  return digests;
}

}  // namespace

Result<std::unique_ptr<Source>> make_source(const Store& store, const Staging& staging,
                                            Opened& opened, const UnpackLimits& limits,
                                            KeepBlobs keep) {
  if (opened.transport.kind == TransportKind::oci_directory) {
    return std::make_unique<DirectorySource>(store, staging, keep, std::move(opened.file),
                                             limits.bytes);
  }
  // Asked before: the process that copies sees nothing of the store.
  const std::set<std::string> known = blobs_in(store);
  Needs needs;
  needs.keep = {opened.file.number()};
  needs.directory = staging.directory();
  needs.writes = Writes::files;
  needs.file_bytes = limits.bytes;
  Result<ConfinedProcess> process = ConfinedProcess::start(needs, [&] {
    return copy_members(opened.file, staging.directory(), limits,
                        [&](const std::string& digest) { return known.contains(digest); });
  });
  if (!process) return fail(process.error());
  Result<Records> records = process->finish();
  if (!records) {
    Error error = records.error();
    if (error.where.empty())
      error.where = opened.transport.path.empty() ? "standard input" : opened.transport.path;
    return fail(error);
  }
  return std::make_unique<ArchiveSource>(store, staging, members_from(*records));
}
}  // namespace cove
