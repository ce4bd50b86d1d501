// exit_status: a result as one small number, for shells.
#include <csignal>

#include "cove/sandbox_result.h"
#include "runtime/model/names.h"

namespace cove {
namespace {

// As GNU timeout, env and Docker have them.
constexpr int kTimedOut = 124;
constexpr int kOurFault = 125;
constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;
constexpr int kSignaled = 128;

int for_signal(const SandboxResult& result, int otherwise) {
  return kSignaled + signal_number(result.signal.value_or("")).value_or(otherwise);
}

int for_error(const SandboxResult& result) {
  if (!result.error) return kOurFault;
  if (result.error->code == ErrorCode::command_not_found) return kNotFound;
  if (result.error->code == ErrorCode::command_not_executable) return kNotExecutable;
  return kOurFault;
}

}  // namespace

int exit_status(const SandboxResult& result) {
  switch (result.cause) {
    case Cause::exited:
      return result.exit_code.value_or(kOurFault);
    case Cause::signaled:
      return for_signal(result, SIGKILL);
    case Cause::timeout:
      return kTimedOut;
    case Cause::cpu_timeout:
      return kTimedOut;
    case Cause::out_of_memory:
      return kSignaled + SIGKILL;
    case Cause::output_limit:
      return kSignaled + SIGKILL;
    case Cause::seccomp:
      return for_signal(result, SIGSYS);
    case Cause::cancelled:
      return for_signal(result, SIGKILL);
    case Cause::sandbox_error:
      return for_error(result);
  }
  return kOurFault;
}

}  // namespace cove
