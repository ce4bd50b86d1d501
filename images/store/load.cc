#include "images/store/load.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "images/registry/daemon.h"
#include "images/registry/reference.h"
#include "images/store/disk_space.h"
#include "images/store/publish.h"
#include "images/store/registry_source.h"
#include "images/store/select.h"
#include "images/store/source.h"
#include "images/store/store.h"
#include "images/store/unpacker.h"
#include "images/store_index/files.h"
#include "images/store_index/reference.h"
#include "runtime/kernel/io.h"

namespace cove {
namespace {

// What a transport gave when it was loaded.
std::optional<TransportRecord> read_transport_record(const Store& store, const std::string& file) {
  const std::string path = store.path(file);
  const UniqueFd opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened) return {};
  const Result<std::string> text = read_regular(opened, kRecordCap, Oversize::refuse, path);
  if (!text) return {};
  Result<TransportRecord> record = transport_record_from(*text, path);
  if (!record) return {};
  return std::move(*record);
}

// The image that this archive gave when it was loaded, if neither it nor the store has changed.
std::optional<ImageRecord> loaded_before(const Store& store, const Opened& opened, KeepBlobs keep,
                                         std::vector<std::string>& names) {
  if (!opened.lasting) return {};
  const std::optional<TransportRecord> record =
      read_transport_record(store, transport_path(opened.transport, opened.state));
  if (!record || record->selector != opened.transport.selector ||
      !same_stamp(*record, opened.state))
    return {};
  names = record->names;
  return complete_image(store.directory(), record->digest, keep);
}

// The name that it was asked for by. None: an id (of hex digits, as a name may be, so it is compared), or a digest in
// place of a tag.
std::vector<std::string> names_in(const DaemonImage& image) {
  const bool is_id =
      image.id.starts_with(image.name) || digest_hex(image.id).starts_with(image.name);
  const Result<RegistryReference> reference = parse_registry_reference(image.name);
  if (is_id || !reference || reference->tag.empty()) return {};
  Result<std::string> name = normal_name(image.name.substr(0, image.name.find('@')));
  return name ? std::vector{std::move(*name)} : std::vector<std::string>();
}

// One load, its store open and its content locked.
class Load {
 public:
  Load(const Store& store, const LoadOptions& options, std::vector<std::string> names)
      : store_(store), options_(options), names_(std::move(names)) {}

  Result<LoadResult> from_path(const Transport& transport);
  Result<LoadResult> from_registry(const Transport& transport);
  Result<LoadResult> from_daemon(const Transport& transport);

 private:
  Result<LoadResult> known(const ImageRecord& record, const std::vector<std::string>& names_before);
  Result<LoadResult> unpack(const Staging& staging, Source& source, const Selected& selected);

