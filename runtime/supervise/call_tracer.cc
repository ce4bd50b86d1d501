#include "runtime/supervise/call_tracer.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "runtime/kernel/message.h"
#include "runtime/seccomp/evaluate.h"
#include "runtime/seccomp/syscall_table.h"
#include "runtime/seccomp/trace.h"

namespace cove {
namespace {

constexpr int kAnswersPerEvent = 32;

std::vector<std::uint64_t> words_for(std::size_t kernels, std::size_t ours) {
  return std::vector<std::uint64_t>((std::max(kernels, ours) + 7) / 8);
}

}  // namespace

void CallCounts::add(const seccomp_data& call, std::uint32_t answer) {
  const Kind kind{call.arch, call.nr, answer};
  if (const auto known = counts_.find(kind); known != counts_.end()) {
    ++known->second;
  } else if (counts_.size() < kMostCalls) {
    counts_.emplace(kind, 1);
  } else {
    ++others_;
  }
}

std::vector<TracedCall> CallCounts::calls() const {
  std::vector<TracedCall> calls;
  for (const auto& [kind, count] : counts_) {
    const auto& [architecture, number, answer] = kind;
    SyscallName call = name_syscall(architecture, number);
    calls.push_back(
        {std::move(call.name), std::move(call.architecture), answer_name(answer), count});
  }
  std::sort(calls.begin(), calls.end(), [](const TracedCall& a, const TracedCall& b) {
    if (a.count != b.count) return a.count > b.count;
    return std::tie(a.syscall, a.architecture, a.answer) <
           std::tie(b.syscall, b.architecture, b.answer);
  });
  return calls;
}

CallTracer::CallTracer(TraceInputs inputs)
    : name_(std::move(inputs.name)),
      filter_(std::move(inputs.filter)),
      link_(std::move(inputs.link)) {
  seccomp_notif_sizes sizes{};
  // A kernel that has listeners has this too (5.0); where it fails, none will come.
  (void)syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes);
  question_ = words_for(sizes.seccomp_notif, sizeof(seccomp_notif));
  answer_ = words_for(sizes.seccomp_notif_resp, sizeof(seccomp_notif_resp));
}

void CallTracer::on_event() {
  if (!listener_) return take_listener();
  for (int left = kAnswersPerEvent; left > 0 && is_asked(); --left) answer_one();
}

void CallTracer::stop() {
  link_.give_up();
  listener_.give_up();
}

void CallTracer::close_given_up() {
  link_.close_given_up();
  listener_.close_given_up();
}

// End of file: the program did not get so far.
void CallTracer::take_listener() {
  auto message = receive_message(link_, Wait::poll);
  if (!message && message.error().sys_errno == EAGAIN) return;
  if (message && !message->fds.empty()) listener_ = WatchedFd(std::move(message->fds.front()));
  link_.give_up();
}

// SECCOMP_IOCTL_NOTIF_RECV waits where there is nothing. What poll(2) has seen, and is gone again
// since its caller was killed, makes it say ENOENT.
bool CallTracer::is_asked() {
  pollfd event{listener_.number(), POLLIN, 0};
  if (poll(&event, 1, 0) < 0) return false;
  if ((event.revents & POLLIN) != 0) return true;
  if (event.revents != 0) stop();  // nobody is left who could call
  return false;
}

void CallTracer::answer_one() {
  std::fill(question_.begin(), question_.end(), 0);  // the kernel asks for it
  if (ioctl(listener_.number(), SECCOMP_IOCTL_NOTIF_RECV, question_.data()) != 0) {
    if (errno != ENOENT && errno != EINTR) stop();
    return;
  }
  seccomp_notif question{};
  std::memcpy(&question, question_.data(), sizeof question);
  seccomp_notif_resp answer{};
  answer.id = question.id;
  answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  if (!send_answer(answer)) return;
  const Result<std::uint32_t> refusal = evaluate(filter_, question.data);
  counts_.add(question.data, refusal.value_or(SECCOMP_RET_KILL_PROCESS));
}

// False where nobody waits for it any more (ENOENT): the caller was killed; or interrupted, and then
// it calls again. So only what was let through is counted.
bool CallTracer::send_answer(const seccomp_notif_resp& answer) {
  std::memcpy(answer_.data(), &answer, sizeof answer);
  while (ioctl(listener_.number(), SECCOMP_IOCTL_NOTIF_SEND, answer_.data()) != 0) {
    if (errno == EINTR) continue;  // a signal to us; the caller waits still
    if (errno != ENOENT) stop();
    return false;
  }
  return true;
}

SeccompTrace CallTracer::trace() const { return {name_, counts_.calls(), counts_.others()}; }

}  // namespace cove
