#include "runtime/identity/subordinate_ids.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <string>
#include <vector>

#include "runtime/kernel/fd.h"
#include "runtime/kernel/io.h"
#include "runtime/kernel/syscalls.h"

namespace cove {
namespace {

constexpr std::uint32_t kLentIds = kMappedIds - 1;

// The part before the next `end`, which is taken off `text` with it.
std::string_view take(std::string_view& text, char end) {
  const std::size_t at = text.find(end);
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return part;
}

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

Error map_error(std::string what, std::string hint = {}) {
  return Error{
      ErrorCode::isolation_unavailable, "id map", errno, std::move(what), "", std::move(hint), {}};
}

// newuidmap PID 0 SUB 1000 1000 OWN 1 1001 SUB+1000 64535
std::vector<std::string> helper_words(const char* helper, pid_t pid, std::uint32_t first,
                                      std::uint32_t own) {
  std::vector<std::string> words{helper, std::to_string(pid)};
  for (const std::uint32_t value : {std::uint32_t{0}, first, kOwnId, kOwnId, own, std::uint32_t{1},
                                    kOwnId + 1, first + kOwnId, kLentIds - kOwnId}) {
    words.push_back(std::to_string(value));
  }
  return words;
}

// In a child of its own: the helpers must run outside of the new namespace.
[[noreturn]] void execute(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  char* environment[] = {nullptr};
  kernel::close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
  for (const char* directory : {"/usr/bin/", "/bin/", "/usr/local/bin/"}) {
    execve((directory + words.front()).c_str(), argv.data(), environment);
  }
  _exit(127);
}

bool succeeds(const std::vector<std::string>& words) {
  const pid_t pid = fork();
  if (pid == 0) execute(words);
  int status = -1;
  while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// Waits for a word, runs both helpers, and exits with what came of it. What they complain of goes
// into `complaint`.
[[noreturn]] void map_when_told(BorrowedFd word, BorrowedFd complaint, pid_t pid,
                                const SubordinateIds& ids) {
  const std::vector<std::string> uids = helper_words("newuidmap", pid, ids.first_uid, getuid());
  const std::vector<std::string> gids = helper_words("newgidmap", pid, ids.first_gid, getgid());
  char go = 0;
  if (read(word.number(), &go, 1) != 1) _exit(1);
  dup2(complaint.number(), STDERR_FILENO);
  _exit(succeeds(uids) && succeeds(gids) ? 0 : 1);
}

std::string first_line(BorrowedFd pipe) {
  std::array<char, 512> text{};
  const ssize_t got = read(pipe.number(), text.data(), text.size());
  std::string_view line(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  return std::string(take(line, '\n'));
}

}  // namespace

// Range by range, as the parent has them.
IdMap same_subordinate_ids() {
  return {{0, 0, kOwnId}, {kOwnId, kOwnId, 1}, {kOwnId + 1, kOwnId + 1, kLentIds - kOwnId}};
}

std::string_view user_name_of(std::string_view passwd, std::uint32_t uid) {
  while (!passwd.empty()) {
    std::string_view line = take(passwd, '\n');
    const std::string_view name = take(line, ':');
    take(line, ':');
    if (number(take(line, ':')) == uid) return name;
  }
  return {};
}

std::optional<std::uint32_t> first_subordinate_id(std::string_view text, std::string_view user,
                                                  std::uint32_t uid) {
  while (!text.empty()) {
    std::string_view line = take(text, '\n');
    const std::string_view owner = take(line, ':');
    const auto first = number(take(line, ':')), count = number(line);
    const bool ours = (!user.empty() && owner == user) || number(owner) == uid;
    if (ours && first && count && *count >= kLentIds && *first <= ~kLentIds) return first;
  }
  return std::nullopt;
}

Result<void> enter_subordinate_ids(const SubordinateIds& ids, int flags) {
  kernel::Pipe word = kernel::make_pipe(), complaint = kernel::make_pipe();
  if (!word || !complaint) return fail(map_error("pipe"));
  const pid_t target = getpid();
  const pid_t helper = fork();
  if (helper < 0) return fail(map_error("fork"));
  if (helper == 0) {
    word.writing.reset();
    map_when_told(word.reading, complaint.writing, target, ids);
  }
  complaint.writing.reset();
  const bool unshared = unshare(CLONE_NEWUSER | flags) == 0;
  const Error refused = map_error("make a user namespace");
  if (unshared) (void)!write(word.writing.number(), "m", 1);
  word.writing.reset();
  int status = -1;
  while (waitpid(helper, &status, 0) < 0 && errno == EINTR) {
  }
  if (!unshared) return fail(refused);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  const std::string said = first_line(complaint.reading);
  errno = 0;
  return fail(map_error("newuidmap or newgidmap could not map the subordinate ids" +
                            (said.empty() ? "" : ": " + said),
                        "see `cove doctor`"));
}

}  // namespace cove
