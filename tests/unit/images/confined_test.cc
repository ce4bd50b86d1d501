#include "images/unpack/confined.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>

namespace cove {
namespace {

Result<Records> outcome_of(const std::function<Result<Records>()>& work) {
  Result<ConfinedProcess> process = ConfinedProcess::start({}, work);
  if (!process) return fail(process.error());
  return process->finish();
}

TEST(ConfinedProcess, HandsBackRecordsOfAnyBytes) {
  const Records records{"", std::string("a\0b", 3), "\xff\n", std::string(3'000'000, 'x')};
  const Result<Records> answer = outcome_of([&]() -> Result<Records> { return records; });
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_EQ(*answer, records);
}

TEST(ConfinedProcess, HandsBackTheWholeError) {
  const Result<Records> answer = outcome_of([]() -> Result<Records> {
    Error error;
    error.code = ErrorCode::resource_exhausted;
    error.sys_errno = ENOSPC;
    error.step = "a step";
    error.what = "what";
    error.where = "where";
    error.hint = "hint";
    return fail(error);
  });
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::resource_exhausted);
  EXPECT_EQ(answer.error().message(),
            "a step: where: what: ENOSPC (No space left on device) (hint)");
}

TEST(ConfinedProcess, ADeathIsAnErrorThatNamesTheSignal) {
  const Result<Records> answer = outcome_of([]() -> Result<Records> {
    raise(SIGKILL);
    return Records();
  });
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::sandbox_lost);
  EXPECT_NE(answer.error().what.find("Killed"), std::string::npos) << answer.error().message();
}

TEST(ConfinedProcess, EndsWithItsOwner) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  {
    const Result<ConfinedProcess> process = ConfinedProcess::start({}, []() -> Result<Records> {
      std::mutex never;
      never.lock();
      std::condition_variable_any().wait(never);
      return Records();
    });
    ASSERT_TRUE(process);
    write_end.reset();
  }
  char byte = 0;
  EXPECT_EQ(read(read_end.number(), &byte, 1), 0) << "nobody holds the other end any more";
}

}  // namespace
}  // namespace cove
