#include "images/store/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "images/store/build_record.h"
#include "images/store/listed_blobs.h"
#include "images/store_index/files.h"
#include "images/store_index/reference.h"
#include "runtime/kernel/directory.h"
#include "runtime/kernel/io.h"
#include "runtime/kernel/random.h"

namespace cove {
namespace {

using nlohmann::json;

constexpr const char* kStep = "image store";
constexpr const char* kLayout = "{\"imageLayoutVersion\": \"1.0.0\"}\n";
constexpr std::string_view kRefName = "org.opencontainers.image.ref.name";
constexpr std::chrono::milliseconds kBetweenClaims{10};
constexpr std::array<const char*, 11> kDirectories{
    "blobs",         "blobs/sha256",   "layers",       "implied",           "sizes",  "images",
    "images/builds", "images/digests", "images/names", "images/transports", "staging"};

Error store_error(const char* action, const std::string& where) {
  Error error = storage_error(kStep, action, where);
  const int number = error.sys_errno;
  if (number == EACCES || number == EPERM || number == EROFS)
    error.code = ErrorCode::permission_denied;
  return error;
}

Error refusal(const std::string& where, std::string what, std::string hint) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = kStep;
  error.where = where;
  error.what = std::move(what);
  error.hint = std::move(hint);
  return error;
}

std::string unique_name() { return std::to_string(getpid()) + "-" + kernel::random_hex(8); }

// What write_in and put_image call a file until it has its name.
bool is_temporary(const std::string& name) {
  const std::size_t dash = name.find('-');
  return name.starts_with('.') && dash != std::string::npos && name.size() == dash + 9 &&
         name.find_first_not_of("0123456789", 1) == dash &&
         name.find_first_not_of("0123456789abcdef", dash + 1) == std::string::npos;
}

std::vector<std::string> list(BorrowedFd top, const char* path) {
  const UniqueFd directory(openat(top.number(), path, O_PATH | O_DIRECTORY | O_CLOEXEC));
  return directory ? names_in(directory).value_or(std::vector<std::string>{})
                   : std::vector<std::string>{};
}

Result<void> make_directories(const std::string& path) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string upto = path.substr(0, end);
    const bool last = end == std::string::npos;
    if (mkdir(upto.c_str(), last ? 0700 : 0755) != 0 && errno != EEXIST)
      return fail(store_error("mkdir", upto));
    if (last) return {};
  }
}

