#include "images/store/unpacker.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <set>
#include <thread>

#include "images/store_index/files.h"
#include "images/unpack/shown_name.h"

namespace cove {
namespace {

constexpr std::size_t kMaxProcesses = 4;
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
  Records records{result.diff_id, std::to_string(result.bytes), std::to_string(result.entries),
                  std::to_string(result.opaque.size())};
  records.insert(records.end(), result.opaque.begin(), result.opaque.end());
  for (const auto& [text, count] : result.notes)
    records.insert(records.end(), {text, std::to_string(count)});
  return records;
}

Result<LayerResult> layer_from(const Records& records) {
  Error malformed;
  malformed.what = "the unpacking process gave a malformed answer";
  if (records.size() < 4) return fail(malformed);
  LayerResult result;
  result.diff_id = records[0];
  result.bytes = std::strtoull(records[1].c_str(), nullptr, 10);
  result.entries = std::strtoull(records[2].c_str(), nullptr, 10);
  const std::size_t opaque = std::strtoull(records[3].c_str(), nullptr, 10);
  if (opaque > records.size() - 4) return fail(malformed);
  std::size_t at = 4;
  for (; at < 4 + opaque; ++at) result.opaque.push_back(records[at]);
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

Result<void> Unpacker::unpack(const Selected& selected) {
  const std::vector<std::string>& diff_ids = selected.configuration.diff_ids;
  const std::size_t limit =
      std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kMaxProcesses);
  std::set<std::string> seen;
  for (std::size_t at = 0; at < diff_ids.size(); ++at) {
    if (store_.has(layer_path(diff_ids[at])) || !seen.insert(diff_ids[at]).second) continue;
    if (running_.size() >= limit) {
      if (Result<void> finished = finish_first(); !finished) return finished;
    }
    const std::string step =
        "layer " + std::to_string(at + 1) + " of " + std::to_string(diff_ids.size());
    if (Result<void> started = start(selected.layers[at], diff_ids[at], step); !started)
      return started;
  }
  while (!running_.empty()) {
    if (Result<void> finished = finish_first(); !finished) return finished;
  }
  return {};
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
  const Ownership ownership =
      store_.ids().kind == LayerIds::caller ? Ownership::caller : Ownership::archive;
  Result<ConfinedProcess> process =
      ConfinedProcess::start(unpack_capabilities(), [&]() -> Result<Records> {
        Result<LayerResult> result = unpack_layer(*file, directory, limits_, ownership);
        if (!result) return fail(result.error());
        return records_from(*result);
      });
  if (!process) return fail(process.error());
  running_.push_back({std::move(*process), std::move(directory), staged, diff_id, step});
  return {};
}

Result<void> Unpacker::finish_first() {
  Running running = std::move(running_.front());
  running_.pop_front();
  const std::string shown = running.step + " (" + running.diff_id.substr(0, kShortDigest) + ")";
  const Result<Records> records = running.process.finish();
  Result<LayerResult> result =
      records ? layer_from(*records) : Result<LayerResult>(fail(records.error()));
  if (!result) {
    Error error = result.error();
    error.step = shown;
    return fail(error);
  }
  if (result->diff_id != running.diff_id) {
    Error error = digest_error("", running.diff_id, result->diff_id);
    error.step = shown;
    error.what = "the uncompressed layer " + error.what;
    return fail(error);
  }
  bytes_ += result->bytes;
  entries_ += result->entries;
  if (bytes_ > limits_.bytes)
    return fail(invalid_image("", "the image is larger than the limit [limit-bytes]"));
  if (entries_ > limits_.entries)
    return fail(invalid_image("", "the image has more entries than the limit [limit-entries]"));
  if (Result<void> marked = mark_opaque(running.directory, result->opaque); !marked) return marked;
  for (const auto& [text, count] : result->notes) notes_[text] += count;
  unpacked_.emplace_back(running.staged, running.diff_id);
  return {};
}

}  // namespace cove
