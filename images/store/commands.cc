#include "images/store/commands.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <iomanip>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>

#include "images/store/ids.h"
#include "images/store/save.h"
#include "images/store/source.h"
#include "images/store/store.h"
#include "images/store_index/record.h"
#include "images/store_index/reference.h"

namespace cove {
namespace {

using nlohmann::ordered_json;

std::string dump(const ordered_json& document, int indent = -1) {
  return document.dump(indent, ' ', false, ordered_json::error_handler_t::replace);
}

std::string short_digest(const std::string& digest) {
  return digest.substr(0, sizeof("sha256:") - 1 + 12);
}

std::string mebibyte_text(std::uint64_t bytes) {
  std::array<char, 32> text{};
  const double mebi = static_cast<double>(bytes) / (1024.0 * 1024.0);
  std::snprintf(text.data(), text.size(), mebi < 10 ? "%.1f MiB" : "%.0f MiB", mebi);
  return text.data();
}

std::string plural(std::uint64_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

struct ListedImage {
  std::string name;  // empty: none
  ImageRecord record;
};

// By name; images without one behind.
Result<std::vector<ListedImage>> list_images(const std::string& store) {
  std::map<std::string, ImageRecord> records;
  for (const std::string& digest : digests_of(store)) {
    Result<ImageRecord> record = read_image_record(store, digest);
    if (!record && record.error().sys_errno == ENOENT) continue;  // removed just now
    if (!record) return fail(record.error());
    records.emplace(digest, std::move(*record));
  }
  std::vector<ListedImage> images;
  std::map<std::string, bool> named;
  for (const std::string& name : names_of(store)) {
    const Result<ImageFacts> facts = find_image(store, name);
    if (!facts || !records.contains(facts->digest)) continue;
    named[facts->digest] = true;
    images.push_back({name, records.at(facts->digest)});
  }
  for (const auto& [digest, record] : records) {
    if (!named[digest]) images.push_back({"", record});
  }
  return images;
}

ordered_json json_of(const ImageConfig& config) {
  return {{"entrypoint", config.entrypoint},
          {"command", config.command},
          {"env", config.env},
          {"workdir", config.workdir},
          {"user", config.user}};
}

std::vector<std::string> names_for(const std::string& store, const std::string& digest) {
  std::vector<std::string> names;
  for (const std::string& name : names_of(store)) {
    const Result<ImageFacts> facts = find_image(store, name);
    if (facts && facts->digest == digest) names.push_back(name);
  }
  return names;
}

// A store whose content is locked. Shared: nothing that is used is removed meanwhile.
struct LockedStore {
  Store store;
  FileLock content;
};
Result<LockedStore> open_locked(const std::string& directory, FileLock::Mode mode) {
  const Result<StoreIds> ids = settle_store_ids(directory);
  if (!ids) return fail(ids.error());
  Result<Store> store = Store::open(directory, *ids);
  if (!store) return fail(store.error());
  Result<FileLock> content = store->lock_content(mode);
  if (!content) return fail(content.error());
  return LockedStore{std::move(*store), std::move(*content)};
}

}  // namespace

Result<void> load_command(const LoadOptions& options, OutputFormat format, std::ostream& out,
                          std::ostream& err) {
  const Result<StoreIds> ids = settle_store_ids(options.store);
  if (!ids) return fail(ids.error());
  LoadOptions complete = options;
  complete.ids = *ids;
  const Result<LoadResult> result = load_image(complete);
  if (!result) return fail(result.error());
  if (format == OutputFormat::quiet) return {};
  const std::string name = result->names.empty() ? "" : result->names.front();
  if (format == OutputFormat::json) {
    out << dump({{"name", name},
                 {"names", result->names},
                 {"digest", result->digest},
                 {"layers", result->layers},
                 {"size", result->size},
                 {"already_loaded", result->already_loaded},
                 {"notes", result->notes}})
        << '\n';
    return {};
  }
  for (const std::string& note : result->notes) err << "note: " << note << '\n';
  out << "Loaded " << (name.empty() ? "an image without a name" : name) << " ("
      << short_digest(result->digest) << ", " << plural(result->layers, "layer") << ", "
      << mebibyte_text(result->size) << ")\n";
  return {};
}

Result<void> ls_command(const std::string& store, OutputFormat format, std::ostream& out) {
  const Result<std::vector<ListedImage>> images = list_images(store);
  if (!images) return fail(images.error());
  if (format == OutputFormat::json) {
    ordered_json list = ordered_json::array();
    for (const ListedImage& image : *images) {
      list.push_back({{"name", image.name},
                      {"digest", image.record.digest},
                      {"layers", image.record.layer_count},
                      {"size", image.record.size},
                      {"created", image.record.created}});
    }
    out << dump(list) << '\n';
    return {};
  }
  std::size_t width = sizeof("NAME") - 1;
  for (const ListedImage& image : *images) width = std::max(width, image.name.size());
  const int column = static_cast<int>(width) + 2;
  out << std::left << std::setw(column) << "NAME" << std::setw(22) << "DIGEST" << std::setw(8)
      << "LAYERS"
      << "SIZE\n";
  for (const ListedImage& image : *images) {
    out << std::setw(column) << (image.name.empty() ? "-" : image.name) << std::setw(22)
        << short_digest(image.record.digest) << std::setw(8) << image.record.layer_count
        << mebibyte_text(image.record.size) << '\n';
  }
  return {};
}

Result<void> inspect_command(const std::string& store, const std::string& reference,
                             std::ostream& out) {
  const Result<ImageFacts> facts = find_image(store, reference);
  if (!facts) return fail(facts.error());
  const Result<ImageRecord> record = read_image_record(store, facts->digest);
  if (!record) return fail(record.error());
  out << dump({{"names", names_for(store, record->digest)},
               {"digest", record->digest},
               {"created", record->created},
               {"size", record->size},
               {"layer_count", record->layer_count},
               {"layers", facts->layers},
               {"config", json_of(record->config)}},
              2)
      << '\n';
  return {};
}

Result<void> save_command(const std::string& directory, const std::vector<std::string>& references,
                          const std::string& file) {
  if (file.empty() && isatty(1)) {
    Error error;
    error.code = ErrorCode::invalid_argument;
    error.step = "image save";
    error.what = "standard output is a terminal";
    error.hint = "name a file with --output, or write into a pipe";
    return fail(error);
  }
  const Result<LockedStore> locked = open_locked(directory, FileLock::Mode::shared);
  if (!locked) return fail(locked.error());
  if (file.empty()) return save_images(locked->store, references, BorrowedFd(1), "standard output");

  // Aside first: what has that name stays until there is something better.
  const std::string aside = file + ".cove-" + std::to_string(getpid());
  const UniqueFd out(open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!out) return fail(io_error("create", aside));
  Result<void> done = save_images(locked->store, references, out, aside);
  if (done && fsync(out.number()) != 0) done = fail(io_error("fsync", aside));
  if (done && rename(aside.c_str(), file.c_str()) != 0) done = fail(io_error("rename", file));
  if (!done) unlink(aside.c_str());
  return done;
}

Result<void> tag_command(const std::string& directory, const std::string& reference,
                         const std::vector<std::string>& names) {
  std::vector<std::string> normal;
  std::vector<Error> mistakes;
  for (const std::string& name : names) {
    const Result<std::string> one = normal_name(name);
    if (one) {
      normal.push_back(*one);
    } else {
      mistakes.push_back(one.error());
    }
  }
  if (!mistakes.empty()) return fail(one_error(std::move(mistakes)));
  const Result<LockedStore> locked = open_locked(directory, FileLock::Mode::shared);
  if (!locked) return fail(locked.error());
  const Store& store = locked->store;
  const Result<FileLock> index = store.lock_index();
  if (!index) return fail(index.error());
  const Result<ImageFacts> facts = find_image(store.directory(), reference);
  if (!facts) return fail(facts.error());
  const Result<ImageRecord> record = read_image_record(store.directory(), facts->digest);
  if (!record) return fail(record.error());
  const Result<StoredManifest> manifest = store.manifest_of(facts->digest);
  if (!manifest) return fail(manifest.error());
  return store.put_image(*record, manifest->descriptor, normal);
}

Result<void> verify_command(const std::string& directory, Repair repair, OutputFormat format,
                            std::ostream& out) {
  const Result<LockedStore> locked = open_locked(
      directory, repair == Repair::yes ? FileLock::Mode::exclusive : FileLock::Mode::shared);
  if (!locked) return fail(locked.error());
  const Result<Verified> verified = verify_store(locked->store, repair);
  if (!verified) return fail(verified.error());

  std::uint64_t left = 0;
  ordered_json damage = ordered_json::array();
  for (const Damage& one : verified->damage) {
    left += one.repaired ? 0 : 1;
    damage.push_back({{"image", one.image},
                      {"where", one.where},
                      {"what", one.what},
                      {"repaired", one.repaired}});
    if (format == OutputFormat::text)
      out << one.where << ": " << one.what << (one.repaired ? " (repaired)" : "") << '\n';
  }
  if (format == OutputFormat::json) {
    out << dump({{"images", verified->images},
                 {"layers", verified->layers},
                 {"blobs", verified->blobs},
                 {"damage", damage}})
        << '\n';
  } else if (format == OutputFormat::text) {
    out << "Verified " << plural(verified->images, "image") << ": "
        << plural(verified->layers, "layer") << ", " << plural(verified->blobs, "blob") << '\n';
  }
  if (left == 0) return {};
  Error error = invalid_image(locked->store.directory(), plural(left, "part") + " damaged");
  error.hint = repair == Repair::yes ? "load the images again, from where they came"
                                     : "verify --repair mends what can be mended";
  return fail(error);
}

Result<void> rm_command(const std::string& directory, const std::vector<std::string>& references,
                        OutputFormat format, std::ostream& out, std::ostream& err) {
  const Result<StoreIds> ids = settle_store_ids(directory);
  if (!ids) return fail(ids.error());
  const Result<Store> store = Store::open(directory, *ids);
  if (!store) return fail(store.error());
  // A load counts on layers that it found. Whoever removes some waits for it.
  Result<FileLock> content = store->lock_content(FileLock::Mode::exclusive, FileLock::Wait::refuse);
  if (content && !content->held()) {
    err << "waiting for a load that is under way\n" << std::flush;
    content = store->lock_content(FileLock::Mode::exclusive);
  }
  if (!content) return fail(content.error());
  const Result<FileLock> index = store->lock_index();
  if (!index) return fail(index.error());

  std::vector<Error> mistakes;
  for (const std::string& reference : references) {
    const Result<std::string> name = normal_name(reference);
    Result<std::vector<std::string>> gone = std::vector<std::string>();
    if (name) gone = store->remove_image(*name);
    if (!gone) return fail(gone.error());
    std::string removed = reference;
    if (gone->empty()) {
      const Result<ImageFacts> facts = find_image(store->directory(), reference);
      if (!facts) {
        mistakes.push_back(facts.error());
        continue;
      }
      gone = store->remove_image(facts->digest);
      if (!gone) return fail(gone.error());
      removed = facts->digest;
    }
    if (format == OutputFormat::text) out << "Removed " << removed << '\n';
  }
  const Result<std::uint64_t> freed = store->collect_garbage();
  if (!freed) return fail(freed.error());
  if (!mistakes.empty()) return fail(one_error(std::move(mistakes)));
  return {};
}

}  // namespace cove
