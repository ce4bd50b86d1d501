#include <gtest/gtest.h>

#include "cove/sandbox_result.h"

namespace cove {
namespace {

struct ExitCase {
  Cause cause;
  std::optional<int> exit_code;
  std::optional<std::string> signal;
  std::optional<ErrorCode> error;
  int status;
};

TEST(ExitStatus, FollowsTheTable) {
  const ExitCase cases[] = {
      {Cause::exited, 0, {}, {}, 0},
      {Cause::exited, 3, {}, {}, 3},
      {Cause::exited, 124, {}, {}, 124},
      {Cause::exited, {}, {}, {}, 125},
      {Cause::signaled, {}, "SIGSEGV", {}, 139},
      {Cause::signaled, {}, "SIGTERM", {}, 143},
      {Cause::signaled, {}, "SIGRTMAX", {}, 192},
      {Cause::signaled, {}, "nonsense", {}, 137},
      {Cause::timeout, {}, "SIGKILL", {}, 124},
      {Cause::timeout, 0, {}, {}, 124},
      {Cause::cpu_timeout, {}, "SIGKILL", {}, 124},
      {Cause::out_of_memory, {}, "SIGKILL", {}, 137},
      {Cause::out_of_memory, 1, {}, {}, 137},
      {Cause::output_limit, {}, "SIGKILL", {}, 137},
      {Cause::seccomp, {}, "SIGSYS", {}, 159},
      {Cause::seccomp, {}, {}, {}, 159},
      {Cause::cancelled, {}, {}, {}, 137},
      {Cause::cancelled, {}, "SIGTERM", {}, 143},
      {Cause::sandbox_error, {}, {}, {}, 125},
      {Cause::sandbox_error, {}, {}, ErrorCode::setup_failed, 125},
      {Cause::sandbox_error, {}, {}, ErrorCode::command_not_found, 127},
      {Cause::sandbox_error, {}, {}, ErrorCode::command_not_executable, 126},
  };
  for (const ExitCase& c : cases) {
    SandboxResult result;
    result.cause = c.cause;
    result.exit_code = c.exit_code;
    result.signal = c.signal;
    if (c.error) result.error.emplace().code = *c.error;
    EXPECT_EQ(exit_status(result), c.status) << to_string(c.cause) << " " << c.signal.value_or("-");
  }
}

}  // namespace
}  // namespace cove
