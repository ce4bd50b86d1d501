#include "images/store/unpacker.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <set>
#include <thread>

#include "images/store_index/files.h"
#include "images/unpack/implied.h"
#include "images/unpack/shown_name.h"
#include "runtime/identity/id_map.h"
#include "runtime/identity/own_id_map.h"
#include "runtime/identity/subordinate_ids.h"
#include "runtime/kernel/directory.h"
#include "runtime/mount/mount.h"

namespace cove {
namespace {

constexpr std::size_t kMaxProcesses = 4;
constexpr int kMeanwhileEvery = 100;      // milliseconds
constexpr std::size_t kShortDigest = 19;  // "sha256:" and twelve digits
constexpr const char* kOpaque = "trusted.overlay.opaque";

// What unpacking needs as root. CAP_SYS_ADMIN (for trusted.*) is not among them: those marks are
// set from here.
const std::vector<int>& unpack_capabilities() {
  static const std::vector<int> capabilities{CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FOWNER,
                                             CAP_FSETID, CAP_SETFCAP,      CAP_MKNOD};
  return capabilities;
}

Records records_from(const LayerResult& result) {
  Records records{result.diff_id, std::to_string(result.bytes), std::to_string(result.entries)};
  for (const std::vector<std::string>* paths : {&result.opaque, &result.implied}) {
    records.push_back(std::to_string(paths->size()));
    records.insert(records.end(), paths->begin(), paths->end());
  }
  for (const auto& [text, count] : result.notes)
    records.insert(records.end(), {text, std::to_string(count)});
  return records;
}

Result<LayerResult> layer_from(const Records& records) {
  Error malformed;
  malformed.what = "the unpacking process gave a malformed answer";
  if (records.size() < 3) return fail(malformed);
  LayerResult result;
  result.diff_id = records[0];
  result.bytes = std::strtoull(records[1].c_str(), nullptr, 10);
  result.entries = std::strtoull(records[2].c_str(), nullptr, 10);
  std::size_t at = 3;
  for (std::vector<std::string>* paths : {&result.opaque, &result.implied}) {
    if (at == records.size()) return fail(malformed);
    const std::size_t count = std::strtoull(records[at++].c_str(), nullptr, 10);
    if (count > records.size() - at) return fail(malformed);
    for (const std::size_t end = at + count; at < end; ++at) paths->push_back(records[at]);
  }
  for (; at + 1 < records.size(); at += 2)
    result.notes[records[at]] += std::strtoull(records[at + 1].c_str(), nullptr, 10);
  return result;
}
// The mark that an overlay made by root reads, beside the one in user.* for an overlay made in a
// user namespace.
Result<void> mark_opaque(BorrowedFd layer, const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    const UniqueFd directory = open_beneath(layer, path.empty() ? "." : path.c_str(),
                                            O_RDONLY | O_DIRECTORY, RESOLVE_BENEATH);
    if (!directory && (errno == ENOENT || errno == ENOTDIR || errno == EXDEV || errno == ELOOP))
      continue;  // replaced since
    if (!directory) return fail(io_error("open an opaque directory", shown_name(path)));
    if (fsetxattr(directory.number(), kOpaque, "y", 1, 0) == 0) continue;
    const int saved = errno;
    char value = 0;
    if (fgetxattr(directory.number(), "user.overlay.opaque", &value, 1) == 1) continue;
    errno = saved;
    return fail(io_error("mark an opaque directory", shown_name(path)));
  }
  return {};
}

}  // namespace

UniqueFd make_unpack_namespace(const StoreIds& ids) {
  if (ids.kind != LayerIds::image) return {};
  const UniqueFd proc(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!proc) return {};
  const IdRange range{0, kFirstUnpackId, kMappedIds};
  return make_user_namespace(proc, range, range).value_or(UniqueFd());
}

Unpacker::Unpacker(const Store& store, const Staging& staging, Source& source,
                   const UnpackLimits& limits)
    : store_(store),
      staging_(staging),
      source_(source),
      limits_(limits),
      user_namespace_(make_unpack_namespace(store.ids())) {}

