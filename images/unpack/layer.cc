#include "images/unpack/layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <functional>
#include <memory>
#include <set>

#include "images/layout/byte_source.h"
#include "images/layout/documents.h"
#include "images/store_index/files.h"
#include "images/unpack/entry_path.h"
#include "images/unpack/libraries.h"
#include "images/unpack/shown_name.h"
#include "runtime/kernel/directory.h"

namespace cove {
namespace {

constexpr std::string_view kAufsMetadata = ".wh..wh.";
constexpr std::string_view kOpaqueMarker = ".wh..wh..opq";
constexpr const char* kOpaqueAttribute = "user.overlay.opaque";
constexpr std::int64_t kMaxId = 65535;
constexpr std::uint32_t kNobody = 65534;
constexpr int kMaxLinks = 40;             // as in the kernel
constexpr std::size_t kHole = 64 * 1024;  // zeros that are worth one

bool is_refusal(const Error& error, UnpackRule rule) {
  return error.what == refused(rule, "").what;
}

Error failed(std::string_view path, const char* action) {
  return storage_error("unpack", action, shown_name(path));
}

struct ArchiveFree {
  void operator()(archive* reader) const { archive_read_free(reader); }
};

// Where libarchive gets its bytes from, and where an error of the source waits until libarchive has
// returned.
struct Stream {
  explicit Stream(std::unique_ptr<ByteSource> source) : bytes(std::move(source)) {}
  HashedSource bytes;
  UnpackLimits limits;
  BorrowedFd blob;
  std::optional<Error> error;
  // Some tools (umoci insert) leave out the padding of the last file and the end marker. Go's
  // reader, and so Docker, takes that; libarchive wants the zeros. They may stand for padding and
  // never for content.
  std::array<char, 1536> padding{};
  bool padded = false;

  // The rule that what came so far breaks.
  std::optional<UnpackRule> broken() const {
    if (bytes.count() > limits.bytes) return UnpackRule::limit_bytes;
    if (bytes.count() <= limits.ratio_floor) return {};
    // Asked only now: it may still be on its way here.
    struct stat status {};
    const bool known = fstat(blob.number(), &status) == 0;
    const auto compressed = known ? static_cast<std::uint64_t>(status.st_size) : 0U;
    if (!within_ratio(limits, bytes.count(), compressed)) return UnpackRule::limit_ratio;
    return {};
  }
  bool is_padding(const void* block) const {
    const auto* at = static_cast<const char*>(block);
    return std::greater_equal<>()(at, padding.data()) &&
           std::less<>()(at, padding.data() + padding.size());
  }
};

la_ssize_t read_stream(archive* reader, void* data, const void** buffer) {
  auto* stream = static_cast<Stream*>(data);
  const Result<std::string_view> piece = stream->bytes.next();
  if (!piece) {
    stream->error = piece.error();
  } else if (const auto rule = stream->broken()) {
    stream->error = refused(*rule, "");
  } else if (piece->empty() && !stream->padded && stream->bytes.count() > 0) {
    stream->padded = true;
    *buffer = stream->padding.data();
    return static_cast<la_ssize_t>(stream->padding.size());
  } else {
    *buffer = piece->data();
    return static_cast<la_ssize_t>(piece->size());
  }
  archive_set_error(reader, EIO, "the source failed");
  return -1;
}

enum class OnMissing { go_on, refuse };

class LayerWriter {
 public:
  LayerWriter(BorrowedFd root, const Stream& stream, const UnpackLimits& limits,
              Ownership ownership)
      : root_(root), stream_(stream), limits_(limits), ownership_(ownership) {}

  Result<void> apply(archive* reader, archive_entry* entry);
  Result<void> finish();  // directory times, once nothing is written below them any more

  LayerResult take_result() {
    result_.implied.assign(implied_.begin(), implied_.end());
    return std::move(result_);
  }

 private:
  struct DirectoryTime {
    std::string path;
    timespec modified;
  };

