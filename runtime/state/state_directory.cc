#include "runtime/state/state_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "runtime/kernel/directory.h"
#include "runtime/kernel/random.h"

namespace cove {
namespace {

constexpr std::size_t kSlotBytes = 32;
constexpr std::size_t kIdLength = 26;
constexpr char kHeader[] = "cove-sandbox 1";

Error state_error(std::string what, std::string where) {
  Error error = errno_error(ErrorCode::setup_failed, "state", std::move(what));
  error.where = std::move(where);
  return error;
}

std::string own_uid_map() {
  std::ifstream map("/proc/self/uid_map");
  return {std::istreambuf_iterator<char>(map), {}};
}

// Where records may lie, the best place first.
std::vector<std::string> default_paths() {
  std::vector<std::string> paths;
  if (geteuid() == 0) paths.emplace_back("/run/cove");
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime == '/') paths.push_back(std::string(runtime) + "/cove");
  // The caller's id outside of its user namespace, as far as one can look: /tmp may be shared with
  // others who are 0 in namespaces of their own.
  paths.push_back("/tmp/cove-" + std::to_string(id_in_parent(own_uid_map(), geteuid())));
  return paths;
}

// Ours alone, or refused: in /tmp anybody may have made it first.
Result<UniqueFd> open_private_directory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return fail(state_error("make the directory", path));
  UniqueFd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) return fail(state_error("open the directory", path));
  if (!is_private(directory)) {
    return fail(Error{ErrorCode::permission_denied,
                      "state",
                      0,
                      "the directory must belong to the caller alone, with mode 0700",
                      path,
                      "remove it, or name another one",
                      {}});
  }
  return directory;
}

// Root of a namespace within a user's (a nested sandbox, `unshare -r`) has no right to /run. A place
// that could be somebody else's doing is refused, not passed over.
Result<UniqueFd> open_default_directory() {
  Result<UniqueFd> opened;
  for (const std::string& path : default_paths()) {
    opened = open_private_directory(path);
    if (opened || opened.error().sys_errno == 0) return opened;
  }
  return opened;
}

Result<UniqueFd> open_subdirectory(BorrowedFd parent, const char* name) {
  if (mkdirat(parent.number(), name, 0700) != 0 && errno != EEXIST)
    return fail(state_error("make the directory", name));
  UniqueFd directory(
      openat(parent.number(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) return fail(state_error("open the directory", name));
  return directory;
}

// "name:first:count" lines; what does not parse is no range.
void read_foreign_ids(const char* path,
                      std::vector<std::pair<std::uint64_t, std::uint64_t>>& ranges) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::uint64_t start = 0, count = 0;
    std::from_chars(line.data() + first + 1, line.data() + second, start);
    std::from_chars(line.data() + second + 1, line.data() + line.size(), count);
    if (count > 0) ranges.emplace_back(start, start + count - 1);
  }
}

bool lock_byte(BorrowedFd file, std::uint32_t byte) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return fcntl(file.number(), F_OFD_SETLK, &lock) == 0;
}

std::string serialize(const SandboxRecord& record) {
  std::string text = std::string(kHeader) + "\n";
  if (record.slot) text += "slot " + std::to_string(*record.slot) + "\n";
  for (const std::string& group : record.groups) text += "group " + group + "\n";
  return text;
}

// A record that was cut off by a full disk still names what it names.
SandboxRecord parse_record(BorrowedFd file) {
  std::string text(64 * 1024, '\0');
  const ssize_t got = pread(file.number(), text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  SandboxRecord record;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    if (end == std::string::npos) break;
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.rfind("group /", 0) == 0 && line.find("/cove-") != std::string::npos)
      record.groups.push_back(line.substr(6));
    std::uint32_t slot = 0;
    if (line.rfind("slot ", 0) == 0 &&
        std::from_chars(line.data() + 5, line.data() + line.size(), slot).ec == std::errc{})
      record.slot = slot;
  }
  return record;
}

}  // namespace

Result<StateDirectory> StateDirectory::open(const std::string& path) {
  StateDirectory state;
  auto directory = path.empty() ? open_default_directory() : open_private_directory(path);
  if (!directory) return fail(directory.error());
  state.directory_ = std::move(*directory);
  for (auto [member, name] : {std::pair{&StateDirectory::sandboxes_, "sandboxes"},
                              {&StateDirectory::filters_, "seccomp"}}) {
    auto made = open_subdirectory(state.directory_, name);
    if (!made) return fail(made.error());
    state.*member = std::move(*made);
  }
  for (const char* file : {"/etc/subuid", "/etc/subgid"})
    read_foreign_ids(file, state.foreign_ids_);
  return state;
}

