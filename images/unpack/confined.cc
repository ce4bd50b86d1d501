#include "images/unpack/confined.h"

#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <string_view>

#include "images/layout/documents.h"
#include "images/unpack/libraries.h"
#include "runtime/kernel/io.h"

namespace cove {
namespace {

constexpr std::size_t kAnswerCap = 256 * 1024 * 1024;
constexpr int kCouldNotConfine = 70;
constexpr std::size_t kErrorParts = 6;

// What a host may refuse. The first byte of an answer is 'a' and the sum of what is missing.
constexpr char kNothingMissing = 'a';
constexpr char kNamesMissing = 1;  // neither Landlock nor a root of its own
constexpr char kCallsMissing = 2;

// Its root, whose id is nobody's on the host.
bool become_root_of(BorrowedFd user_namespace) {
  return setns(user_namespace.number(), CLONE_NEWUSER) == 0 && setgroups(0, nullptr) == 0 &&
         setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0;
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

// The parent may have died before the prctl.
bool die_with(pid_t parent) { return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent; }

// The byte that says what is missing; 0 where it must not go on.
char confine(const Needs& needs, pid_t parent) {
  char told = kNothingMissing;
  if (!die_with(parent)) return 0;
  if (needs.user_namespace && !become_root_of(needs.user_namespace)) return 0;
  if (!close_other_descriptors(needs)) return 0;
  const bool own_root = change_root(needs);
  if (!drop_privileges(needs)) return 0;
  // A credential change clears it.
  if (!die_with(parent)) return 0;
  wipe_environment(needs);
  umask(0);
  // Their errors are told by who writes.
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  if (!limit_resources(needs)) return 0;
  if (!restrict_names(needs) && !own_root) told += kNamesMissing;
  if (!filter_calls(needs)) told += kCallsMissing;
  return told;
}

Error work_error(ErrorCode code, std::string what) {
  Error error;
  error.code = code;
  error.step = "unpack";
  error.what = std::move(what);
  return error;
}

std::string answer_of(const std::function<Result<Records>()>& work) {
  try {
    return encode(work());
  } catch (const std::bad_alloc&) {
    return encode(fail(out_of_memory()));
  } catch (const std::exception& thrown) {
    return encode(fail(work_error(ErrorCode::internal, thrown.what())));
  }
}

[[noreturn]] void run_child(pid_t parent, int answer_fd, Needs needs,
                            const std::function<Result<Records>()>& work) {
  needs.keep.push_back(answer_fd);
  const char told = confine(needs, parent);
  if (told == 0) _exit(kCouldNotConfine);
  const bool answered = kernel::write_all(BorrowedFd(answer_fd), told + answer_of(work));
  _exit(answered ? 0 : 1);
}

Error lost_process(int status) {
  Error lost =
      work_error(ErrorCode::sandbox_lost,
                 "the unpacking process ended without an answer, status " + std::to_string(status));
  if (WIFEXITED(status) && WEXITSTATUS(status) == kCouldNotConfine) {
    lost.code = ErrorCode::setup_failed;
    lost.what = "the unpacking process could not be confined";
  }
  if (!WIFSIGNALED(status)) return lost;
  lost.what =
      std::string("the unpacking process was killed by ") + strsignal(WTERMSIG(status));  // NOLINT
  if (WTERMSIG(status) == SIGKILL) lost.hint = "the host may be short of memory";
  if (WTERMSIG(status) == SIGSYS) {
    lost.what = "the unpacking process was killed for a system call that it has no need of";
    lost.hint = "the image may be an attack: keep it, and report this";
  }
  return lost;
}

}  // namespace

Result<ConfinedProcess> ConfinedProcess::start(const Needs& needs,
                                               const std::function<Result<Records>()>& work) {
  ready_libraries();
  kernel::Pipe answer = kernel::make_pipe();
  if (!answer) return fail(errno_error(ErrorCode::resource_exhausted, "unpack", "pipe"));
  const pid_t self = getpid();
  const pid_t pid = fork();
  if (pid < 0) return fail(errno_error(ErrorCode::resource_exhausted, "unpack", "fork"));
  if (pid == 0) run_child(self, answer.writing.number(), needs, work);
  return ConfinedProcess(pid, std::move(answer.reading));
}

ConfinedProcess::ConfinedProcess(ConfinedProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      answer_(std::move(other.answer_)),
      missing_(std::move(other.missing_)) {}

ConfinedProcess::~ConfinedProcess() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

bool ConfinedProcess::has_answered() const {
  pollfd answer{answer_.number(), POLLIN, 0};
  return poll(&answer, 1, 0) > 0;
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

  const Error lost = lost_process(status);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || answer.empty()) return fail(lost);
  remember_missing(answer.front());
  return decode(std::string_view(answer).substr(1), lost);
}

void ConfinedProcess::remember_missing(char told) {
  const int missing = told - kNothingMissing;
  if (missing & kNamesMissing) missing_.emplace_back("neither Landlock nor a root of its own");
  if (missing & kCallsMissing) missing_.emplace_back("no filter of system calls");
}

}  // namespace cove