  Result<void> settle(EntryPath& path);
  Result<std::string> follow(std::string at, std::string_view path, int& links,
                             OnMissing on_missing) const;
  Result<BorrowedFd> open_parent(const std::string& path);
  Result<void> make_parents(const std::string& path);
  Result<void> mark_opaque(const std::string& path);
  Result<void> white_out(const EntryPath& path);
  Result<void> make_directory(const EntryPath& path, archive_entry* entry);
  Result<UniqueFd> create_file(BorrowedFd parent, const EntryPath& path, mode_t mode);
  Result<void> make_file(const EntryPath& path, archive* reader, archive_entry* entry);
  Result<void> make_link(const EntryPath& path, archive_entry* entry);
  Result<void> make_special(const EntryPath& path, archive_entry* entry);
  Result<void> make_way(BorrowedFd parent, const EntryPath& path);
  Result<void> set_attributes(int file, const std::string& path, archive_entry* entry);
  // `known`: what its owner is so far, if somebody looked.
  Result<void> set_owner(BorrowedFd directory, const char* name, const std::string& path,
                         archive_entry* entry, const struct stat* known = nullptr);
  Result<void> write_data(int file, const std::string& path, archive* reader, std::uint64_t size);
  mode_t mode_for(archive_entry* entry);
  void note(const char* text) { ++result_.notes[text]; }