bool StateDirectory::slot_is_dirty(BorrowedFd slots, std::uint32_t number) {
  std::array<char, kSlotBytes> id{};
  if (pread(slots.number(), id.data(), kIdLength, static_cast<off_t>(number * kSlotBytes)) <= 0 ||
      id[0] == '\0')
    return false;
  // Named, but its record is gone: the sandbox was cleaned up, or never came to be.
  return faccessat(sandboxes_.number(), id.data(), F_OK, 0) == 0;
}

Result<Slot> StateDirectory::take_slot(const std::string& sandbox_id) {
  UniqueFd slots(openat(directory_.number(), "slots", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!slots) return fail(state_error("open", "slots"));
  const auto foreign = [&](std::uint32_t number) {
    const std::uint64_t first = kFirstSlotId + std::uint64_t{number} * kSlotIds;
    for (const auto& [low, high] : foreign_ids_) {
      if (first <= high && low < first + kSlotIds) return true;
    }
    return false;
  };
  const auto start = static_cast<std::uint32_t>(kernel::random_bits() % kSlotCount);
  for (std::uint32_t tried = 0; tried < kSlotCount; ++tried) {
    const std::uint32_t number = (start + tried) % kSlotCount;
    if (foreign(number) || !lock_byte(slots, number)) continue;
    if (!slot_is_dirty(slots, number)) {
      std::array<char, kSlotBytes> id{};
      std::memcpy(id.data(), sandbox_id.data(), std::min(sandbox_id.size(), kIdLength));
      if (pwrite(slots.number(), id.data(), id.size(), static_cast<off_t>(number * kSlotBytes)) !=
          static_cast<ssize_t>(id.size())) {
        return fail(state_error("write", "slots"));
      }
      return Slot{number, std::move(slots)};
    }
    // Processes of a killed sandbox may still run under these ids. The lock on this byte stays with
    // us until the file is closed; that only hides the slot from others for as long as this sandbox
    // lives.
  }
  return fail(Error{ErrorCode::resource_exhausted,
                    "state",
                    0,
                    "all " + std::to_string(kSlotCount) + " uid ranges are in use",
                    "slots",
                    "wait for sandboxes to end",
                    {}});
}

Result<UniqueFd> StateDirectory::write_record(const std::string& sandbox_id,
                                              const SandboxRecord& record) {
  const std::string text = serialize(record);
  const std::string temporary = "." + sandbox_id;
  // Made and locked under a name that no collector looks at, so that it is never seen unlocked.
  UniqueFd file(
      openat(sandboxes_.number(), temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file || flock(file.number(), LOCK_EX | LOCK_NB) != 0 ||
      write(file.number(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      renameat(sandboxes_.number(), temporary.c_str(), sandboxes_.number(), sandbox_id.c_str()) !=
          0) {
    Error error = state_error("write the record", sandbox_id);
    unlinkat(sandboxes_.number(), temporary.c_str(), 0);
    return fail(std::move(error));
  }
  return file;
}

Result<int> StateDirectory::collect(
    const std::function<Result<void>(const SandboxRecord&)>& clean) {
  const auto ids = names_in(sandboxes_);
  if (!ids) return fail(state_error("list the records", "sandboxes"));
  int collected = 0;
  for (const std::string& id : *ids) {
    const UniqueFd file(openat(sandboxes_.number(), id.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
    if (!file || flock(file.number(), LOCK_EX | LOCK_NB) != 0) continue;
    struct stat status {};
    // Removed by its owner since it was listed.
    if (fstat(file.number(), &status) != 0 || status.st_nlink == 0) continue;
    // A temporary name: its writer is gone, or has not locked it yet; the latter is given a second.
    if (id[0] == '.' && std::time(nullptr) - status.st_mtime < 2) continue;
    if (!clean(parse_record(file))) continue;  // it stays on record, for the next collection
    forget_sandbox(sandboxes_, id, {}, std::nullopt);
    ++collected;
  }
  return collected;
}

void forget_sandbox(BorrowedFd records, const std::string& sandbox_id, BorrowedFd slots,
                    std::optional<std::uint32_t> slot) {
  if (slot) {
    const std::array<char, kSlotBytes> zero{};
    // If this fails, the record is gone all the same, and a slot without one is free.
    (void)!pwrite(slots.number(), zero.data(), zero.size(), static_cast<off_t>(*slot * kSlotBytes));
  }
  unlinkat(records.number(), sandbox_id.c_str(), 0);
}

std::string make_sandbox_id() {
  static constexpr char kDigits[] = "0123456789abcdefghjkmnpqrstvwxyz";
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  auto time = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  std::string id(kIdLength, '0');
  for (std::size_t i = 10; i-- > 0; time >>= 5) id[i] = kDigits[time & 31];
  std::uint64_t high = kernel::random_bits(), low = kernel::random_bits();
  for (std::size_t i = 10; i < 18; ++i, high >>= 5) id[i] = kDigits[high & 31];
  for (std::size_t i = 18; i < kIdLength; ++i, low >>= 5) id[i] = kDigits[low & 31];
  return id;
}

}  // namespace cove