Result<void> write_in(BorrowedFd top, const std::string& relative, std::string_view text) {
  const std::size_t slash = relative.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : relative.substr(0, slash);
  const std::string temporary = directory + "/." + unique_name();
  const auto failed = [&](const char* action) {
    const Error error = store_error(action, relative);
    unlinkat(top.number(), temporary.c_str(), 0);
    return fail(error);
  };
  {
    const UniqueFd file(
        openat(top.number(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file) return fail(store_error("create", relative));
    if (!kernel::write_all(file, text)) return failed("write");
    if (fsync(file.number()) != 0) return failed("fsync");
  }
  if (renameat(top.number(), temporary.c_str(), top.number(), relative.c_str()) != 0)
    return failed("rename");
  const UniqueFd parent(
      openat(top.number(), directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent || fsync(parent.number()) != 0) return fail(store_error("fsync", directory));
  return {};
}

Result<std::string> read_in(BorrowedFd top, const std::string& relative, std::size_t cap) {
  const UniqueFd file(
      openat(top.number(), relative.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) return fail(store_error("open", relative));
  return read_regular(file, cap, Oversize::refuse, relative);
}

// What a record is called that was replaced while its image was in use; no record for digests_of.
std::string replaced_record_prefix(const std::string& digest) {
  return "images/digests/." + std::string(digest_hex(digest)) + ".";
}

// index.json, kept as JSON: other tools may have written entries with members that we do not know.
Result<json> read_index(BorrowedFd top) {
  const Result<std::string> text = read_in(top, "index.json", kDocumentCap);
  if (!text && text.error().sys_errno == ENOENT) {
    return json{{"schemaVersion", 2},
                {"mediaType", "application/vnd.oci.image.index.v1+json"},
                {"manifests", json::array()}};
  }
  if (!text) return fail(text.error());
  // The checks of an image's index; what follows may rely on "manifests" being descriptors.
  const auto checked = parse_index(*text, "", "index.json");
  if (!checked) return fail(checked.error());
  return json::parse(*text, nullptr, false);
}

Result<void> write_index(BorrowedFd top, const json& index) {
  return write_in(top, "index.json",
                  index.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

std::string name_in(const json& entry) {
  const auto notes = entry.find("annotations");
  if (notes == entry.end() || !notes->is_object()) return {};
  const auto name = notes->find(kRefName);
  return name != notes->end() && name->is_string() ? name->get<std::string>() : std::string();
}

void drop_name(json& entry) {
  json& notes = entry["annotations"];
  notes.erase(std::string(kRefName));
  if (notes.empty()) entry.erase("annotations");
}

// Takes a name from whatever has it. The image itself stays, nameless, unless another entry stands
// for it.
void release_name(json& entries, const std::string& name) {
  for (std::size_t at = 0; at < entries.size(); ++at) {
    if (name_in(entries[at]) != name) continue;
    const bool another = std::any_of(entries.begin(), entries.end(), [&](const json& entry) {
      return &entry != &entries[at] && entry["digest"] == entries[at]["digest"];
    });
    if (another) {
      entries.erase(at--);
    } else {
      drop_name(entries[at]);
    }
  }
}

void erase_entries(json& entries, const std::function<bool(const json&)>& which) {
  for (std::size_t at = 0; at < entries.size(); ++at) {
    if (which(entries[at])) entries.erase(at--);
  }
}

void add_entry(json& entries, const Descriptor& manifest, const std::string& name) {
  json* nameless = nullptr;
  bool known = false;
  for (json& entry : entries) {
    if (entry["digest"] != manifest.digest) continue;
    if (name_in(entry) == name) return;
    known = true;
    if (name_in(entry).empty()) nameless = &entry;
  }
  if (name.empty() && known) return;
  if (!nameless) {
    entries.push_back(
        {{"mediaType", manifest.media_type}, {"digest", manifest.digest}, {"size", manifest.size}});
    nameless = &entries.back();
    const Platform& platform = manifest.platform;
    if (!platform.os.empty()) {
      json& member = (*nameless)["platform"];
      member = {{"os", platform.os}, {"architecture", platform.architecture}};
      if (!platform.variant.empty()) member["variant"] = platform.variant;
    }
  }
  if (!name.empty()) (*nameless)["annotations"][std::string(kRefName)] = name;
}

}  // namespace

Result<FileLock> FileLock::take(BorrowedFd directory, const char* name, Mode mode, Wait wait) {
  UniqueFd file(openat(directory.number(), name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return fail(store_error("open", name));
  return take_open(std::move(file), name, mode, wait);
}

Result<FileLock> FileLock::take_open(UniqueFd file, const char* name, Mode mode, Wait wait) {
  FileLock lock;
  lock.file_ = std::move(file);
  const int operation =
      (mode == Mode::shared ? LOCK_SH : LOCK_EX) | (wait == Wait::refuse ? LOCK_NB : 0);
  while (flock(lock.file_.number(), operation) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return fail(store_error("lock", name));
    lock.file_.reset();
    break;
  }
  return lock;
}

Staging::~Staging() {
  if (top_) remove_tree(top_, path_.c_str());
}

Result<UniqueFd> Staging::create_file(const std::string& name) const {
  UniqueFd file(
      openat(directory_.number(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return fail(store_error("create", name));
  return file;
}

Result<void> Staging::write_file(const std::string& name, std::string_view text) const {
  const Result<UniqueFd> file = create_file(name);
  if (!file) return fail(file.error());
  if (!kernel::write_all(*file, text)) return fail(store_error("write", name));
  return {};
}

Result<Store> Store::open(const std::string& requested, const StoreIds& ids) {
  if (requested.empty())
    return fail(refusal("", "no directory is known for the store", "set COVE_ROOT, or HOME"));
  std::string directory = requested;
  while (directory.size() > 1 && directory.back() == '/') directory.pop_back();
  if (Result<void> made = make_directories(directory); !made) return fail(made.error());
  UniqueFd top(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status {};
  if (!top || fstat(top.number(), &status) != 0) return fail(store_error("open", directory));
  std::array<char, PATH_MAX> real{};
  if (!realpath(directory.c_str(), real.data())) return fail(store_error("resolve", directory));
  directory = real.data();

  if (status.st_uid != geteuid())
    return fail(refusal(directory, "belongs to another user", "choose another --store"));
  if (faccessat(top.number(), "oci-layout", F_OK, 0) != 0) {
    for (const std::string& name : list(top, ".")) {
      if (name.starts_with('.')) continue;  // somebody is just making the store
      // Or has made it since we looked: oci-layout comes first.
      if (faccessat(top.number(), "oci-layout", F_OK, 0) == 0) break;
      // Never turn a directory with something else in it into a store: its content would be taken
      // for garbage.
      return fail(
          refusal(directory, "is no store and not empty", "choose an empty or new directory"));
    }
    if (fchmod(top.number(), 0700) != 0) return fail(store_error("chmod", directory));
    if (Result<void> written = write_in(top, "oci-layout", kLayout); !written)
      return fail(written.error());
  } else if (status.st_mode & 077) {
    // Layers hold set-id files as the image has them; nobody else may reach those.
    return fail(refusal(directory, "is open to other users", "chmod 0700 " + directory));
  }
  for (const char* name : kDirectories) {
    if (mkdirat(top.number(), name, 0700) != 0 && errno != EEXIST)
      return fail(store_error("mkdir", name));
  }
  Store store(std::move(directory), std::move(top), ids);
  if (Result<void> settled = store.settle_ids(); !settled) return fail(settled.error());
  if (!store.has("index.json")) {
    const Result<FileLock> lock = store.lock_index();
    if (!lock) return fail(lock.error());
    const Result<json> index = read_index(store.top_);
    if (!index) return fail(index.error());
    if (Result<void> written = write_index(store.top_, *index); !written)
      return fail(written.error());
  }
  return store;
}

Result<void> Store::settle_ids() const {
  const Result<FileLock> lock = lock_index();
  if (!lock) return fail(lock.error());
  const Result<std::string> text = read_in(top_, kIdsFile, kRecordCap);
  if (!text && text.error().sys_errno == ENOENT) return write_in(top_, kIdsFile, to_text(ids_));
  if (!text) return fail(text.error());
  const Result<StoreIds> known = store_ids_from(*text, kIdsFile);
  if (!known) return fail(known.error());
  if (*known == ids_) return {};
  return fail(refusal(directory_, "has layers of other ids than this process can make",
                      "write it as before: as root or not, and with the same subordinate ids"));
}

Result<FileLock> Store::lock_index() const {
  return FileLock::take(top_, "index.lock", FileLock::Mode::exclusive);
}

Result<FileLock> Store::lock_content(FileLock::Mode mode, FileLock::Wait wait) const {
  return FileLock::take(top_, "content.lock", mode, wait);
}

Result<void> Store::remove_stale_staging() const {
  for (const std::string& name : list(top_, "staging")) {
    const std::string path = "staging/" + name;
    const UniqueFd directory(
        openat(top_.number(), path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (directory && flock(directory.number(), LOCK_EX | LOCK_NB) != 0) continue;  // in use
    if (!remove_tree(top_, path.c_str())) return fail(store_error("remove", path));
  }
  return {};
}

Result<Staging> Store::stage() const {
  const Result<FileLock> lock = lock_index();
  if (!lock) return fail(lock.error());
  return make_staging();
}

// Making and locking it are two steps; the index lock keeps others from taking it for stale in
// between.
Result<Staging> Store::make_staging() const {
  if (Result<void> removed = remove_stale_staging(); !removed) return fail(removed.error());
  std::string path = "staging/" + unique_name();
  if (mkdirat(top_.number(), path.c_str(), 0700) != 0) return fail(store_error("mkdir", path));
  UniqueFd directory(
      openat(top_.number(), path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory || flock(directory.number(), LOCK_EX | LOCK_NB) != 0)
    return fail(store_error("lock", path));
  UniqueFd top(fcntl(top_.number(), F_DUPFD_CLOEXEC, 0));
  if (!top) return fail(store_error("dup", path));
  return Staging(std::move(path), std::move(top), std::move(directory));
}

bool Store::has(const std::string& relative) const {
  return faccessat(top_.number(), relative.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

Result<void> Store::publish(const Staging& staging, const std::string& staged,
                            const std::string& relative) const {
  const unsigned flags = RENAME_NOREPLACE;
  if (renameat2(staging.directory().number(), staged.c_str(), top_.number(), relative.c_str(),
                flags) == 0)
    return {};
  if (errno == EEXIST || errno == ENOTEMPTY) return {};
  return fail(store_error("rename", relative));
}

Result<void> Store::write_file(const std::string& relative, std::string_view text) const {
  return write_in(top_, relative, text);
}

Result<void> Store::flush() const {
  if (syncfs(top_.number()) != 0) return fail(store_error("syncfs", directory_));
  return {};
}

Result<void> Store::flush_directory(const char* relative) const {
  const UniqueFd directory(openat(top_.number(), relative, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || fsync(directory.number()) != 0) return fail(store_error("fsync", relative));
  return {};
}

Result<StoredManifest> Store::manifest_of(const std::string& digest) const {
  const Result<std::string> text = read_in(top_, blob_path(digest), kDocumentCap);
  if (!text) return fail(text.error());
  Result<Manifest> manifest = parse_manifest(*text, "", digest);
  if (!manifest) return fail(manifest.error());
  StoredManifest stored;
  stored.descriptor.media_type = manifest->media_type;
  stored.descriptor.digest = digest;
  stored.descriptor.size = text->size();
  stored.manifest = std::move(*manifest);
  return stored;
}

Implied Store::implied_in(const std::string& diff_id) const {
  return implied_from(read_in(top_, implied_path(diff_id), kImpliedCap).value_or(std::string()));
}

Result<void> Store::put_image(const ImageRecord& record, const Descriptor& manifest,
                              const std::vector<std::string>& names) const {
  Result<json> index = read_index(top_);
  if (!index) return fail(index.error());
  json& entries = (*index)["manifests"];
  for (const std::string& name : names) {
    const bool already = std::any_of(entries.begin(), entries.end(), [&](const json& entry) {
      return name_in(entry) == name && entry["digest"] == manifest.digest;
    });
    if (!already) release_name(entries, name);
    add_entry(entries, manifest, name);
  }
  if (names.empty()) add_entry(entries, manifest, "");
  if (Result<void> written = write_index(top_, *index); !written) return written;

  // The record first: a name never leads nowhere.
  if (Result<void> written = put_record(record); !written) return written;
  const std::string target = "../../" + record_path(record.digest);
  for (const std::string& name : names) {
    const std::string temporary = "images/names/." + unique_name();
    if (symlinkat(target.c_str(), top_.number(), temporary.c_str()) != 0)
      return fail(store_error("symlink", name));
    if (renameat(top_.number(), temporary.c_str(), top_.number(), name_path(name).c_str()) != 0) {
      return fail(store_error("rename", name));
    }
  }
  return flush_directory("images/names");
}

// A record that says the same stays, with the locks on it: it was used now, that is all. One that has
// to be replaced while somebody runs from the image keeps a second name, for claim_image to find.
Result<void> Store::put_record(const ImageRecord& record) const {
  const std::string path = record_path(record.digest);
  const std::string text = to_text(record);
  UniqueFd known(openat(top_.number(), path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!known) return write_file(path, text);
  if (read_regular(known, kRecordCap, Oversize::refuse, path).value_or("") == text) {
    if (futimens(known.number(), nullptr) != 0) return fail(store_error("touch", path));
    return {};
  }
  const Result<FileLock> claim = FileLock::take_open(
      std::move(known), path.c_str(), FileLock::Mode::exclusive, FileLock::Wait::refuse);
  if (!claim) return fail(claim.error());
  const std::string second = replaced_record_prefix(record.digest) + unique_name();
  if (!claim->held() && linkat(top_.number(), path.c_str(), top_.number(), second.c_str(), 0) != 0)
    return fail(store_error("link", second));
  return write_file(path, text);
}

Result<FileLock> Store::try_claim(const std::string& digest) const {
  const auto claim = [&](const std::string& path) -> Result<FileLock> {
    UniqueFd file(openat(top_.number(), path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!file) return fail(store_error("open", path));
    return FileLock::take_open(std::move(file), path.c_str(), FileLock::Mode::exclusive,
                               FileLock::Wait::refuse);
  };
  for (const std::string& name : list(top_, "images/digests")) {
    const std::string path = "images/digests/" + name;
    if (!path.starts_with(replaced_record_prefix(digest))) continue;
    Result<FileLock> replaced = claim(path);
    if (!replaced || !replaced->held()) return replaced;
    if (unlinkat(top_.number(), path.c_str(), 0) != 0) return fail(store_error("unlink", path));
  }
  return claim(record_path(digest));
}

Result<std::optional<FileLock>> Store::claim_image(const std::string& digest,
                                                   std::chrono::milliseconds patience) const {
  using std::chrono::steady_clock;
  const auto end = steady_clock::now() + patience;
  for (;;) {
    Result<FileLock> claim = try_claim(digest);
    if (!claim && claim.error().sys_errno == ENOENT) return std::nullopt;
    if (!claim) return fail(claim.error());
    if (claim->held() || steady_clock::now() >= end) return std::optional(std::move(*claim));
    std::this_thread::sleep_for(kBetweenClaims);
  }
}

// The link is read, not what it leads to: also of a record that cannot be read.
std::string Store::digest_of_name(const std::string& name) const {
  std::array<char, PATH_MAX> target{};
  const ssize_t length =
      readlinkat(top_.number(), name_path(name).c_str(), target.data(), target.size());
  if (length <= 0) return {};
  std::string_view file(target.data(), static_cast<std::size_t>(length));
  file.remove_prefix(file.rfind('/') + 1);
  std::string digest = "sha256:" + std::string(file.substr(0, file.find('.')));
  return is_digest(digest) ? digest : std::string();
}

std::vector<std::string> Store::names_of_image(const std::string& digest) const {
  std::vector<std::string> names = names_of(directory_);
  std::erase_if(names, [&](const std::string& name) { return digest_of_name(name) != digest; });
  return names;
}

Result<void> Store::unlink_names(const std::vector<std::string>& names) const {
  for (const std::string& name : names) {
    if (unlinkat(top_.number(), name_path(name).c_str(), 0) != 0 && errno != ENOENT)
      return fail(store_error("unlink", name));
  }
  return {};
}

Result<bool> Store::remove_name(const std::string& name) const {
  Result<json> index = read_index(top_);
  if (!index) return fail(index.error());
  json& entries = (*index)["manifests"];
  const bool listed = std::any_of(entries.begin(), entries.end(),
                                  [&](const json& entry) { return name_in(entry) == name; });
  if (!listed && !has(name_path(name))) return false;
  erase_entries(entries, [&](const json& entry) {
    return name_in(entry) == name && !has(record_path(entry["digest"].get<std::string>()));
  });
  release_name(entries, name);
  if (Result<void> written = write_index(top_, *index); !written) return fail(written.error());
  if (Result<void> gone = unlink_names({name}); !gone) return fail(gone.error());
  return true;
}

// First index.json forgets the names, then they go; a name that is only there would be taken for
// another tool's. The record goes last: killed half-way, this leaves a whole image, or one without a
// name, which can be removed again, by its digest or by prune.
Result<std::vector<std::string>> Store::remove_image(const std::string& digest) const {
  Result<json> index = read_index(top_);
  if (!index) return fail(index.error());
  json& entries = (*index)["manifests"];
  std::vector<std::string> names = names_of_image(digest);
  for (const std::string& name : names) {
    erase_entries(entries, [&](const json& entry) {
      return name_in(entry) == name && !has(record_path(entry["digest"].get<std::string>()));
    });
    release_name(entries, name);
  }
  if (Result<void> written = write_index(top_, *index); !written) return fail(written.error());
  if (Result<void> gone = unlink_names(names); !gone) return fail(gone.error());
  // Another tool may have given the image a name of its own: that entry stays.
  erase_entries(entries, [&](const json& entry) {
    return entry["digest"] == digest && name_in(entry).empty();
  });
  if (Result<void> written = write_index(top_, *index); !written) return fail(written.error());
  if (unlinkat(top_.number(), record_path(digest).c_str(), 0) != 0 && errno != ENOENT)
    return fail(store_error("unlink", digest));
  return names;
}

Result<void> Store::collect_layers() const {
  std::set<std::string> used;
  for (const std::string& digest : digests_of(directory_)) {
    const Result<ImageRecord> record = read_image_record(directory_, digest);
    if (!record) return fail(record.error());  // what it uses is not known: nothing may go
    used.insert(record->layers.begin(), record->layers.end());
  }
  // Each in one step, out of the way of the next load, which would find half a layer if we were
  // killed in the midst of it.
  const Result<Staging> trash = make_staging();
  if (!trash) return fail(trash.error());
  for (const std::string& hex : list(top_, "layers")) {
    if (used.contains("sha256:" + hex)) continue;
    if (renameat(top_.number(), ("layers/" + hex).c_str(), trash->directory().number(),
                 hex.c_str()) != 0)
      return fail(store_error("remove", "layers/" + hex));
  }
  for (const char* beside : {"implied", "sizes"}) {
    for (const std::string& hex : list(top_, beside)) {
      const std::string path = std::string(beside) + "/" + hex;
      if (!has("layers/" + hex) && unlinkat(top_.number(), path.c_str(), 0) != 0)
        return fail(store_error("unlink", path));
    }
  }
  return {};
}

Result<void> Store::collect_blobs(std::uint64_t& freed) const {
  // Entries that other tools wrote count as ours do.
  const auto used = listed_blobs(top_, [this](const std::string& digest) {
    const Result<ImageRecord> record = read_image_record(directory_, digest);
    return record && !record->keeps_blobs ? Follow::documents : Follow::all;
  });
  if (!used) return fail(used.error());
  for (const std::string& hex : list(top_, "blobs/sha256")) {
    if (used->contains("sha256:" + hex)) continue;
    const std::string path = "blobs/sha256/" + hex;
    struct stat status {};
    if (fstatat(top_.number(), path.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (unlinkat(top_.number(), path.c_str(), 0) != 0) return fail(store_error("unlink", path));
    freed += static_cast<std::uint64_t>(status.st_size);
  }
  return {};
}

// Of killed processes: whoever writes holds a lock that we hold now.
Result<void> Store::collect_temporaries() const {
  for (const char* directory : {".", "images/digests", "images/names", "images/transports"}) {
    for (const std::string& name : list(top_, directory)) {
      const std::string path = std::string(directory) + "/" + name;
      if (is_temporary(name) && unlinkat(top_.number(), path.c_str(), 0) != 0)
        return fail(store_error("unlink", path));
    }
  }
  return {};
}

Result<std::uint64_t> Store::collect_garbage() const {
  std::uint64_t freed = 0;
  if (Result<void> gone = collect_temporaries(); !gone) return fail(gone.error());
  if (Result<void> blobs = collect_blobs(freed); !blobs) return fail(blobs.error());
  if (Result<void> layers = collect_layers(); !layers) return fail(layers.error());
  for (const std::string& name : list(top_, "images/transports")) {
    const std::string path = "images/transports/" + name;
    const Result<std::string> text = read_in(top_, path, kRecordCap);
    const Result<TransportRecord> record =
        transport_record_from(text.value_or(std::string()), path);
    if (record && has(record_path(record->digest))) continue;
    if (unlinkat(top_.number(), path.c_str(), 0) != 0) return fail(store_error("unlink", path));
  }
  for (const std::string& name : list(top_, "images/builds")) {
    const std::string path = "images/builds/" + name;
    const std::optional<std::string> digest =
        build_from(read_in(top_, path, kRecordCap).value_or(std::string()));
    if (digest && has(record_path(*digest))) continue;
    if (unlinkat(top_.number(), path.c_str(), 0) != 0) return fail(store_error("unlink", path));
  }
  return freed;
}

}  // namespace cove
