#include "images/unpack/implied.h"

#include <sys/stat.h>
#include <sys/xattr.h>

#include "tests/unit/images/archives.h"

namespace cove {
namespace {

using testing::ScratchDirectory;
using testing::write_file;

TEST(Implied, IsWrittenAndReadAgain) {
  const Implied implied{"", "a", "a/b c", "bytes\xff", "new\nline"};
  EXPECT_EQ(implied_from(to_text(implied)), implied);
  EXPECT_EQ(implied_from(""), Implied{});
}
TEST(Implied, OfPathsThatLeadElsewhereIsNotRead) {
  const Implied hostile{"..",  "a/../b", "/etc", "a//b", ".", "a/./b", "a/", std::string(256, 'n'),
                        "a/.."};
  EXPECT_EQ(implied_from(to_text(hostile)), Implied{});
  EXPECT_EQ(implied_from("cut off"), Implied{});
}

// Layers made by hand, lowest first.
class Directories : public ::testing::Test {
 protected:
  Directories() { umask(0); }
  ~Directories() override { umask(022); }

  std::string at(int layer, const std::string& path) const {
    return scratch_ / std::to_string(layer) + "/" + path;
  }
  // All directories of `path` in that layer, which are 0755 unless made before.
  void make(int layer, const std::string& path, mode_t mode = 0755) {
    std::filesystem::create_directories(std::filesystem::path(at(layer, path)).parent_path());
    mkdir(at(layer, path).c_str(), mode);
    const timespec time{1000 + layer, 5};
    const timespec times[2] = {time, time};
    ASSERT_EQ(utimensat(AT_FDCWD, at(layer, path).c_str(), times, 0), 0);
  }
  DirectoryTree mend(const std::vector<Implied>& implied) const {
    std::vector<UnpackedLayer> layers;
    for (std::size_t layer = 0; layer < implied.size(); ++layer)
      layers.push_back({scratch_ / std::to_string(layer), implied[layer]});
    return directories_to_mend(layers);
  }
  static std::vector<std::string> paths(const DirectoryTree& tree) {
    std::vector<std::string> paths;
    for (const auto& [path, attributes] : tree) paths.push_back(path);
    return paths;
  }

  ScratchDirectory scratch_;
};
using Paths = std::vector<std::string>;

TEST_F(Directories, AreAsTheNearestLayerBelowThatContainsThem) {
  make(0, "home", 0700);
  make(1, "home", 0711);
  make(2, "home");
  make(2, "home/ada");
  const DirectoryTree tree = mend({{""}, {""}, {"", "home", "home/ada"}});
  EXPECT_EQ(paths(tree), (Paths{"", "home"}));
  EXPECT_EQ(tree.at("home").mode, 0711U);
  EXPECT_EQ(tree.at("home").modified.tv_sec, 1001);
  EXPECT_EQ(tree.at("home").modified.tv_nsec, 5);
}
TEST_F(Directories, ThatTheTopmostContainsNeedNothing) {
  make(0, "d", 0700);
  make(1, "d");
  make(2, "d", 0750);
  EXPECT_EQ(paths(mend({{""}, {"", "d"}, {""}})), Paths{});
}
TEST_F(Directories, ThatAreTheSameNeedNothing) {
  make(0, "d");
  make(1, "d");
  const timespec time{1000, 5};
  const timespec times[2] = {time, time};
  ASSERT_EQ(utimensat(AT_FDCWD, at(1, "d").c_str(), times, 0), 0);
  EXPECT_EQ(paths(mend({{""}, {"", "d"}})), Paths{});
}
TEST_F(Directories, OfNoLayerStayAsTheyWereMade) {
  make(0, "a/b");
  make(1, "a/b");
  EXPECT_EQ(paths(mend({{"", "a", "a/b"}, {"", "a", "a/b"}})), Paths{});
}
TEST_F(Directories, BehindAnOpaqueOneAreNotLookedAt) {
  make(0, "o", 0700);
  make(0, "o/in", 0700);
  make(1, "o");
  make(1, "o/in");
  ASSERT_EQ(setxattr(at(1, "o").c_str(), "user.overlay.opaque", "y", 1, 0), 0);
  EXPECT_EQ(paths(mend({{""}, {"", "o", "o/in"}})), Paths{});
}
TEST_F(Directories, OnceRemovedAreNotLookedAt) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: for a whiteout";
  make(0, "r", 0700);
  make(1, "r");
  ASSERT_EQ(rmdir(at(1, "r").c_str()), 0);
  ASSERT_EQ(mknod(at(1, "r").c_str(), S_IFCHR, 0), 0);
  make(2, "r");
  EXPECT_EQ(paths(mend({{""}, {""}, {"", "r"}})), Paths{});
}
TEST_F(Directories, OnceLinksAreNotFollowed) {
  make(0, "target", 0700);
  make(0, "x");
  ASSERT_EQ(symlink("target", at(0, "l").c_str()), 0);
  make(1, "l");
  EXPECT_EQ(paths(mend({{""}, {"", "l"}})), Paths{});
}
TEST_F(Directories, AreWrittenWithAllThatLeadToThem) {
  make(0, "a", 0710);
  make(0, "a/b", 0700);
  ASSERT_EQ(setxattr(at(0, "a/b").c_str(), "user.mark", "v", 1, 0), 0);
  if (geteuid() == 0) ASSERT_EQ(chown(at(0, "a/b").c_str(), 7, 8), 0);
  ASSERT_EQ(chmod(at(0, "a/b").c_str(), 02550), 0);
  make(0, "a", 0710);
  make(1, "a/b/c");
  const DirectoryTree tree = mend({{""}, {"", "a", "a/b"}});
  ASSERT_EQ(paths(tree), (Paths{"", "a", "a/b"}));

  ASSERT_EQ(mkdir((scratch_ / "written").c_str(), 0755), 0);
  const UniqueFd into(open((scratch_ / "written").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto written = write_directories(tree, into);
  ASSERT_TRUE(written) << written.error().message();
  struct stat status {};
  ASSERT_EQ(stat((scratch_ / "written/a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0710U);
  EXPECT_EQ(status.st_mtim.tv_sec, 1000);
  ASSERT_EQ(stat((scratch_ / "written/a/b").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 02550U);
  EXPECT_EQ(status.st_uid, geteuid() == 0 ? 7U : geteuid());
  char value = 0;
  EXPECT_EQ(getxattr((scratch_ / "written/a/b").c_str(), "user.mark", &value, 1), 1);
  EXPECT_EQ(value, 'v');
}
TEST_F(Directories, HaveOneDigestForOneContent) {
  DirectoryTree one{{"", {}}, {"a", {}}}, other = one;
  EXPECT_EQ(digest_of(one), digest_of(other));
  EXPECT_EQ(digest_of(one).substr(0, 7), "sha256:");
  other.at("a").mode = 0700;
  EXPECT_NE(digest_of(one), digest_of(other));
  other = one;
  other.at("a").xattrs["user.x"] = "";
  EXPECT_NE(digest_of(one), digest_of(other));
}

}  // namespace
}  // namespace cove
