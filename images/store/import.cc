#include "images/store/import.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "images/layout/byte_source.h"
#include "images/layout/sha256.h"
#include "images/pack/directory.h"
#include "images/pack/gzip_writer.h"
#include "images/store/publish.h"
#include "images/store/select.h"
#include "images/store/source.h"
#include "images/unpack/layer.h"
#include "images/unpack/shown_name.h"
#include "runtime/kernel/io.h"

namespace cove {
namespace {

constexpr const char* kLayer = "layer";  // files in staging
constexpr const char* kConfig = "config";
constexpr const char* kCreatedBy = "cove image import";
constexpr std::size_t kPiece = 256 * 1024;

// Compressions that are not read, and what reads them.
struct ForeignFormat {
  std::string_view magic, program;
};
constexpr std::array<ForeignFormat, 4> kForeignFormats{{{"\xFD"
                                                         "7zXZ",
                                                         "xz"},
                                                        {"BZh", "bzip2"},
                                                        {"\x04\x22\x4D\x18", "lz4"},
                                                        {"LZIP", "lzip"}}};

Error limit_error() { return refused(UnpackRule::limit_bytes, ""); }

Error import_error(ErrorCode code, const std::string& where, std::string what, std::string hint) {
  Error error;
  error.code = code;
  error.step = "import";
  error.where = shown_name(where);
  error.what = std::move(what);
  error.hint = std::move(hint);
  return error;
}

// The store would be packed while it is written: without end.
Result<void> check_store_outside(const std::string& source, const std::string& store) {
  std::error_code ignored;
  const auto inner = std::filesystem::weakly_canonical(std::filesystem::absolute(store), ignored);
  const auto outer = std::filesystem::canonical(source, ignored);
  const auto [end, rest] = std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
  if (outer.empty() || end != outer.end()) return {};
  return fail(import_error(ErrorCode::invalid_argument, source,
                           "holds the image store " + inner.string(),
                           "choose another store with --store, or a directory without it"));
}

Records records_from(const Notes& notes) {
  Records records;
  for (const auto& [text, count] : notes)
    records.insert(records.end(), {text, std::to_string(count)});
  return records;
}

Result<void> start_packing(RootFilesystem& root, UniqueFd directory, const UnpackLimits& limits) {
  kernel::Pipe pipe = kernel::make_pipe();
  if (!pipe) return fail(errno_error(ErrorCode::resource_exhausted, "import", "pipe"));
  root.tar = std::move(pipe.reading);
  const UniqueFd out = std::move(pipe.writing);
  Needs needs;
  needs.capabilities = {CAP_DAC_READ_SEARCH};
  needs.keep = {directory.number(), out.number()};
  needs.readable = {"/proc/self/fd/" + std::to_string(directory.number())};
  needs.descriptors =
      static_cast<int>(limits.path_depth) * 2 + 32;  // each directory above stays open
  Result<ConfinedProcess> packer = ConfinedProcess::start(needs, [&]() -> Result<Records> {
    const Result<Notes> notes = pack_directory(directory, out, limits);
    if (!notes) return fail(notes.error());
    return records_from(*notes);
  });
  if (!packer) return fail(packer.error());
  root.packer.emplace(std::move(*packer));
  return {};
}

struct TakenLayer {
  Blob blob;
  std::string diff_id;
};

// Into staging as it is.
Result<Descriptor> copy_hashed(BorrowedFd from, BorrowedFd to, std::uint64_t limit) {
  Descriptor descriptor;
  Sha256 hash;
  std::vector<char> buffer(kPiece);
  for (;;) {
    const ssize_t got = read(from.number(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno_error(ErrorCode::image_invalid, "import", "read"));
    if (got == 0) break;
    const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
    descriptor.size += bytes.size();
    if (descriptor.size > limit) return fail(limit_error());
    hash.update(bytes);
    if (!kernel::write_all(to, bytes)) return fail(io_error("write", "staging"));
  }
  descriptor.digest = hash.finish();
  return descriptor;
}

Result<std::string> diff_id_of(BorrowedFd file, std::uint64_t limit) {
  Result<std::unique_ptr<ByteSource>> source = ByteSource::open(file);
  if (!source) return fail(source.error());
  HashedSource bytes(std::move(*source));
  for (;;) {
    const Result<std::string_view> piece = bytes.next();
    if (!piece) return fail(piece.error());
    if (bytes.count() > limit) return fail(limit_error());
    if (piece->empty()) return bytes.digest();
  }
}

Result<Compression> compression_in(BorrowedFd file) {
  std::array<char, 8> first{};
  const ssize_t got = pread(file.number(), first.data(), first.size(), 0);
  if (got < 0) return fail(io_error("read", kLayer));
  const std::string_view start(first.data(), static_cast<std::size_t>(got));
  if (start.empty())
    return fail(invalid_image("", "is empty", "the program that writes it may have failed"));
  for (const ForeignFormat& format : kForeignFormats) {
    const std::string program(format.program);
    if (start.starts_with(format.magic))
      return fail(invalid_image("", "is compressed by " + program + ", which is not read here",
                                program + " -dc FILE | cove image import -"));
  }
  return compression_of(start);
}

// In a process of its own, which has no right but to read the stream and to write into staging.
Result<Records> copy_layer(BorrowedFd from, BorrowedFd file, std::uint64_t limit) {
  const Result<Descriptor> copied = copy_hashed(from, file, limit);
  if (!copied) return fail(copied.error());
  const Result<Compression> compression = compression_in(file);
  if (!compression) return fail(compression.error());
  if (lseek(file.number(), 0, SEEK_SET) != 0) return fail(io_error("seek", kLayer));
  const Result<std::string> diff_id = diff_id_of(file, limit);
  if (!diff_id) return fail(diff_id.error());
  return Records{copied->digest, std::to_string(copied->size), layer_media_type(*compression),
                 *diff_id};
}

// What the packer left out; its error, if that is why the stream broke off.
Result<Records> finish_packing(RootFilesystem& root, const Result<Records>& copied) {
  root.tar.reset();
  Result<Records> packed = root.packer ? root.packer->finish() : Records{};
  const bool cut_off = !packed && packed.error().sys_errno == EPIPE;
  if (!copied && (packed || cut_off)) return fail(copied.error());
  return packed;
}

Result<TakenLayer> take_layer(RootFilesystem& root, const Staging& staging, std::uint64_t limit,
                              std::vector<std::string>& notes) {
  const Result<UniqueFd> file = staging.create_file(kLayer);
  if (!file) return fail(file.error());
  Needs needs;
  needs.keep = {root.tar.number(), file->number()};
  needs.file_bytes = limit;
  Result<ConfinedProcess> copier =
      ConfinedProcess::start(needs, [&] { return copy_layer(root.tar, *file, limit); });
  if (!copier) return fail(copier.error());
  const Result<Records> copied = copier->finish();
  const Result<Records> left_out = finish_packing(root, copied);
  if (!left_out) return fail(left_out.error());
  for (std::size_t at = 0; at + 1 < left_out->size(); at += 2)
    notes.push_back((*left_out)[at] + ": " + (*left_out)[at + 1]);
  if (copied->size() != 4) {
    Error error;
    error.what = "the copying process gave a malformed answer";
    return fail(error);
  }
  TakenLayer layer;
  layer.blob.staged = kLayer;
  layer.blob.descriptor.digest = (*copied)[0];
  layer.blob.descriptor.size = std::strtoull((*copied)[1].c_str(), nullptr, 10);
  layer.blob.descriptor.media_type = (*copied)[2];
  layer.diff_id = (*copied)[3];
  return layer;
}

Result<Selected> image_around(const TakenLayer& layer, const ImageSettings& settings,
                              const Staging& staging) {
  const std::string text = configuration_text(settings, {layer.diff_id}, kCreatedBy);
  Result<Configuration> configuration = parse_configuration(text, "the new configuration");
  if (!configuration) return fail(configuration.error());
  Blob config;
  config.staged = kConfig;
  config.descriptor.digest = sha256_of(text);
  config.descriptor.size = text.size();
  if (auto written = staging.write_file(kConfig, text); !written) return fail(written.error());
  const Result<Blob> manifest = stage_manifest(staging, config.descriptor, {layer.blob.descriptor});
  if (!manifest) return fail(manifest.error());
  Selected selected;
  selected.manifest = manifest->descriptor;
  selected.configuration = std::move(*configuration);
  selected.layers = {layer.blob};
  selected.blobs = {layer.blob, config, *manifest};
  return selected;
}

// `docker save` and `docker export` are easily mistaken for each other.
Result<void> check_is_root(const Store& store, const Staging& staging, const Unpacker& unpacker,
                           const std::string& diff_id) {
  const std::string layer = unpacker.unpacked().empty()
                                ? layer_path(diff_id)
                                : staging.path() + "/" + unpacker.unpacked().front().staged;
  const auto has = [&](const char* name) { return store.has(layer + "/" + name); };
  if (!(has("oci-layout") && has("index.json")) && !(has("manifest.json") && has("repositories")))
    return {};
  return fail(invalid_image("", "is an image already, not the root filesystem for one",
                            "load it: cove image load"));
}

Error named(Error error, const std::string& shown) {
  if (error.where.empty()) error.where = shown;
  return error;
}

}  // namespace

Result<RootFilesystem> open_root(const std::string& source, const std::string& store,
                                 const UnpackLimits& limits) {
  RootFilesystem root;
  const bool piped = source == "-";
  root.shown = piped ? "standard input" : shown_name(source);
  UniqueFd file(piped ? fcntl(0, F_DUPFD_CLOEXEC, 3)
                      : open(source.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  struct stat status {};
  if (!file || fstat(file.number(), &status) != 0) {
    const ErrorCode code =
        errno == EACCES ? ErrorCode::permission_denied : ErrorCode::image_not_found;
    return fail(named(errno_error(code, "import", "open"), root.shown));
  }
  if (piped && isatty(0))
    return fail(import_error(ErrorCode::invalid_argument, root.shown, "is a terminal",
                             "pipe a tar archive into it"));
  if (!S_ISDIR(status.st_mode)) {
    root.tar = std::move(file);
    return root;
  }
  if (Result<void> outside = check_store_outside(piped ? "/proc/self/fd/0" : source, store);
      !outside)
    return fail(outside.error());
  if (Result<void> started = start_packing(root, std::move(file), limits); !started)
    return fail(started.error());
  return root;
}

Result<LoadResult> import_image(const ImportOptions& options, RootFilesystem root) {
  const Result<Store> store = Store::open(options.store, options.ids);
  if (!store) return fail(store.error());
  const Result<FileLock> content = store->lock_content(FileLock::Mode::shared);
  if (!content) return fail(content.error());
  const Result<Staging> staging = store->stage();
  if (!staging) return fail(staging.error());

  std::vector<std::string> notes;
  const Result<TakenLayer> layer = take_layer(root, *staging, options.limits.bytes, notes);
  if (!layer) return fail(named(layer.error(), root.shown));
  const Result<Selected> selected = image_around(*layer, options.settings, *staging);
  if (!selected) return fail(selected.error());
  StoredSource source(*store, *staging);
  Unpacker unpacker(*store, *staging, source, options.limits);
  if (Result<void> unpacked = unpacker.unpack(*selected); !unpacked)
    return fail(named(unpacked.error(), root.shown));
  if (auto is_root = check_is_root(*store, *staging, unpacker, layer->diff_id); !is_root)
    return fail(named(is_root.error(), root.shown));

  Result<LoadResult> published =
      publish_image(*store, *staging, *selected, unpacker, KeepBlobs::yes, options.names);
  if (published) published->notes.insert(published->notes.begin(), notes.begin(), notes.end());
  return published;
}

}  // namespace cove