  const Store& store_;
  const LoadOptions& options_;
  const std::vector<std::string> names_;  // asked for; empty: those that the image brings
};

Result<LoadResult> Load::known(const ImageRecord& record,
                               const std::vector<std::string>& names_before) {
  LoadResult result;
  result.names = names_.empty() ? names_before : names_;
  if (Result<void> named = name_image(store_, record, result.names); !named)
    return fail(named.error());
  result.digest = record.digest;
  result.layers = record.layer_count;
  result.size = record.size;
  result.already_loaded = true;
  return result;
}

Result<LoadResult> Load::unpack(const Staging& staging, Source& source, const Selected& selected) {
  const auto failed = [&](const Error& error) {
    return fail(say_room(error, store_, staging, packed_size(selected)));
  };
  Unpacker unpacker(store_, staging, source, options_.limits);
  if (Result<void> unpacked = unpacker.unpack(selected, options_.progress); !unpacked)
    return failed(unpacked.error());
  for (const Blob& blob : selected.blobs) {  // also of layers that were unpacked already
    if (Result<void> complete = source.complete(blob); !complete) return failed(complete.error());
  }
  Result<LoadResult> result =
      publish_image(store_, staging, selected, unpacker, options_.keep_blobs,
                    names_.empty() ? selected.names : names_);
  if (!result) return failed(result.error());
  return result;
}

Result<LoadResult> Load::from_path(const Transport& transport) {
  Result<Opened> opened = open_transport(transport);
  if (!opened) return fail(opened.error());
  std::vector<std::string> names_before;
  if (const auto record = loaded_before(store_, *opened, options_.keep_blobs, names_before))
    return known(*record, names_before);

  const Result<Staging> staging = store_.stage();
  if (!staging) return fail(staging.error());
  const Result<std::unique_ptr<Source>> source =
      make_source(store_, *staging, *opened, options_.limits, options_.keep_blobs);
  const bool sized = S_ISREG(opened->state.st_mode) && !opened->stamped;
  const auto archive_size =
      sized ? std::optional(static_cast<std::uint64_t>(opened->state.st_size)) : std::nullopt;
  if (!source) return fail(say_room(source.error(), store_, *staging, archive_size));
  const Result<Selected> selected =
      select_image(**source, *staging, opened->transport, options_.platform);
  if (!selected) {
    Error error = selected.error();
    if (error.where.empty()) error.where = opened->transport.path;
    return fail(say_room(error, store_, *staging, archive_size));
  }
  Result<LoadResult> result = unpack(*staging, **source, *selected);
  if (!result || !unchanged(*opened)) return result;
  TransportRecord loaded;
  loaded.selector = opened->transport.selector;
  stamp(loaded, opened->state);
  loaded.digest = result->digest;
  loaded.names = selected->names;
  const std::string path = transport_path(opened->transport, opened->state);
  if (Result<void> written = store_.write_file(path, to_text(loaded)); !written)
    return fail(written.error());
  return result;
}

Result<LoadResult> Load::from_registry(const Transport& transport) {
  const Result<RegistryReference> reference = parse_registry_reference(transport.path);
  if (!reference) return fail(reference.error());
  std::vector<std::string> own_names;
  if (!reference->tag.empty()) {
    Result<std::string> name = normal_name(reference->place() + ":" + reference->tag);
    if (!name && names_.empty()) return fail(name.error());
    if (name) own_names.push_back(std::move(*name));
  }
  if (const auto record =
          complete_image(store_.directory(), reference->digest, options_.keep_blobs))
    return known(*record, own_names);  // content that has not changed, since it is named by digest

  const Result<std::vector<Endpoint>> endpoints = endpoints_for(*reference, options_.registries);
  if (!endpoints) return fail(endpoints.error());
  const Result<Staging> staging = store_.stage();
  if (!staging) return fail(staging.error());
  const UniqueFd ground = make_unpack_namespace(store_.ids());
  Result<Fetcher> fetcher = Fetcher::start(*endpoints, options_.fetch, ground);
  if (!fetcher) return fail(fetcher.error());
  RegistrySource source(store_, *staging, options_.keep_blobs, std::move(*fetcher),
                        options_.limits.bytes);
  const Result<Descriptor> top = source.resolve(reference->version());
  if (!top) return fail(top.error());
  Result<Documents> documents = follow_indexes(source, *top, options_.platform);
  if (!documents) return fail(documents.error());
  const std::string& digest = documents->manifest_blob.descriptor.digest;
  if (const auto record = complete_image(store_.directory(), digest, options_.keep_blobs))
    return known(*record, own_names);
  Result<Selected> selected = select_layers(source, std::move(*documents));
  if (!selected) return fail(say_room(selected.error(), store_, *staging, std::nullopt));
  selected->names = own_names;
  return unpack(*staging, source, *selected);
}

Result<LoadResult> Load::from_daemon(const Transport& transport) {
  const Result<DaemonImage> image = find_daemon_image(transport.path, options_.fetch.retry.stall);
  if (!image) return fail(image.error());
  const std::string record_file = daemon_path(image->id);
  const std::vector<std::string> own_names = names_in(*image);
  if (const auto before = read_transport_record(store_, record_file)) {
    if (const auto record = complete_image(store_.directory(), before->digest, options_.keep_blobs))
      return known(*record, own_names);
  }

  const Result<Staging> staging = store_.stage();
  if (!staging) return fail(staging.error());
  const auto failed = [&](Error error) {
    if (error.where.empty()) error.where = transport.path;
    return fail(say_room(std::move(error), store_, *staging, std::nullopt));
  };
  kernel::Pipe pipe = kernel::make_pipe();
  if (!pipe) return fail(errno_error(ErrorCode::resource_exhausted, "image store", "pipe"));
  Result<ConfinedProcess> exporting = export_daemon_image(*image, pipe.writing);
  if (!exporting) return fail(exporting.error());
  pipe.writing.reset();
  Opened opened;
  opened.transport.kind = TransportKind::docker_daemon;
  opened.transport.path = transport.path;
  opened.file = std::move(pipe.reading);
  const Result<std::unique_ptr<Source>> source =
      make_source(store_, *staging, opened, options_.limits, options_.keep_blobs);
  opened.file.reset();
  // What ended the archive early comes before what is said of such an archive. One that was refused before its end is
  // not waited for.
  if (source || exporting->has_answered()) {
    const Result<Records> exported = exporting->finish();
    if (!exported) return fail(exported.error());
  }
  if (!source) return failed(source.error());
  Result<Selected> selected = select_image(**source, *staging, opened.transport, options_.platform);
  if (!selected) return failed(selected.error());
  selected->names = own_names;
  Result<LoadResult> result = unpack(*staging, **source, *selected);
  if (!result) return result;
  TransportRecord loaded;
  loaded.digest = result->digest;
  loaded.names = own_names;
  if (Result<void> written = store_.write_file(record_file, to_text(loaded)); !written)
    return fail(written.error());
  return result;
}

}  // namespace

Result<LoadResult> load_image(const LoadOptions& options) {
  std::vector<std::string> names;
  if (!options.name.empty()) {
    Result<std::string> name = normal_name(options.name);
    if (!name) return fail(name.error());
    names.push_back(std::move(*name));
  }
  Result<std::optional<Transport>> parsed = parse_transport(options.reference);
  if (!parsed) return fail(parsed.error());
  const Transport transport =
      *parsed ? **parsed : Transport{TransportKind::file, options.reference, {}};
  const Result<Store> store = Store::open(options.store, options.ids);
  if (!store) return fail(store.error());
  const Result<FileLock> content = store->lock_content(FileLock::Mode::shared);
  if (!content) return fail(content.error());
  Load load(*store, options, std::move(names));
  switch (transport.kind) {
    case TransportKind::registry:
      return load.from_registry(transport);
    case TransportKind::docker_daemon:
      return load.from_daemon(transport);
    default:
      return load.from_path(transport);
  }
}

}  // namespace cove