UniqueFd Unpacker::idmapped(BorrowedFd directory) {
  if (user_namespace_) {
    Result<UniqueFd> mount = clone_mount(directory, "", Recursive::no);
    if (mount && set_mount_attributes(*mount, kSafeAttributes, Recursive::no, user_namespace_))
      return std::move(*mount);
    // A file system that cannot be idmapped (tmpfs before Linux 6.3, say).
    user_namespace_.reset();
  }
  if (store_.ids().kind == LayerIds::image)
    ++notes_["layers unpacked with a part of root's rights: the store cannot be idmapped here"];
  return {};
}

Result<void> Unpacker::unpack(const Selected& selected, const ProgressSink& progress) {
  const std::vector<std::string>& diff_ids = selected.configuration.diff_ids;
  const std::size_t limit =
      std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kMaxProcesses);
  progress_.clear();
  for (const Blob& layer : selected.layers)
    progress_.push_back({layer.descriptor.digest, layer.descriptor.size});
  // What is there goes to the disk while the rest is made, and not all of it at the end.
  const auto meanwhile = [&]() -> Result<void> {
    if (Result<void> flushed = store_.flush(); !flushed) return flushed;
    if (!progress) return {};
    note_progress(selected);
    progress(progress_);
    return {};
  };
  const auto finish_next = [&]() -> Result<void> {
    const Result<std::size_t> layer = finish_one(meanwhile);
    if (!layer) return fail(layer.error());
    progress_[*layer].state = LayerProgress::State::done;
    progress_[*layer].bytes = progress_[*layer].total;
    if (progress) progress(progress_);
    return {};
  };
  std::set<std::string> seen;
  for (std::size_t at = 0; at < diff_ids.size(); ++at) {
    if (store_.has(layer_path(diff_ids[at])) || !seen.insert(diff_ids[at]).second) {
      progress_[at].state = LayerProgress::State::done;
      progress_[at].was_there = true;
      continue;
    }
    if (running_.size() >= limit) {
      if (Result<void> finished = finish_next(); !finished) return finished;
    }
    const std::string step =
        "layer " + std::to_string(at + 1) + " of " + std::to_string(diff_ids.size());
    if (Result<void> started = start(selected.layers[at], diff_ids[at], step); !started)
      return started;
    running_.back().layer = at;
  }
  while (!running_.empty()) {
    if (Result<void> finished = finish_next(); !finished) return finished;
  }
  if (progress) progress(progress_);
  return {};
}

// Of layers that are under way: how much of the blob has come, then how much of it is unpacked.
void Unpacker::note_progress(const Selected& selected) {
  using State = LayerProgress::State;
  for (std::size_t at = 0; at < progress_.size(); ++at) {
    LayerProgress& layer = progress_[at];
    const Blob& blob = selected.layers[at];
    struct stat status {};
    if (layer.state == State::done || !blob.arrival ||
        fstatat(staging_.directory().number(), blob.staged.c_str(), &status, 0) != 0)
      continue;
    layer.bytes = static_cast<std::uint64_t>(status.st_size);
    layer.state = layer.bytes > 0 ? State::fetching : State::waiting;
  }
  for (const Running& running : running_) {
    LayerProgress& layer = progress_[running.layer];
    if (layer.state == State::fetching && layer.bytes < layer.total) continue;
    const off_t position = lseek(running.file.number(), 0, SEEK_CUR);
    layer.bytes = position > 0 ? static_cast<std::uint64_t>(position) : 0;
    layer.state = State::unpacking;
  }
}

Result<std::size_t> Unpacker::finish_one(const std::function<Result<void>()>& meanwhile) {
  std::vector<pollfd> answers;
  for (const Running& running : running_)
    answers.push_back({running.process.answer().number(), POLLIN, 0});
  for (;;) {
    const int ready = poll(answers.data(), answers.size(), kMeanwhileEvery);
    if (ready > 0) break;
    if (ready < 0 && errno != EINTR) return fail(io_error("poll", ""));
    if (Result<void> done = meanwhile(); !done) return fail(done.error());
  }
  const auto answered = std::find_if(answers.begin(), answers.end(),
                                     [](const pollfd& one) { return one.revents != 0; });
  const auto place = std::next(running_.begin(), answered - answers.begin());
  Running running = std::move(*place);
  running_.erase(place);
  const std::size_t layer = running.layer;
  if (Result<void> finished = finish(std::move(running)); !finished) return fail(finished.error());
  return layer;
}

