// find_image: a name is one open and one read (the name's file is a link to the record); an archive
// is one stat more and two reads; only a digest's prefix, and a name that is not there, list
// directories. To hold an image is a flock and a stat of its record, beside that.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <ctime>

#include "images/store_index/files.h"
#include "images/store_index/record.h"
#include "images/store_index/reference.h"

namespace cove {
namespace {

constexpr std::size_t kMinimumPrefix = 12;
constexpr std::size_t kNamesInMessage = 12;

Error not_found(std::string_view reference, std::string what, std::string hint) {
  Error error;
  error.code = ErrorCode::image_not_found;
  error.step = "image";
  error.what = "\"" + std::string(reference) + "\" " + std::move(what);
  error.hint = std::move(hint);
  return error;
}

Error unknown_image(const std::string& store, std::string_view reference) {
  const std::vector<std::string> names = names_of(store);
  std::string hint = "the store has no images; load one with: cove image load FILE";
  if (!names.empty()) {
    hint = "the store has ";
    const std::size_t shown = std::min(names.size(), kNamesInMessage);
    for (std::size_t i = 0; i < shown; ++i) hint += (i ? ", " : "") + names[i];
    if (shown < names.size()) hint += " and " + std::to_string(names.size() - shown) + " more";
  }
  return not_found(reference, "is not in the store " + store, hint);
}

// ENOENT is told apart from all else by image_not_found.
Result<UniqueFd> open_store_file(const std::string& path) {
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file) return file;
  const ErrorCode code = errno == ENOENT || errno == ENOTDIR ? ErrorCode::image_not_found
                         : errno == EACCES                   ? ErrorCode::permission_denied
                                                             : ErrorCode::image_invalid;
  Error error = errno_error(code, "image store", "open");
  error.where = path;
  return fail(error);
}

Result<std::string> read_store_file(const std::string& path) {
  const Result<UniqueFd> file = open_store_file(path);
  if (!file) return fail(file.error());
  return read_regular(*file, kRecordCap, Oversize::refuse, path);
}

enum class Hold { no, yes };

// A record that is locked, and was still in its place when it was: who removes an image locks its
// record first (Store::claim_image). Where the file system has no locks, nobody can remove images
// either.
Result<UniqueFd> open_held(const std::string& path, struct stat& status) {
  for (;;) {
    Result<UniqueFd> file = open_store_file(path);
    if (!file) return file;
    while (flock(file->number(), LOCK_SH) != 0 && errno == EINTR) {
    }
    if (fstat(file->number(), &status) != 0 || status.st_nlink > 0) return file;
  }
}

bool is_recent(const timespec& time) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec >= time.tv_sec && now.tv_sec - time.tv_sec < kUseNotedSeconds;
}

Result<HeldImage> read_facts(const std::string& store, const std::string& path,
                             std::string_view reference, Hold hold) {
  const std::string name = store + "/" + path;
  struct stat status {};
  Result<UniqueFd> file = hold == Hold::yes ? open_held(name, status) : open_store_file(name);
  if (!file) return fail(file.error());
  const Result<std::string> text = read_regular(*file, kRecordCap, Oversize::refuse, name);
  if (!text) return fail(text.error());
  const Result<ImageRecord> record = image_record_from(*text, name);
  if (!record) return fail(record.error());
  HeldImage found{facts_of(*record, store, reference), {}, false};
  if (hold == Hold::no) return found;
  found.use_is_noted = is_recent(status.st_mtim);
  found.hold = ImageHold(file->release());
  return found;
}

Result<HeldImage> find_digest(const std::string& store, std::string_view reference,
                              std::string_view hex, Hold hold) {
  if (hex.size() == 64)
    return read_facts(store, record_path("sha256:" + std::string(hex)), reference, hold);
  std::vector<std::string> matches;
  for (std::string& digest : digests_of(store)) {
    if (digest_hex(digest).starts_with(hex)) matches.push_back(std::move(digest));
  }
  if (matches.size() == 1) return read_facts(store, record_path(matches.front()), reference, hold);
  if (matches.empty()) return fail(unknown_image(store, reference));
  std::string all;
  for (const std::string& match : matches) all += (all.empty() ? "" : ", ") + match;
  return fail(not_found(reference, "stands for several images", "one of " + all));
}

// An image of a registry is what the store has by that name.
Result<HeldImage> find_pulled(const std::string& store, std::string_view reference,
                              const Transport& transport, Hold hold) {
  std::string record;
  if (const std::size_t at = transport.path.find('@'); at != std::string::npos) {
    const std::string digest = transport.path.substr(at + 1);
    if (is_digest(digest)) record = record_path(digest);
  } else {
    const Result<std::string> name = normal_name(transport.path);
    if (!name) return fail(name.error());
    record = name_path(*name);
  }
  Result<HeldImage> facts = read_facts(store, record, reference, hold);
  if (facts || facts.error().code != ErrorCode::image_not_found) return facts;
  return fail(not_found(reference, "is not loaded yet", "cove image pull " + transport.path));
}

