#include "runtime/seccomp/trace.h"

#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstring>
#include <optional>

#include "runtime/seccomp/assembler.h"

namespace cove {
namespace {

constexpr std::uint16_t kAnswer = BPF_RET | BPF_K;

Error no_trace(std::string what) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "seccomp";
  error.what = "the filter cannot be traced: " + std::move(what);
  return error;
}

// Allows the two calls of kUnasked, and falls through to what stands behind it otherwise.
std::vector<sock_filter> unasked_calls() {
  constexpr std::size_t kFourth = offsetof(seccomp_data, args) + 3 * sizeof(std::uint64_t);
  Assembler code;
  const auto marked = code.label();
  const auto all_others = code.label();
  code.load(offsetof(seccomp_data, arch));
  code.jump_if(BPF_JEQ, seccomp_arch_native(), std::nullopt, all_others);
  code.load(offsetof(seccomp_data, nr));
  code.jump_if(BPF_JEQ, SYS_sendmsg, marked, std::nullopt);
  code.jump_if(BPF_JEQ, SYS_close, marked, all_others);
  code.place(marked);
  code.load(kFourth);
  code.jump_if(BPF_JEQ, static_cast<std::uint32_t>(kUnasked), std::nullopt, all_others);
  code.load(kFourth + 4);
  code.jump_if(BPF_JEQ, static_cast<std::uint32_t>(kUnasked >> 32), std::nullopt, all_others);
  code.answer(SECCOMP_RET_ALLOW);
  code.place(all_others);
  return *code.finish();  // no jump of these is too far
}

bool lets_pass(std::uint32_t value) {
  const std::uint32_t action = value & SECCOMP_RET_ACTION_FULL;
  return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}

}  // namespace

Result<std::vector<sock_filter>> tracing_filter(std::span<const sock_filter> filter) {
  std::vector<sock_filter> traced = unasked_calls();
  if (filter.size() + traced.size() > BPF_MAXINSNS)
    return fail(no_trace("it has " + std::to_string(filter.size()) + " instructions, and " +
                         std::to_string(traced.size()) + " more are too many for the kernel"));
  for (sock_filter instruction : filter) {
    if (BPF_CLASS(instruction.code) == BPF_RET) {
      if (instruction.code != kAnswer) return fail(no_trace("an answer of it is computed"));
      if (!lets_pass(instruction.k)) instruction.k = SECCOMP_RET_USER_NOTIF;
    }
    traced.push_back(instruction);
  }
  return traced;
}

std::string answer_name(std::uint32_t value) {
  const auto data = static_cast<int>(value & SECCOMP_RET_DATA);
  switch (value & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
      return "allow";
    case SECCOMP_RET_ERRNO: {
      const char* name = strerrorname_np(data);
      return name != nullptr && data != 0 ? name : "errno " + std::to_string(data);
    }
    case SECCOMP_RET_TRAP:
      return "trap";
    case SECCOMP_RET_TRACE:
    case SECCOMP_RET_USER_NOTIF:
      return "ENOSYS";  // there is neither a tracer nor a listener
    case SECCOMP_RET_KILL_THREAD:
      return "kill_thread";
    default:
      return "kill_process";  // as the kernel takes an action that it does not know
  }
}

}  // namespace cove
