#include "images/pack/directory.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>
#include <utility>
#include <vector>

#include "images/layout/documents.h"
#include "images/pack/gzip_writer.h"
#include "images/store_index/files.h"
#include "images/unpack/layer.h"
#include "images/unpack/shown_name.h"
#include "images/unpack/xattrs.h"
#include "runtime/kernel/directory.h"

namespace cove {
namespace {

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kUserAttributes = "user.";
constexpr std::string_view kCapability = "security.capability";
constexpr std::string_view kLabel =
    "security.selinux";  // the host's, on every file where it is used
constexpr std::uint64_t kResolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
constexpr std::size_t kPiece = 1024 * 1024;
constexpr std::size_t kMistakes = 10;  // that one error tells

struct ArchiveFree {
  void operator()(archive* writer) const { archive_write_free(writer); }
};
struct EntryFree {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};
using Entry = std::unique_ptr<archive_entry, EntryFree>;

Error source_error(const char* action, const std::string& path) {
  const bool denied = errno == EACCES || errno == EPERM;
  Error error = errno_error(denied ? ErrorCode::permission_denied : ErrorCode::image_invalid,
                            "import", action);
  error.where = shown_name(path);
  if (denied) error.hint = "import it as a user who may read all of it";
  return error;
}

Error changed(const std::string& path) {
  Error error = invalid_image(shown_name(path), "changed while it was read",
                              "import it again when nothing writes there");
  error.step = "import";
  return error;
}

bool same_state(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec &&
         a.st_ctim.tv_sec == b.st_ctim.tv_sec && a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

// "" of the root, whose own entry is "./".
std::string joined(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : directory + "/" + name;
}

la_ssize_t write_piece(archive* writer, void* data, const void* bytes, std::size_t count) {
  if (static_cast<GzipWriter*>(data)->write({static_cast<const char*>(bytes), count}))
    return static_cast<la_ssize_t>(count);
  archive_set_error(writer, errno, "write");
  return -1;
}

class Packer {
 public:
  Packer(BorrowedFd out, const UnpackLimits& limits)
      : limits_(limits), compressed_(out), writer_(archive_write_new()), buffer_(kPiece) {
    archive_write_set_format_pax(writer_.get());
    // Names as they are, whatever the locale; each attribute once.
    archive_write_set_options(writer_.get(), "hdrcharset=BINARY,xattrheader=SCHILY");
    archive_write_set_bytes_per_block(writer_.get(), static_cast<int>(kPiece));
    archive_write_set_bytes_in_last_block(writer_.get(), 1);
    good_ = archive_write_open(writer_.get(), &compressed_, nullptr, write_piece, nullptr) ==
            ARCHIVE_OK;
  }

  Result<void> pack(BorrowedFd root);
  Result<Notes> finish();

 private:
  Result<void> add(BorrowedFd directory, const std::string& name, const std::string& path,
                   std::size_t depth);
  Result<void> add_directory(BorrowedFd directory, const std::string& path, std::size_t depth);
  Result<void> add_file(BorrowedFd file, const std::string& path);
  Result<void> add_link(BorrowedFd directory, const std::string& name, const std::string& path,
                        const struct stat& status);
  Result<void> add_other(const std::string& path, const struct stat& status);
  Result<void> write_data(BorrowedFd file, const std::string& path, std::uint64_t size);
  Result<void> begin(archive_entry* entry);
  Result<void> count(const std::string& path, const struct stat& status);
  Result<void> cannot(const char* action, const std::string& path);
  Result<void> write_failed() const;
  Entry entry_for(const std::string& path, const struct stat& status);
  bool link_to_earlier(archive_entry* entry, const std::string& path, const struct stat& status);
  void add_attributes(archive_entry* entry, BorrowedFd file);
  void note(const char* text) { ++notes_[text]; }

  const UnpackLimits limits_;
  GzipWriter compressed_;
  std::unique_ptr<archive, ArchiveFree> writer_;
  std::vector<char> buffer_;
  std::map<std::pair<dev_t, ino_t>, std::string> linked_;  // files with several names: the first
  std::uint64_t bytes_ = 0, entries_ = 0;
  std::vector<Error> mistakes_;
  Notes notes_;
  bool good_ = false;
};

// A file that this user may not read is told together with the others of its kind.
Result<void> Packer::cannot(const char* action, const std::string& path) {
  if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return fail(changed(path));
  Error error = source_error(action, path);
  if (error.code != ErrorCode::permission_denied) return fail(error);
  mistakes_.push_back(std::move(error));
  if (mistakes_.size() < kMistakes) return {};
  return fail(one_error(std::move(mistakes_)));
}

Result<void> Packer::write_failed() const {
  errno = archive_errno(writer_.get());
  return fail(errno_error(ErrorCode::setup_failed, "import", "write the layer"));
}

Result<void> Packer::count(const std::string& path, const struct stat& status) {
  if (S_ISREG(status.st_mode)) bytes_ += static_cast<std::uint64_t>(status.st_size);
  if (bytes_ > limits_.bytes) return fail(refused(UnpackRule::limit_bytes, path));
  if (++entries_ > limits_.entries) return fail(refused(UnpackRule::limit_entries, path));
  return {};
}

Entry Packer::entry_for(const std::string& path, const struct stat& status) {
  Entry entry(archive_entry_new());
  archive_entry_set_pathname(entry.get(), path.empty() ? "./" : path.c_str());
  archive_entry_set_mode(entry.get(), status.st_mode);
  archive_entry_set_uid(entry.get(), status.st_uid);
  archive_entry_set_gid(entry.get(), status.st_gid);
  archive_entry_set_mtime(entry.get(), status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
  archive_entry_set_size(entry.get(), S_ISREG(status.st_mode) ? status.st_size : 0);
  return entry;
}

// Whether another name of the same file was there before; then the entry is a link to that.
bool Packer::link_to_earlier(archive_entry* entry, const std::string& path,
                             const struct stat& status) {
  if (status.st_nlink < 2) return false;
  const auto [first, is_new] = linked_.emplace(std::pair{status.st_dev, status.st_ino}, path);
  if (is_new) return false;
  archive_entry_set_hardlink(entry, first->second.c_str());
  archive_entry_set_size(entry, 0);
  return true;
}

void Packer::add_attributes(archive_entry* entry, BorrowedFd file) {
  for (const auto& [name, value] : read_xattrs(file)) {
    if (name.starts_with(kUserAttributes) || name == kCapability) {
      archive_entry_xattr_add_entry(entry, name.c_str(), value.data(), value.size());
    } else if (name != kLabel) {
      note("extended attributes other than user.* and security.capability left out");
    }
  }
}

Result<void> Packer::begin(archive_entry* entry) {
  good_ = good_ && archive_write_header(writer_.get(), entry) >= ARCHIVE_WARN;
  return good_ ? Result<void>() : write_failed();
}

Result<void> Packer::write_data(BorrowedFd file, const std::string& path, std::uint64_t size) {
  while (size > 0) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(size, buffer_.size()));
    const ssize_t got = read(file.number(), buffer_.data(), wanted);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(source_error("read", path));
    if (got == 0) return fail(changed(path));
    good_ = archive_write_data(writer_.get(), buffer_.data(), static_cast<std::size_t>(got)) == got;
    if (!good_) return write_failed();
    size -= static_cast<std::uint64_t>(got);
  }
  return {};
}

Result<void> Packer::add_file(BorrowedFd file, const std::string& path) {
  struct stat before {};
  struct stat after {};
  if (fstat(file.number(), &before) != 0) return fail(source_error("look at", path));
  if (!S_ISREG(before.st_mode)) return fail(changed(path));
  if (Result<void> counted = count(path, before); !counted) return counted;
  const Entry entry = entry_for(path, before);
  if (link_to_earlier(entry.get(), path, before)) return begin(entry.get());
  add_attributes(entry.get(), file);
  if (Result<void> begun = begin(entry.get()); !begun) return begun;
  const auto size = static_cast<std::uint64_t>(before.st_size);
  if (Result<void> written = write_data(file, path, size); !written) return written;
  if (fstat(file.number(), &after) != 0) return fail(source_error("look at", path));
  return same_state(before, after) ? Result<void>() : fail(changed(path));
}

Result<void> Packer::add_link(BorrowedFd directory, const std::string& name,
                              const std::string& path, const struct stat& status) {
  std::vector<char> target(PATH_MAX);
  const ssize_t size =
      readlinkat(directory.number(), name.c_str(), target.data(), target.size() - 1);
  if (size < 0) return errno == EINVAL ? fail(changed(path)) : cannot("read the link", path);
  if (Result<void> counted = count(path, status); !counted) return counted;
  const Entry entry = entry_for(path, status);
  if (!link_to_earlier(entry.get(), path, status))
    archive_entry_set_symlink(entry.get(), target.data());
  return begin(entry.get());
}

Result<void> Packer::add_other(const std::string& path, const struct stat& status) {
  if (S_ISSOCK(status.st_mode)) note("sockets left out");
  if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) note("device nodes left out");
  if (!S_ISFIFO(status.st_mode)) return {};
  if (Result<void> counted = count(path, status); !counted) return counted;
  const Entry entry = entry_for(path, status);
  link_to_earlier(entry.get(), path, status);
  return begin(entry.get());
}

// By its name in a directory that is open. What it is may change at any moment: openat2 says what it
// is in the end.
Result<void> Packer::add(BorrowedFd directory, const std::string& name, const std::string& path,
                         std::size_t depth) {
  if (name.starts_with(kWhiteout)) {
    note("names that begin with .wh. left out, which would remove something in a layer");
    return {};
  }
  struct stat status {};
  if (fstatat(directory.number(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return cannot("look at", path);
  if (S_ISLNK(status.st_mode)) return add_link(directory, name, path, status);
  if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) return add_other(path, status);
  const bool is_directory = S_ISDIR(status.st_mode);
  const std::uint64_t kind = is_directory ? O_DIRECTORY : O_NONBLOCK | O_NOCTTY;
  const UniqueFd file =
      open_beneath(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | kind, kResolve);
  if (!file && errno == EXDEV) {
    note("what is mounted below left out");
    if (!is_directory) return {};
    if (Result<void> counted = count(path, status); !counted) return counted;
    return begin(entry_for(path, status).get());
  }
  if (!file) return cannot("open", path);
  return is_directory ? add_directory(file, path, depth + 1) : add_file(file, path);
}

Result<void> Packer::add_directory(BorrowedFd directory, const std::string& path,
                                   std::size_t depth) {
  if (depth > limits_.path_depth)
    return fail(invalid_image(shown_name(path), "the entry lies too deep [path-depth]"));
  struct stat status {};
  if (fstat(directory.number(), &status) != 0) return fail(source_error("look at", path));
  if (Result<void> counted = count(path, status); !counted) return counted;
  const Entry entry = entry_for(path, status);
  add_attributes(entry.get(), directory);
  if (Result<void> begun = begin(entry.get()); !begun) return begun;
  std::optional<std::vector<std::string>> names = names_in(directory);
  if (!names) return cannot("list", path);
  std::sort(names->begin(), names->end());
  for (const std::string& name : *names) {
    if (Result<void> added = add(directory, name, joined(path, name), depth); !added) return added;
  }
  return {};
}

Result<void> Packer::pack(BorrowedFd root) { return add_directory(root, "", 0); }

Result<Notes> Packer::finish() {
  if (!mistakes_.empty()) return fail(one_error(std::move(mistakes_)));
  if (good_ && archive_write_close(writer_.get()) == ARCHIVE_OK && compressed_.finish())
    return std::move(notes_);
  const Result<void> failed = write_failed();
  return fail(failed.error());
}

}  // namespace

Result<Notes> pack_directory(BorrowedFd root, BorrowedFd out, const UnpackLimits& limits) {
  Packer packer(out, limits);
  if (Result<void> packed = packer.pack(root); !packed) return fail(packed.error());
  return packer.finish();
}

}  // namespace cove