Result<HeldImage> find_transport(const std::string& store, std::string_view reference,
                                 const Transport& transport, Hold hold) {
  if (transport.kind == TransportKind::registry)
    return find_pulled(store, reference, transport, hold);
  if (transport.kind == TransportKind::docker_daemon) {
    return fail(not_found(reference, "is what a daemon has to say",
                          "cove image load " + std::string(reference)));
  }
  struct stat file {};
  const std::string stamped = stamped_file(transport);
  if (stat(stamped.c_str(), &file) < 0) {
    Error error = errno_error(ErrorCode::image_not_found, "image",
                              "\"" + std::string(reference) + "\" cannot be read");
    error.where = stamped;
    return fail(error);
  }
  const std::string path = store + "/" + transport_path(transport, file);
  const Result<std::string> text = read_store_file(path);
  if (!text)
    return fail(
        not_found(reference, "is not loaded yet", "cove image load " + std::string(reference)));
  const Result<TransportRecord> record = transport_record_from(*text, path);
  // A record of ours that cannot be read costs a load, not the launch.
  if (!record || record->selector != transport.selector || !same_stamp(*record, file)) {
    return fail(not_found(reference, "has changed since it was loaded",
                          "cove image load " + std::string(reference)));
  }
  Result<HeldImage> facts = read_facts(store, record_path(record->digest), reference, hold);
  if (!facts && facts.error().code == ErrorCode::image_not_found) {
    return fail(not_found(reference, "was removed from the store",
                          "cove image load " + std::string(reference)));
  }
  return facts;
}

// Layers are handed out as absolute paths, whatever the store was called.
Result<std::string> absolute(const std::string& store) {
  if (store.starts_with('/')) return store;
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "image store";
  error.what = "no directory is known for the store";
  error.hint = "set COVE_ROOT, or HOME";
  if (store.empty()) return fail(error);
  char buffer[PATH_MAX];
  if (!getcwd(buffer, sizeof buffer))
    return fail(errno_error(ErrorCode::invalid_argument, "image store", "getcwd"));
  return std::string(buffer) + "/" + store;
}

Result<HeldImage> find(const std::string& store_directory, std::string_view reference, Hold hold) {
  const Result<std::string> store = absolute(store_directory);
  if (!store) return fail(store.error());

  const Result<std::optional<Transport>> transport = parse_transport(reference);
  if (!transport) return fail(transport.error());
  if (*transport) return find_transport(*store, reference, **transport, hold);

  // "name@sha256:...": the digest decides.
  std::string_view digest = reference;
  if (const std::size_t at = reference.rfind("@sha256:"); at != std::string_view::npos)
    digest.remove_prefix(at + 1);
  if (digest.starts_with("sha256:")) {
    const std::string_view hex = digest_hex(digest);
    if (hex.size() < kMinimumPrefix || hex.size() > 64 || !is_hex(hex)) {
      return fail(
          not_found(reference, "is not a digest", "sha256: and 12 to 64 lower-case hex digits"));
    }
    Result<HeldImage> facts = find_digest(*store, reference, hex, hold);
    if (!facts && facts.error().sys_errno == ENOENT) return fail(unknown_image(*store, reference));
    return facts;
  }

  const Result<std::string> name = normal_name(reference);
  if (!name) return fail(name.error());
  Result<HeldImage> facts = read_facts(*store, name_path(*name), reference, hold);
  if (facts || facts.error().code != ErrorCode::image_not_found) return facts;
  if (reference.size() >= kMinimumPrefix && reference.size() <= 64 && is_hex(reference)) {
    facts = find_digest(*store, reference, reference, hold);
    if (facts || facts.error().sys_errno != ENOENT) return facts;
  }
  return fail(unknown_image(*store, reference));
}

}  // namespace

Result<ImageFacts> find_image(const std::string& store, std::string_view reference) {
  Result<HeldImage> found = find(store, reference, Hold::no);
  if (!found) return fail(found.error());
  return std::move(found->facts);
}

Result<HeldImage> hold_image(const std::string& store, std::string_view reference) {
  return find(store, reference, Hold::yes);
}

// A record's own time of change is what says when its image was used last: nothing else writes to it.
void note_use(int held_descriptor) { (void)futimens(held_descriptor, nullptr); }

ImageHold::~ImageHold() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace cove