Result<Unpacker::Unpacked> Unpacker::unpack_one(const Blob& blob, const std::string& diff_id,
                                                const std::string& step) {
  if (Result<void> started = start(blob, diff_id, step); !started) return fail(started.error());
  const std::string staged = running_.back().staged;
  const auto nothing = []() -> Result<void> { return {}; };
  if (Result<std::size_t> finished = finish_one(nothing); !finished) {
    (void)remove_tree(staging_.directory(), staged.c_str());
    return fail(finished.error());
  }
  return unpacked_.back();
}

Result<void> Unpacker::start(const Blob& blob, const std::string& diff_id,
                             const std::string& step) {
  const std::string staged = "layer-" + std::to_string(unpacked_.size() + running_.size());
  Result<UniqueFd> file = source_.open(blob);
  if (!file) return fail(file.error());
  if (mkdirat(staging_.directory().number(), staged.c_str(), 0755) != 0)
    return fail(io_error("mkdir", staged));
  UniqueFd directory(openat(staging_.directory().number(), staged.c_str(),
                            O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory || fchmod(directory.number(), 0755) != 0) return fail(io_error("open", staged));
  const UniqueFd mount = idmapped(directory);
  const BorrowedFd root = mount ? mount : directory;
  const BorrowedFd growth = blob.arrival ? blob.arrival->growth.borrow() : BorrowedFd();
  const Ownership ownership =
      store_.ids().kind == LayerIds::caller ? Ownership::caller : Ownership::archive;
  Needs needs;
  needs.capabilities = unpack_capabilities();
  needs.user_namespace = user_namespace_;
  needs.keep = {file->number()};
  if (growth) needs.keep.push_back(growth.number());
  needs.directory = root;
  needs.writes = Writes::tree;
  needs.file_bytes = limits_.bytes;
  Result<ConfinedProcess> process = ConfinedProcess::start(needs, [&]() -> Result<Records> {
    Result<LayerResult> result = unpack_layer(*file, growth, root, limits_, ownership);
    if (!result) return fail(result.error());
    return records_from(*result);
  });
  if (!process) return fail(process.error());
  running_.push_back(
      {std::move(*process), std::move(directory), std::move(*file), blob, staged, diff_id, step});
  return {};
}

// The blob's own fault comes before what unpacking it said: of bytes that a mirror has damaged, tar
// knows only that they are no archive. So what still comes is awaited.
Result<LayerResult> Unpacker::result_of(Running& running) {
  const Result<Records> records = running.process.finish();
  for (const std::string& what : running.process.missing())
    ++notes_["layers unpacked by a process with " + what + ", which this host refuses"];
  const Result<void> complete = source_.complete(running.blob);
  if (!complete) return fail(complete.error());
  if (!records) return fail(records.error());
  Result<LayerResult> result = layer_from(*records);
  if (!result || result->diff_id == running.diff_id) return result;
  Error error = digest_error("", running.diff_id, result->diff_id);
  error.what = "the uncompressed layer " + error.what;
  return fail(error);
}

Result<void> Unpacker::finish(Running running) {
  Result<LayerResult> result = result_of(running);
  if (!result) {
    Error error = result.error();
    error.step = running.step + " (" + running.diff_id.substr(0, kShortDigest) + ")";
    return fail(error);
  }
  bytes_ += result->bytes;
  entries_ += result->entries;
  if (bytes_ > limits_.bytes) return fail(refused(UnpackRule::limit_bytes, ""));
  if (entries_ > limits_.entries) return fail(refused(UnpackRule::limit_entries, ""));
  if (Result<void> marked = mark_opaque(running.directory, result->opaque); !marked) return marked;
  for (const auto& [text, count] : result->notes) notes_[text] += count;
  const std::string implied = running.staged + ".implied";
  if (Result<void> written = staging_.write_file(
          implied, to_text(Implied(result->implied.begin(), result->implied.end())));
      !written)
    return written;
  unpacked_.push_back({running.staged, implied, running.diff_id});
  return {};
}

}  // namespace cove