  BorrowedFd root_;
  const Stream& stream_;
  const UnpackLimits limits_;
  const Ownership ownership_;
  LayerResult result_;
  std::vector<DirectoryTime> directory_times_;
  std::set<std::string> implied_{""};
  // The parent of the entry before: archives go directory by directory.
  std::string cached_path_;
  UniqueFd cached_;
};

timespec modified(archive_entry* entry) {
  timespec time{};
  if (!archive_entry_mtime_is_set(entry)) return time;
  time.tv_sec = archive_entry_mtime(entry);
  time.tv_nsec = archive_entry_mtime_nsec(entry);
  return time;
}

bool is_whiteout(const struct stat& status) {
  return S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0);
}

std::uint32_t known_id(std::int64_t id) {
  return id < 0 || id > kMaxId ? kNobody : static_cast<std::uint32_t>(id);
}

// The last part of a path as it lies in its parent; nothing there: false.
bool look(BorrowedFd parent, const char* name, struct stat& status) {
  return fstatat(parent.number(), name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

// Where links lie above the entry, its path becomes that of the place where they lead, in the layer's
// root. So all that is remembered by path stands for what it was.
Result<void> LayerWriter::settle(EntryPath& path) {
  const std::string parent = path.parent();
  if (parent.empty() || (cached_ && parent == cached_path_)) return {};
  UniqueFd opened = open_beneath(root_, parent.c_str(), O_PATH | O_DIRECTORY,
                                 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  if (opened) {
    cached_path_ = parent;
    cached_ = std::move(opened);
    return {};
  }
  if (errno != ELOOP) return {};
  int links = 0;
  const Result<std::string> settled = follow("", parent, links, OnMissing::go_on);
  if (!settled) return fail(settled.error());
  const std::string name = path.name();
  path.base = settled->empty() ? 0 : settled->size() + 1;
  path.text = settled->empty() ? name : *settled + "/" + name;
  return {};
}

// `path`, as it is found in the directory `at`, which is reached through no link: the same without
// links. An absolute link starts in the layer's root. One that leads out by ".." is refused, though
// the kernel would stop at a root: no tool writes such. Where a link leads there has to be a
// directory; what was there before the link may be made.
Result<std::string> LayerWriter::follow(std::string at, std::string_view path, int& links,
                                        OnMissing on_missing) const {
  for (std::string_view rest = path; !rest.empty();) {
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, slash);
    rest.remove_prefix(std::min(slash + 1, rest.size()));
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (at.empty()) return fail(refused(UnpackRule::parent_escapes, path));
      at.resize(at.find('/') == std::string::npos ? 0 : at.rfind('/'));
      continue;
    }
    std::string next = at.empty() ? std::string(part) : at + "/" + std::string(part);
    struct stat status {};
    const bool exists = look(root_, next.c_str(), status);
    if (exists && S_ISLNK(status.st_mode)) {
      std::array<char, PATH_MAX> target{};
      const ssize_t length = readlinkat(root_.number(), next.c_str(), target.data(), target.size());
      if (length <= 0) return fail(failed(next, "read the link"));
      if (++links > kMaxLinks) return fail(refused(UnpackRule::parent_escapes, next));
      const std::string_view text(target.data(), static_cast<std::size_t>(length));
      auto led = follow(text.starts_with('/') ? std::string() : at, text, links, OnMissing::refuse);
      if (!led) return led;
      at = std::move(*led);
      continue;
    }
    if (on_missing == OnMissing::refuse && !(exists && S_ISDIR(status.st_mode)))
      return fail(refused(UnpackRule::parent_not_directory, next));
    at = std::move(next);
  }
  return at;
}

Result<BorrowedFd> LayerWriter::open_parent(const std::string& path) {
  if (path.empty()) return root_;
  if (cached_ && path == cached_path_) return cached_.borrow();
  UniqueFd parent = open_beneath(root_, path.c_str(), O_PATH | O_DIRECTORY, RESOLVE_BENEATH);
  if (!parent && (errno == ENOENT || errno == ENOTDIR)) {
    if (Result<void> made = make_parents(path); !made) return fail(made.error());
    parent = open_beneath(root_, path.c_str(), O_PATH | O_DIRECTORY, RESOLVE_BENEATH);
  }
  if (!parent) {
    if (errno == EXDEV || errno == ELOOP) return fail(refused(UnpackRule::parent_escapes, path));
    if (errno == ENOTDIR || errno == ENOENT)
      return fail(refused(UnpackRule::parent_not_directory, path));
    return fail(failed(path, "open"));
  }
  cached_path_ = path;
  cached_ = std::move(parent);
  return cached_.borrow();
}

// Makes what is missing of `path`, 0755 and root's. A whiteout in the way gives place to a
// directory that hides what lies below, which is what the two together mean.
Result<void> LayerWriter::make_parents(const std::string& path) {
  for (std::size_t end = path.find('/');; end = path.find('/', end + 1)) {
    const std::string upto = path.substr(0, end);
    const std::size_t slash = upto.rfind('/');
    const std::string above = slash == std::string::npos ? std::string(".") : upto.substr(0, slash);
    const char* name = slash == std::string::npos ? upto.c_str() : upto.c_str() + slash + 1;
    const UniqueFd parent =
        open_beneath(root_, above.c_str(), O_PATH | O_DIRECTORY, RESOLVE_BENEATH);
    if (!parent) {
      return fail(refused(errno == EXDEV || errno == ELOOP ? UnpackRule::parent_escapes
                                                           : UnpackRule::parent_not_directory,
                          upto));
    }
    struct stat status {};
    const bool exists = look(parent, name, status);
    const bool hides = exists && is_whiteout(status);
    if (exists && !hides && !S_ISDIR(status.st_mode) && !S_ISLNK(status.st_mode)) {
      return fail(refused(UnpackRule::parent_not_directory, upto));
    }
    if (hides && unlinkat(parent.number(), name, 0) != 0) return fail(failed(upto, "unlink"));
    if (!exists || hides) {
      if (mkdirat(parent.number(), name, 0755) != 0) return fail(failed(upto, "mkdir"));
      ++result_.entries;
      implied_.insert(upto);
    }
    if (hides) {
      if (Result<void> marked = mark_opaque(upto); !marked) return marked;
    }
    if (end == std::string::npos) return {};
  }
}

Result<void> LayerWriter::mark_opaque(const std::string& path) {
  const char* name = path.empty() ? "." : path.c_str();
  const UniqueFd directory = open_beneath(root_, name, O_RDONLY | O_DIRECTORY, RESOLVE_BENEATH);
  if (!directory) return fail(failed(path, "open"));
  if (fsetxattr(directory.number(), kOpaqueAttribute, "y", 1, 0) != 0) {
    // Root's store can do with trusted.* alone; a user's cannot.
    if (errno != EOPNOTSUPP || ownership_ == Ownership::caller)
      return fail(failed(path, "set user.overlay.opaque"));
    note("opaque directories without user.overlay.opaque, which this file system does not have");
  }
  result_.opaque.push_back(path);
  return {};
}

// A name may have been used before in the same layer: later entries win, and a directory keeps its
// contents only if a directory follows.
Result<void> LayerWriter::make_way(BorrowedFd parent, const EntryPath& path) {
  struct stat status {};
  if (!look(parent, path.name(), status)) return {};
  const int parent_number = parent.number();
  if (!S_ISDIR(status.st_mode)) {
    // It may have been a link on the way to the cached parent; the descriptor in use stays open
    // until the next look-up.
    if (unlinkat(parent_number, path.name(), 0) != 0) return fail(failed(path.text, "replace"));
  } else if (!remove_tree(parent, path.name())) {
    return fail(failed(path.text, "replace"));
  } else {
    // With all below: '0' comes after '/'.
    implied_.erase(path.text);
    implied_.erase(implied_.lower_bound(path.text + "/"), implied_.lower_bound(path.text + "0"));
  }
  cached_path_.clear();
  return {};
}

Result<void> LayerWriter::white_out(const EntryPath& path) {
  const std::string_view name = path.name();
  if (name == kOpaqueMarker) {
    const std::string directory = path.parent();
    if (const Result<BorrowedFd> opened = open_parent(directory); !opened)
      return fail(opened.error());
    return mark_opaque(directory);
  }
  if (name.starts_with(kAufsMetadata)) return {};  // AUFS's own book-keeping
  const std::string hidden(name.substr(kWhiteout.size()));
  if (hidden.empty() || hidden == "." || hidden == "..")
    return fail(refused(UnpackRule::whiteout_name, path.text));
  const Result<BorrowedFd> parent = open_parent(path.parent());
  if (!parent) {
    // Of what lay in a directory that is no directory any more (umoci writes such): it is gone anyway.
    if (is_refusal(parent.error(), UnpackRule::parent_not_directory)) return {};
    return fail(parent.error());
  }
  struct stat status {};
  if (look(*parent, hidden.c_str(), status)) {
    // A whiteout speaks of the layers below only: what this layer has stays.
    if (!S_ISDIR(status.st_mode)) return {};
    const std::string above = path.parent();
    return mark_opaque(above.empty() ? hidden : above + "/" + hidden);
  }
  if (mknodat(parent->number(), hidden.c_str(), S_IFCHR, makedev(0, 0)) != 0) {
    return fail(failed(path.text, "make the whiteout"));
  }
  return {};
}

mode_t LayerWriter::mode_for(archive_entry* entry) {
  const mode_t mode = static_cast<mode_t>(archive_entry_perm(entry)) & 07777U;
  if (ownership_ == Ownership::archive) return mode;
  const mode_t needed = archive_entry_filetype(entry) == AE_IFDIR ? 0700 : 0600;
  // A set-id bit means its owner, and the owner is another one here.
  mode_t kept = (mode | needed) & ~static_cast<mode_t>(S_ISUID | S_ISGID);
  if (archive_entry_filetype(entry) == AE_IFDIR) kept |= mode & static_cast<mode_t>(S_ISGID);
  if (kept != mode) note("entries whose mode was changed, since they belong to the caller");
  return kept;
}

Result<void> LayerWriter::set_owner(BorrowedFd directory, const char* name, const std::string& path,
                                    archive_entry* entry, const struct stat* known) {
  const std::int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
  if (ownership_ == Ownership::caller) {
    if (uid != 0 || gid != 0)
      note("entries that belong to the caller instead of the image's other users");
    return {};
  }
  if (known_id(uid) != uid || known_id(gid) != gid)
    note("entries given to 65534, their ids being above 65535");
  if (known && known->st_uid == known_id(uid) && known->st_gid == known_id(gid)) return {};
  const int flags = AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH);
  if (fchownat(directory.number(), name, known_id(uid), known_id(gid), flags) != 0)
    return fail(failed(path, "chown"));
  return {};
}

Result<void> LayerWriter::set_attributes(int file, const std::string& path, archive_entry* entry) {
  archive_entry_xattr_reset(entry);
  const char* raw_name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  while (archive_entry_xattr_next(entry, &raw_name, &value, &size) == ARCHIVE_OK) {
    const std::string_view name = raw_name ? raw_name : "";
    const bool ours = name.starts_with("trusted.") || name.starts_with("user.overlay.");
    const bool capability = name == "security.capability";
    if (ours || (!capability && !name.starts_with("user."))) {
      note(ours ? "extended attributes trusted.* and user.overlay.* dropped"
                : "extended attributes other than user.* and security.capability dropped");
      continue;
    }
    if (fsetxattr(file, raw_name, value, size, 0) == 0) continue;
    if (errno == ENOSPC || errno == EDQUOT) return fail(failed(path, "set an extended attribute"));
    note(capability ? "file capabilities lost, which this user or file system cannot hold"
                    : "extended attributes user.* lost, which this file system cannot hold");
  }
  return {};
}

Result<void> LayerWriter::make_directory(const EntryPath& path, archive_entry* entry) {
  UniqueFd directory;
  if (path.text.empty()) {
    directory.reset(openat(root_.number(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  } else {
    const Result<BorrowedFd> parent = open_parent(path.parent());
    if (!parent) return fail(parent.error());
    struct stat status {};
    const bool exists = look(*parent, path.name(), status);
    const bool hides = exists && is_whiteout(status);
    if (exists && !S_ISDIR(status.st_mode)) {
      if (Result<void> way = make_way(*parent, path); !way) return way;
    }
    const bool make = !exists || !S_ISDIR(status.st_mode);
    if (make && mkdirat(parent->number(), path.name(), 0700) != 0)
      return fail(failed(path.text, "mkdir"));
    directory.reset(
        openat(parent->number(), path.name(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (hides) {
      if (Result<void> marked = mark_opaque(path.text); !marked) return marked;
    }
  }
  if (!directory) return fail(failed(path.text, "open"));
  if (Result<void> owned = set_owner(directory, "", path.text, entry); !owned) return owned;
  if (fchmod(directory.number(), mode_for(entry)) != 0) return fail(failed(path.text, "chmod"));
  if (Result<void> set = set_attributes(directory.number(), path.text, entry); !set) return set;
  directory_times_.push_back({path.text, modified(entry)});
  implied_.erase(path.text);
  return {};
}

bool all_zero(std::string_view bytes) {
  return bytes.front() == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

// Long runs of zeros become holes: few tools say in a layer where a sparse file has its holes, since
// few others could read it.
std::size_t zeros_before(std::string_view bytes) {
  std::size_t zeros = 0;
  while (bytes.size() - zeros >= kHole && all_zero(bytes.substr(zeros, kHole))) zeros += kHole;
  return zeros;
}
std::size_t data_before_zeros(std::string_view bytes) {
  std::size_t data = kHole;
  while (data + kHole <= bytes.size() && !all_zero(bytes.substr(data, kHole))) data += kHole;
  return data + kHole <= bytes.size() ? data : bytes.size();
}

Result<void> LayerWriter::write_data(int file, const std::string& path, archive* reader,
                                     std::uint64_t size) {
  std::uint64_t end = 0;
  for (;;) {
    const void* block = nullptr;
    std::size_t length = 0;
    la_int64_t offset = 0;
    const int status = archive_read_data_block(reader, &block, &length, &offset);
    if (status == ARCHIVE_EOF) break;
    if (status < ARCHIVE_WARN)
      return fail(invalid_image(shown_name(path), archive_error_string(reader)));
    if (length > 0 && stream_.is_padding(block))
      return fail(invalid_image(shown_name(path), "the archive is truncated"));
    std::string_view bytes(static_cast<const char*>(block), length);
    while (!bytes.empty()) {  // what lies between blocks stays a hole, too
      const std::size_t hole = zeros_before(bytes);
      const ssize_t written = hole > 0
                                  ? static_cast<ssize_t>(hole)
                                  : pwrite(file, bytes.data(), data_before_zeros(bytes), offset);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return fail(failed(path, "write"));
      bytes.remove_prefix(static_cast<std::size_t>(written));
      offset += written;
      if (hole == 0) end = static_cast<std::uint64_t>(offset);
    }
  }
  if (end < size && ftruncate(file, static_cast<off_t>(size)) != 0)
    return fail(failed(path, "truncate"));
  return {};
}

// Without set-id bits, which would be lost when it is written.
Result<UniqueFd> LayerWriter::create_file(BorrowedFd parent, const EntryPath& path, mode_t mode) {
  const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  UniqueFd file(openat(parent.number(), path.name(), flags, mode & 0777U));
  if (!file && errno == EEXIST) {
    if (Result<void> way = make_way(parent, path); !way) return fail(way.error());
    file.reset(openat(parent.number(), path.name(), flags, mode & 0777U));
  }
  if (!file) return fail(failed(path.text, "create"));
  return file;
}

Result<void> LayerWriter::make_file(const EntryPath& path, archive* reader, archive_entry* entry) {
  const Result<BorrowedFd> parent = open_parent(path.parent());
  if (!parent) return fail(parent.error());
  const std::int64_t size = archive_entry_size(entry);
  if (size < 0 || static_cast<std::uint64_t>(size) > limits_.bytes - result_.bytes) {
    return fail(refused(UnpackRule::limit_bytes, path.text));
  }
  result_.bytes += static_cast<std::uint64_t>(size);
  const mode_t mode = mode_for(entry);
  const Result<UniqueFd> made = create_file(*parent, path, mode);
  if (!made) return fail(made.error());
  const BorrowedFd file = *made;
  if (Result<void> written =
          write_data(file.number(), path.text, reader, static_cast<std::uint64_t>(size));
      !written) {
    return written;
  }
  // What is right already is left alone: of a small file, owner and mode cost more than its data.
  struct stat status {};
  if (fstat(file.number(), &status) != 0) return fail(failed(path.text, "stat"));
  // In this order: chown clears set-id bits and file capabilities.
  if (Result<void> owned = set_owner(file, "", path.text, entry, &status); !owned) return owned;
  if ((status.st_mode & 07777U) != mode && fchmod(file.number(), mode) != 0)
    return fail(failed(path.text, "chmod"));
  if (Result<void> set = set_attributes(file.number(), path.text, entry); !set) return set;
  const timespec times[2] = {modified(entry), modified(entry)};
  if (futimens(file.number(), times) != 0) return fail(failed(path.text, "set the time"));
  return {};
}

Result<void> LayerWriter::make_link(const EntryPath& path, archive_entry* entry) {
  const char* raw_target = archive_entry_hardlink(entry);
  const Result<EntryPath> target =
      clean(raw_target ? raw_target : "", limits_, UnpackRule::link_target_dotdot);
  if (!target) return fail(target.error());
  if (target->text.empty() || target->text == path.text)
    return fail(refused(UnpackRule::link_target_dotdot, path.text));
  const std::string above = target->parent();
  const UniqueFd target_parent =
      open_beneath(root_, above.empty() ? "." : above.c_str(), O_PATH | O_DIRECTORY,
                   RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  if (!target_parent) {
    return fail(
        refused(errno == ELOOP ? UnpackRule::link_target_symlink : UnpackRule::link_target_missing,
                path.text));
  }
  struct stat status {};
  if (!look(target_parent, target->name(), status))
    return fail(refused(UnpackRule::link_target_missing, path.text));
  if (!S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode) && !S_ISFIFO(status.st_mode)) {
    return fail(refused(UnpackRule::link_target_kind, path.text));
  }
  const Result<BorrowedFd> parent = open_parent(path.parent());
  if (!parent) return fail(parent.error());
  if (Result<void> way = make_way(*parent, path); !way) return way;
  if (linkat(target_parent.number(), target->name(), parent->number(), path.name(), 0) != 0) {
    if (errno == ENOENT) return fail(refused(UnpackRule::link_target_missing, path.text));
    return fail(failed(path.text, "link"));
  }
  return {};
}

Result<void> LayerWriter::make_special(const EntryPath& path, archive_entry* entry) {
  const bool fifo = archive_entry_filetype(entry) == AE_IFIFO;
  if (!fifo && archive_entry_filetype(entry) != AE_IFLNK) {
    note("device nodes dropped");
    return {};
  }
  const Result<BorrowedFd> parent = open_parent(path.parent());
  if (!parent) return fail(parent.error());
  if (Result<void> way = make_way(*parent, path); !way) return way;
  if (fifo) {
    if (mkfifoat(parent->number(), path.name(), 0600) != 0)
      return fail(failed(path.text, "mkfifo"));
  } else {
    const char* target = archive_entry_symlink(entry);
    if (!target || symlinkat(target, parent->number(), path.name()) != 0)
      return fail(failed(path.text, "symlink"));
  }
  if (Result<void> owned = set_owner(*parent, path.name(), path.text, entry); !owned) return owned;
  if (fifo && fchmodat(parent->number(), path.name(), mode_for(entry), 0) != 0)
    return fail(failed(path.text, "chmod"));
  const timespec times[2] = {modified(entry), modified(entry)};
  if (utimensat(parent->number(), path.name(), times, AT_SYMLINK_NOFOLLOW) != 0) {
    return fail(failed(path.text, "set the time"));
  }
  return {};
}

Result<void> LayerWriter::apply(archive* reader, archive_entry* entry) {
  const char* raw = archive_entry_pathname(entry);
  Result<EntryPath> path = clean(raw ? raw : "", limits_, UnpackRule::path_dotdot);
  if (!path) return fail(path.error());
  if (++result_.entries > limits_.entries)
    return fail(refused(UnpackRule::limit_entries, path->text));

  const bool link = archive_entry_hardlink(entry) != nullptr;
  const bool directory = !link && archive_entry_filetype(entry) == AE_IFDIR;
  if (path->text.empty() && !directory) return fail(refused(UnpackRule::root_not_directory, raw));
  if (path->text.starts_with(kAufsMetadata) && path->text != kOpaqueMarker) return {};
  if (path->text.starts_with(kWhiteout) ? path->base > 0
                                        : path->parent().find("/.wh.") != std::string::npos) {
    return fail(refused(UnpackRule::whiteout_name, path->text));
  }
  const bool whiteout = std::string_view(path->name()).starts_with(kWhiteout);
  if (Result<void> settled = settle(*path); !settled) {
    // Gone anyway, as in white_out.
    const bool gone = whiteout && is_refusal(settled.error(), UnpackRule::parent_not_directory);
    return gone && path->name() != kOpaqueMarker ? Result<void>() : settled;
  }
  if (whiteout) return white_out(*path);

  if (link) return make_link(*path, entry);
  if (directory) return make_directory(*path, entry);
  if (archive_entry_filetype(entry) == AE_IFREG) return make_file(*path, reader, entry);
  return make_special(*path, entry);
}

Result<void> LayerWriter::finish() {
  for (const DirectoryTime& directory : directory_times_) {
    const char* name = directory.path.empty() ? "." : directory.path.c_str();
    const UniqueFd opened =
        open_beneath(root_, name, O_RDONLY | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    if (!opened) {
      if (errno == ENOENT || errno == ENOTDIR || errno == EXDEV || errno == ELOOP)
        continue;  // replaced since
      return fail(failed(directory.path, "open"));
    }
    const timespec times[2] = {directory.modified, directory.modified};
    if (futimens(opened.number(), times) != 0) return fail(failed(directory.path, "set the time"));
  }
  return {};
}

}  // namespace

Error refused(UnpackRule rule, std::string_view path) {
  for (const UnpackRuleText& text : kRules) {
    if (text.rule != rule) continue;
    return invalid_image(shown_name(path),
                         std::string(text.sentence) + " [" + std::string(text.name) + "]");
  }
  return invalid_image(shown_name(path), "refused");
}

bool within_ratio(const UnpackLimits& limits, std::uint64_t unpacked, std::uint64_t compressed) {
  return limits.ratio == 0 || unpacked <= limits.ratio_floor ||
         unpacked / limits.ratio <= compressed;
}

Result<LayerResult> unpack_layer(BorrowedFd blob, BorrowedFd growth, BorrowedFd root,
                                 const UnpackLimits& limits, Ownership ownership) {
  Result<std::unique_ptr<ByteSource>> source = ByteSource::open(blob, growth);
  if (!source) return fail(source.error());
  Stream stream(std::move(*source));
  stream.limits = limits;
  stream.blob = blob;
  use_utf8_names();

  const std::unique_ptr<archive, ArchiveFree> reader(archive_read_new());
  archive_read_support_format_tar(reader.get());
  archive_read_support_format_empty(reader.get());
  archive_read_set_read_callback(reader.get(), read_stream);
  archive_read_set_callback_data(reader.get(), &stream);
  int status = archive_read_open1(reader.get());

  LayerWriter writer(root, stream, limits, ownership);
  archive_entry* entry = nullptr;
  while (status >= ARCHIVE_WARN) {
    status = archive_read_next_header(reader.get(), &entry);
    if (status == ARCHIVE_EOF || status < ARCHIVE_WARN) break;
    if (Result<void> applied = writer.apply(reader.get(), entry); !applied) {
      // Damaged data is met as libarchive's error in the middle of an entry; its cause says more.
      return fail(stream.error ? *stream.error : applied.error());
    }
  }
  if (stream.error) return fail(*stream.error);
  if (status != ARCHIVE_EOF) {
    if (archive_errno(reader.get()) == ENOMEM) return fail(out_of_memory());
    const char* text = archive_error_string(reader.get());
    return fail(
        invalid_image("", std::string("is not a tar archive: ") + shown_name(text ? text : "")));
  }
  if (Result<void> finished = writer.finish(); !finished) return fail(finished.error());

  // The digest covers the padding behind the archive's end, too.
  for (;;) {
    const Result<std::string_view> piece = stream.bytes.next();
    if (!piece) return fail(piece.error());
    if (const auto rule = stream.broken()) return fail(refused(*rule, ""));
    if (piece->empty()) break;
  }
  LayerResult result = writer.take_result();
  result.diff_id = stream.bytes.digest();
  return result;
}

}  // namespace cove
