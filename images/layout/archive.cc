#include "images/layout/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>

#include "images/layout/byte_source.h"
#include "images/layout/documents.h"
#include "images/layout/sha256.h"
#include "images/store_index/files.h"
#include "images/store_index/reference.h"
#include "images/unpack/layer.h"
#include "images/unpack/shown_name.h"
#include "runtime/kernel/io.h"

namespace cove {
namespace {

constexpr std::size_t kMaxMembers = 100'000;
constexpr std::size_t kMaxName = 1024;
constexpr std::size_t kPiece = 256 * 1024;
constexpr int kMaxLinks = 8;
constexpr std::string_view kBlobs = "blobs/sha256/";
constexpr std::size_t kFieldsPerMember = 5;

struct Reader {
  void operator()(archive* reader) const { archive_read_free(reader); }
};

struct Stream {
  std::unique_ptr<ByteSource> bytes;
  const UnpackLimits& limits;
  std::uint64_t size = 0;  // of the archive; 0 of a pipe, whose end is not known
  std::uint64_t made = 0;
  std::optional<Error> error;
  std::vector<char> buffer = std::vector<char>(kPiece);

  Result<std::string_view> next() {
    const Result<std::size_t> length = bytes->read(buffer.data(), buffer.size());
    if (!length) return fail(length.error());
    made += *length;
    if (!within_ratio(limits, made, std::max(size, bytes->taken())))
      return fail(refused(UnpackRule::limit_ratio, ""));
    return std::string_view(buffer.data(), *length);
  }
};

la_ssize_t read_stream(archive* reader, void* data, const void** buffer) {
  auto* stream = static_cast<Stream*>(data);
  const Result<std::string_view> piece = stream->next();
  if (!piece) {
    stream->error = piece.error();
    archive_set_error(reader, EIO, "the source failed");
    return -1;
  }
  *buffer = piece->data();
  return static_cast<la_ssize_t>(piece->size());
}

la_int64_t skip_stream(archive*, void* data, la_int64_t count) {
  return static_cast<Stream*>(data)->bytes->skip(count);
}

// "./a//b" -> "a/b", ".." taken back; no file system is asked.
std::string normal_path(std::string_view path) {
  std::string normal;
  for (std::string_view rest = path; !rest.empty();) {
    const std::size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      const std::size_t last = normal.rfind('/');
      normal.resize(last == std::string::npos ? 0 : last);
      continue;
    }
    if (!normal.empty()) normal += '/';
    normal += part;
  }
  return normal;
}

std::string link_target(const std::string& name, archive_entry* entry) {
  if (const char* hard = archive_entry_hardlink(entry)) return normal_path(hard);
  const char* soft = archive_entry_symlink(entry);
  if (!soft) return {};
  const std::size_t slash = name.rfind('/');
  return normal_path((slash == std::string::npos ? std::string() : name.substr(0, slash + 1)) +
                     soft);
}

Error archive_error(const Stream& stream, archive* reader) {
  if (stream.error) return *stream.error;
  if (archive_errno(reader) == ENOMEM) return out_of_memory();
  const char* text = archive_error_string(reader);
  return invalid_image("", std::string("is not an image archive: ") + shown_name(text ? text : ""));
}

Error write_error() { return storage_error("image store", "write to the staging directory", ""); }

Result<void> copy_member(archive* reader, const Stream& stream, BorrowedFd staging,
                         std::uint64_t& left, Member& member) {
  const UniqueFd file(openat(staging.number(), member.staged.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return fail(write_error());
  Sha256 hash;
  for (;;) {
    const void* block = nullptr;
    std::size_t length = 0;
    la_int64_t offset = 0;
    const int status = archive_read_data_block(reader, &block, &length, &offset);
    if (status == ARCHIVE_EOF) break;
    if (status < ARCHIVE_WARN) return fail(archive_error(stream, reader));
    if (length == 0) continue;
    if (static_cast<std::uint64_t>(offset) != member.size) {
      return fail(
          invalid_image("", "the archive holds a sparse member, which no image tool writes"));
    }
    if (length > left) return fail(refused(UnpackRule::limit_bytes, ""));
    const std::string_view bytes(static_cast<const char*>(block), length);
    hash.update(bytes);
    if (!kernel::write_all(file, bytes)) return fail(write_error());
    left -= length;
    member.size += length;
  }
  member.digest = hash.finish();
  return {};
}

}  // namespace

Result<Records> copy_members(BorrowedFd file, BorrowedFd staging, const UnpackLimits& limits,
                             const std::function<bool(const std::string&)>& in_store) {
  Result<std::unique_ptr<ByteSource>> source = ByteSource::open(file);
  if (!source) return fail(source.error());
  struct stat state {};
  if (fstat(file.number(), &state) != 0)
    return fail(errno_error(ErrorCode::setup_failed, "image", "look at the archive"));
  Stream stream{.bytes = std::move(*source),
                .limits = limits,
                .size = static_cast<std::uint64_t>(state.st_size),
                .error = {}};
  const std::unique_ptr<archive, Reader> reader(archive_read_new());
  archive_read_support_format_tar(reader.get());
  archive_read_set_read_callback(reader.get(), read_stream);
  archive_read_set_skip_callback(reader.get(), skip_stream);
  archive_read_set_callback_data(reader.get(), &stream);
  if (archive_read_open1(reader.get()) != ARCHIVE_OK)
    return fail(archive_error(stream, reader.get()));

  Members members;
  std::uint64_t left = limits.bytes;
  for (;;) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(reader.get(), &entry);
    if (status == ARCHIVE_EOF) break;
    if (status < ARCHIVE_WARN) return fail(archive_error(stream, reader.get()));
    const char* raw = archive_entry_pathname(entry);
    const std::string name = normal_path(raw ? raw : "");
    const std::string link = link_target(name, entry);
    if (link.empty() && archive_entry_filetype(entry) != AE_IFREG) continue;
    if (name.empty() || name.size() > kMaxName)
      return fail(invalid_image("", "the archive holds a member without a usable name"));
    if (members.size() >= kMaxMembers)
      return fail(invalid_image("", "the archive holds too many members"));

    Member member;
    member.link = link;
    const std::string digest =
        name.starts_with(kBlobs) ? "sha256:" + name.substr(kBlobs.size()) : std::string();
    if (link.empty() && is_digest(digest) && in_store(digest)) {
      member.digest = digest;
      member.size = static_cast<std::uint64_t>(archive_entry_size(entry));
    } else if (link.empty()) {
      member.staged = "member-" + std::to_string(members.size());
      if (Result<void> copied = copy_member(reader.get(), stream, staging, left, member); !copied) {
        return fail(copied.error());
      }
    }
    if (!members.emplace(name, member).second) {
      // Two answers to one question: which one a tool takes is chance.
      return fail(invalid_image(shown_name(name), "is in the archive twice"));
    }
  }
  // The rest, so that damage at the end of a compressed stream is seen, and a pipe's writer is not
  // cut off.
  for (;;) {
    const Result<std::string_view> piece = stream.next();
    if (!piece) return fail(piece.error());
    if (piece->empty()) break;
    if (piece->size() > left) return fail(refused(UnpackRule::limit_bytes, ""));
    left -= piece->size();
  }
  Records records;
  for (const auto& [name, member] : members) {
    records.insert(records.end(),
                   {name, member.digest, std::to_string(member.size), member.staged, member.link});
  }
  return records;
}

Members members_from(const Records& records) {
  Members members;
  for (std::size_t at = 0; at + kFieldsPerMember <= records.size(); at += kFieldsPerMember) {
    members[records[at]] = {records[at + 1], std::strtoull(records[at + 2].c_str(), nullptr, 10),
                            records[at + 3], records[at + 4]};
  }
  return members;
}

const Member* find_member(const Members& members, const std::string& name) {
  std::string wanted = normal_path(name);
  for (int links = 0; links <= kMaxLinks; ++links) {
    const auto found = members.find(wanted);
    if (found == members.end()) return nullptr;
    if (found->second.link.empty()) return &found->second;
    wanted = found->second.link;
  }
  return nullptr;
}

}  // namespace cove
