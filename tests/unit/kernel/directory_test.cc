#include "runtime/kernel/directory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <functional>

namespace cove {
namespace {

using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

class Directory : public ::testing::Test {
 protected:
  Directory() {
    std::string name = ::testing::TempDir() + "cove-directory-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
    top_.reset(open(path_.c_str(), kDirectory));
  }
  ~Directory() override {
    remove_tree(top_, "tree");
    remove_tree(top_, "other");
    rmdir(path_.c_str());
  }
  void make_directory(const char* path, mode_t mode = 0700) const {
    ASSERT_EQ(mkdirat(top_.number(), path, mode), 0) << path;
  }
  void make_file(const char* path) const {
    const UniqueFd file(openat(top_.number(), path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    ASSERT_TRUE(file) << path;
  }
  std::vector<std::string> names() const { return names_in(top_).value(); }
  // In a child, as another user if this one is root: to root no mode says anything.
  bool as_plain_user(const std::function<bool()>& done) const {
    if (geteuid() == 0 && chown(path_.c_str(), 12345, 12345) != 0) return false;
    const pid_t child = fork();
    if (child == 0) _exit((geteuid() != 0 || setuid(12345) == 0) && done() ? 0 : 1);
    int status = 0;
    return waitpid(child, &status, 0) == child && status == 0;
  }

  std::string path_;
  UniqueFd top_;
};

TEST_F(Directory, NamesAreListedWhereverTheDescriptorStands) {
  make_directory("tree");
  make_file("tree/file");
  make_file("tree/.hidden");
  for (const int flags : {kDirectory, O_PATH | O_DIRECTORY | O_CLOEXEC}) {
    const UniqueFd tree(openat(top_.number(), "tree", flags));
    for (int time = 0; time < 2; ++time)
      EXPECT_THAT(*names_in(tree), UnorderedElementsAre("file", ".hidden")) << flags;
  }
  const UniqueFd file(openat(top_.number(), "tree/file", O_RDONLY | O_CLOEXEC));
  errno = 0;
  EXPECT_FALSE(names_in(file));
  EXPECT_EQ(errno, ENOTDIR);
}
TEST_F(Directory, WhateverItIsIsRemoved) {
  make_file("tree");
  EXPECT_TRUE(remove_tree(top_, "tree"));
  make_directory("tree");
  EXPECT_TRUE(remove_tree(top_, "tree"));
  ASSERT_EQ(mkfifoat(top_.number(), "tree", 0600), 0);
  EXPECT_TRUE(remove_tree(top_, "tree"));
  EXPECT_TRUE(remove_tree(top_, "tree")) << "which is not there";
  EXPECT_THAT(names(), IsEmpty());
}
TEST_F(Directory, NoLinkIsFollowed) {
  make_directory("tree");
  make_directory("other");
  make_file("other/file");
  ASSERT_EQ(symlinkat("../other", top_.number(), "tree/link"), 0);
  EXPECT_TRUE(remove_tree(top_, "tree"));
  ASSERT_EQ(symlinkat("other", top_.number(), "tree"), 0);
  EXPECT_TRUE(remove_tree(top_, "tree"));
  EXPECT_THAT(names(), UnorderedElementsAre("other"));
  EXPECT_EQ(faccessat(top_.number(), "other/file", F_OK, 0), 0);
}
TEST_F(Directory, ATreeDeeperThanThereAreDescriptorsIsRemoved) {
  constexpr int kDepth = 3000;
  make_directory("tree");
  UniqueFd inner(openat(top_.number(), "tree", kDirectory));
  for (int depth = 0; depth < kDepth; ++depth) {
    // Names as the remover's own, and something beside each.
    for (const char* name : {"0", "1"}) ASSERT_EQ(mkdirat(inner.number(), name, 0700), 0);
    ASSERT_TRUE(UniqueFd(openat(inner.number(), "2", O_WRONLY | O_CREAT | O_CLOEXEC, 0)));
    inner.reset(openat(inner.number(), "0", kDirectory));
    ASSERT_TRUE(inner) << depth;
  }
  EXPECT_TRUE(remove_tree(top_, "tree"));
  EXPECT_THAT(names(), IsEmpty());
}
TEST_F(Directory, ModesDoNotKeepTheOwnerFromRemoving) {
  EXPECT_TRUE(as_plain_user([this] {
    make_directory("tree");
    make_directory("tree/full");
    make_directory("tree/full/inner");
    make_file("tree/full/inner/file");
    make_directory("tree/full/inner/locked", 0);
    for (const char* path : {"tree/full/inner", "tree/full", "tree"})
      fchmodat(top_.number(), path, path == std::string("tree/full") ? 0500 : 0, 0);
    return faccessat(top_.number(), "tree/full", F_OK, 0) != 0 && remove_tree(top_, "tree");
  }));
  EXPECT_THAT(names(), IsEmpty());
}
TEST_F(Directory, AllThatCanBeRemovedIs) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: for files of others";
  make_directory("tree", 0755);
  ASSERT_EQ(fchownat(top_.number(), "tree", 12345, 12345, 0), 0);
  for (const char* path : {"tree/a", "tree/root's", "tree/root's/of-root", "tree/z"}) {
    make_directory(path);
    if (path != std::string("tree/root's"))
      ASSERT_EQ(fchownat(top_.number(), path, 12345, 12345, 0), 0);
  }
  EXPECT_TRUE(as_plain_user([this] { return !remove_tree(top_, "tree") && errno == EPERM; }));
  const UniqueFd tree(openat(top_.number(), "tree", kDirectory));
  EXPECT_THAT(*names_in(tree), UnorderedElementsAre("root's"));
}
TEST_F(Directory, IsPrivateIfNobodyElseMayEnterIt) {
  EXPECT_TRUE(is_private(top_));
  for (const mode_t mode : {0701U, 0710U, 0777U}) {
    ASSERT_EQ(fchmod(top_.number(), mode), 0);
    EXPECT_FALSE(is_private(top_)) << mode;
    EXPECT_EQ(errno, 0);
  }
  ASSERT_EQ(fchmod(top_.number(), 0700), 0);
  if (geteuid() == 0) {
    EXPECT_FALSE(fchown(top_.number(), 12345, 12345) != 0 || is_private(top_));
  }
}

}  // namespace
}  // namespace cove
