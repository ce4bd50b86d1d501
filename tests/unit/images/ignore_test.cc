#include "images/build/ignore.h"

#include <gtest/gtest.h>

namespace cove {
namespace {

TEST(IgnoredFiles, AreThoseThatAPatternNames) {
  const IgnoredFiles ignored(
      "# comment\n\n *.log \r\n/top\n./sub//deep/\n**/cache\na/*/c\nx?z\nall/**\n*/tmp*\n");
  for (const char* path :
       {"a.log", ".log", "top", "top/below/file", "sub/deep", "sub/deep/file", "cache", "p/cache",
        "p/q/cache", "p/q/cache/file", "a/b/c", "xyz", "all/one", "all/one/two", "p/tmp1"})
    EXPECT_TRUE(ignored.holds(path)) << path;
  for (const char* path : {"p/a.log", "a.logs", "p/top", "sub", "sub/deeper", "a/c", "a/b/b/c",
                           "xz", "all", "tmp1", "p/q/tmp1", "# comment", "cached"})
    EXPECT_FALSE(ignored.holds(path)) << path;
  EXPECT_FALSE(ignored.has_exceptions());
}

TEST(IgnoredFiles, AreTakenBackByWhatFollows) {
  const IgnoredFiles ignored("*\n!kept\n! also/kept \nkept/not\n");
  EXPECT_TRUE(ignored.has_exceptions());
  EXPECT_TRUE(ignored.holds("other"));
  EXPECT_FALSE(ignored.holds("kept"));
  EXPECT_FALSE(ignored.holds("kept/below"));
  EXPECT_TRUE(ignored.holds("kept/not"));
  EXPECT_TRUE(ignored.holds("also"));
  EXPECT_FALSE(ignored.holds("also/kept"));
}

// Hashing a file too many costs a build; one too few gives an old image.
TEST(IgnoredFiles, AreNoneWhereBuildersMayDisagree) {
  for (const char* pattern : {"[ab]", "a\\*", "x**y", "../up", ".", "/", "!", "a/../b"})
    for (const char* path : {"a", "b", "a*", "xy", "up", "x/y"})
      EXPECT_FALSE(IgnoredFiles(pattern).holds(path)) << pattern << " " << path;
  EXPECT_FALSE(IgnoredFiles("*\n![k]ept\n").holds("other"));
  EXPECT_FALSE(IgnoredFiles("*\n!k?pt\n").holds("other"));
  EXPECT_TRUE(IgnoredFiles("*\n![k]ept\nother\n").holds("other"));
  EXPECT_FALSE(IgnoredFiles().holds("a"));
}

}  // namespace
}  // namespace cove
