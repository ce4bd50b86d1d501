#include "images/unpack/confined.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <string_view>

namespace cove {
namespace {

constexpr std::size_t kAnswerCap = 256 * 1024 * 1024;
constexpr int kCouldNotConfine = 70;
constexpr std::size_t kErrorParts = 6;

using CapabilitySet = std::unique_ptr<std::remove_pointer_t<cap_t>, int (*)(void*)>;

bool drop_privileges(const std::vector<int>& keep) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  for (int capability = 0; capability <= cap_max_bits() - 1; ++capability) {
    // Without CAP_SETPCAP the bounding set stays; no_new_privs makes it worthless.
    const bool kept = std::find(keep.begin(), keep.end(), capability) != keep.end();
    if (!kept && has_capability(CAP_SETPCAP) && cap_drop_bound(capability) != 0 && errno != EINVAL)
      return false;
  }
  const CapabilitySet left(cap_init(), cap_free);
  if (!left) return false;
  for (const int capability : keep) {
    if (!has_capability(capability)) continue;
    const cap_value_t value = capability;
    for (const cap_flag_t flag : {CAP_PERMITTED, CAP_EFFECTIVE}) {
      if (cap_set_flag(left.get(), flag, 1, &value, CAP_SET) != 0) return false;
    }
  }
  return cap_set_proc(left.get()) == 0;
}

// Its root, whose id is nobody's on the host.
bool become_root_of(BorrowedFd user_namespace) {
  return setns(user_namespace.number(), CLONE_NEWUSER) == 0 && setgroups(0, nullptr) == 0 &&
         setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// The answer: 'R' or 'E', then strings, each behind its length.
void append(std::string& answer, std::string_view text) {
  const std::uint32_t size = static_cast<std::uint32_t>(text.size());
  answer.append(reinterpret_cast<const char*>(&size), sizeof size);
  answer.append(text);
}

// kErrorParts strings.
void append(std::string& answer, const Error& error) {
  append(answer, std::to_string(static_cast<int>(error.code)));
  append(answer, std::to_string(error.sys_errno));
  for (const std::string* part : {&error.step, &error.what, &error.where, &error.hint})
    append(answer, *part);
}

std::string encode(const Result<Records>& result) {
  std::string answer = result ? "R" : "E";
  if (result) {
    for (const std::string& record : *result) append(answer, record);
    return answer;
  }
  append(answer, result.error());
  for (const Error& more : result.error().more) append(answer, more);
  return answer;
}

// 0 where there is none, or one that no int holds: the child may be under the image's control by now.
int number_in(const std::string& text) {
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Error error_from(const std::string* parts) {
  Error error;
  const int code = number_in(parts[0]);
  error.code = code >= 0 && code <= static_cast<int>(ErrorCode::internal)
                   ? static_cast<ErrorCode>(code)
                   : ErrorCode::internal;
  error.sys_errno = number_in(parts[1]);
  error.step = parts[2];
  error.what = parts[3];
  error.where = parts[4];
  error.hint = parts[5];
  return error;
}

Result<Records> decode(std::string_view answer, const Error& malformed) {
  if (answer.empty() || (answer.front() != 'R' && answer.front() != 'E')) return fail(malformed);
  const bool failed = answer.front() == 'E';
  answer.remove_prefix(1);
  Records records;
  while (!answer.empty()) {
    std::uint32_t size = 0;
    if (answer.size() < sizeof size) return fail(malformed);
    std::memcpy(&size, answer.data(), sizeof size);
    answer.remove_prefix(sizeof size);
    if (answer.size() < size) return fail(malformed);
    records.emplace_back(answer.substr(0, size));
    answer.remove_prefix(size);
  }
  if (!failed) return records;
  if (records.empty() || records.size() % kErrorParts != 0) return fail(malformed);
  std::vector<Error> mistakes;
  for (std::size_t at = 0; at < records.size(); at += kErrorParts)
    mistakes.push_back(error_from(&records[at]));
  return fail(one_error(std::move(mistakes)));
}

[[noreturn]] void run_child(pid_t parent, int answer_fd, const std::vector<int>& capabilities,
                            const std::function<Result<Records>()>& work,
                            BorrowedFd user_namespace) {
  // The parent may have died before the prctl.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) _exit(kCouldNotConfine);
  if (user_namespace && !become_root_of(user_namespace)) _exit(kCouldNotConfine);
  if (!drop_privileges(capabilities)) _exit(kCouldNotConfine);
  // A credential change clears it.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) _exit(kCouldNotConfine);
  umask(0);
  signal(SIGPIPE, SIG_IGN);
  const bool told = write_all(answer_fd, encode(work()));
  _exit(told ? 0 : 1);
}

}  // namespace

bool has_capability(int capability) {
  const CapabilitySet mine(cap_get_proc(), cap_free);
  cap_flag_value_t value = CAP_CLEAR;
  return mine && cap_get_flag(mine.get(), capability, CAP_EFFECTIVE, &value) == 0 &&
         value == CAP_SET;
}

Result<ConfinedProcess> ConfinedProcess::start(const std::vector<int>& capabilities,
                                               const std::function<Result<Records>()>& work,
                                               BorrowedFd user_namespace) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return fail(errno_error(ErrorCode::resource_exhausted, "unpack", "pipe"));
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  const pid_t self = getpid();
  const pid_t pid = fork();
  if (pid < 0) return fail(errno_error(ErrorCode::resource_exhausted, "unpack", "fork"));
  if (pid == 0) {
    read_end.reset();
    run_child(self, write_end.number(), capabilities, work, user_namespace);
  }
  return ConfinedProcess(pid, std::move(read_end));
}

ConfinedProcess::ConfinedProcess(ConfinedProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), answer_(std::move(other.answer_)) {}

ConfinedProcess::~ConfinedProcess() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<Records> ConfinedProcess::finish() {
  std::string answer;
  std::vector<char> buffer(64 * 1024);
  bool too_long = false;
  for (;;) {
    const ssize_t got = read(answer_.number(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    answer.append(buffer.data(), static_cast<std::size_t>(got));
    too_long = answer.size() > kAnswerCap;
    if (too_long) break;
  }
  if (too_long) kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;

  Error lost;
  lost.code = ErrorCode::sandbox_lost;
  lost.step = "unpack";
  lost.what = "the unpacking process ended without an answer, status " + std::to_string(status);
  if (WIFSIGNALED(status)) {
    lost.what = std::string("the unpacking process was killed by ") +
                strsignal(WTERMSIG(status));  // NOLINT
    if (WTERMSIG(status) == SIGKILL) lost.hint = "the host may be short of memory";
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == kCouldNotConfine) {
    lost.code = ErrorCode::setup_failed;
    lost.what = "the unpacking process could not drop its privileges";
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return fail(lost);
  return decode(answer, lost);
}

}  // namespace cove
