#include "cove/error.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace cove {
namespace {

TEST(ErrorMessage, HasItsPartsInOrder) {
  Error error;
  error.what = "no such mount";
  EXPECT_EQ(error.message(), "no such mount");
  error.step = "mount 3";
  error.where = "/tmp";
  error.sys_errno = EPERM;
  error.hint = "be root";
  EXPECT_EQ(error.message(),
            "mount 3: /tmp: no such mount: EPERM (Operation not permitted) (be root)");
}

TEST(ErrorMessage, HasOneLinePerMistakeAlsoNestedOnes) {
  Error inner;
  inner.what = "third";
  Error second;
  second.what = "second";
  second.more = {inner};
  Error first;
  first.what = "first";
  first.more = {second};
  EXPECT_EQ(first.message(), "first\nsecond\nthird");
}

// glibc has no description for it, and a std::string of a null pointer ends the process.
TEST(ErrorMessage, SurvivesANumberThatIsNoErrno) {
  Error error;
  error.what = "x";
  for (const int number : {4095, 99999, -1}) {
    error.sys_errno = number;
    EXPECT_EQ(error.message(), "x: errno " + std::to_string(number));
  }
}

TEST(ErrorMessage, CannotDriveATerminalOrForgeALine) {
  Error error;
  error.what = "open /tmp/\x1b[2J\nsecond line";
  EXPECT_EQ(error.message(), "open /tmp/\\x1b[2J\\x0asecond line");
}

TEST(ErrnoError, TakesTheErrno) {
  errno = ENOSPC;
  const Error error = errno_error(ErrorCode::setup_failed, "cgroup", "write memory.max");
  EXPECT_EQ(error.code, ErrorCode::setup_failed);
  EXPECT_EQ(error.message(), "cgroup: write memory.max: ENOSPC (No space left on device)");
}

}  // namespace
}  // namespace cove
