
#include <algorithm>
#include <chrono>

#include "cove/image.h"
#include "images/unpack/merged.h"
#include "tests/unit/images/archives.h"

namespace cove {
namespace {

using testing::ScratchDirectory;
using testing::write_file;

TEST(DescribeRootfs, ReadsAccountsInTheRootOnly) {
  const ScratchDirectory scratch;
  const std::string root = scratch / "root";
  std::filesystem::create_directories(root + "/etc");
  std::filesystem::create_directories(root + "/usr");
  write_file(root + "/usr/passwd", "app:x:7:7::/:/bin/sh\n");
  write_file(scratch / "group", "host:x:0:\n");
  std::filesystem::create_symlink("/usr/passwd", root + "/etc/passwd");  // absolute: the root's own
  std::filesystem::create_symlink("../../group",
                                  root + "/etc/group");  // upwards: stops at the root

  const Result<ImageFacts> facts = describe_rootfs(root);

  ASSERT_TRUE(facts) << facts.error().message();
  EXPECT_EQ(facts->layers, std::vector<std::string>{root});
  EXPECT_EQ(facts->passwd, "app:x:7:7::/:/bin/sh\n");
  EXPECT_EQ(facts->group, "");
  EXPECT_EQ(facts->layer_ids, LayerIds::host);
  EXPECT_FALSE(facts->host_tools);
}

TEST(DescribeRootfs, NeitherBlocksNorReadsWithoutEnd) {
  const ScratchDirectory scratch;
  std::filesystem::create_directories(scratch / "etc");
  ASSERT_EQ(mkfifo((scratch / "etc/passwd").c_str(), 0644), 0);
  const std::string line(99, 'g');
  std::string large;
  while (large.size() <= 300 * 1024) large += line + "\n";
  write_file(scratch / "etc/group", large);
  const Result<ImageFacts> facts = describe_rootfs(scratch.path());
  ASSERT_TRUE(facts) << facts.error().message();
  EXPECT_EQ(facts->passwd, "");
  EXPECT_LE(facts->group.size(), 256U * 1024);
  EXPECT_EQ(facts->group.size() % 100, 0U) << "whole lines";
  EXPECT_GT(facts->group.size(), 255U * 1024);
}

TEST(DescribeRootfs, RefusesWhatIsNoAbsoluteDirectory) {
  const ScratchDirectory scratch;
  write_file(scratch / "file", "");
  for (const std::string& path :
       {std::string("relative"), std::string(), scratch / "file", scratch / "missing"}) {
    const Result<ImageFacts> facts = describe_rootfs(path);
    ASSERT_FALSE(facts) << path;
    EXPECT_EQ(facts.error().code, ErrorCode::invalid_argument);
  }
}

TEST(DescribeRootfs, TheHostIsTheHostByEveryName) {
  const ScratchDirectory scratch;
  std::filesystem::create_symlink("/", scratch / "link");
  for (const std::string& path : {std::string("/"), std::string("/."), std::string("//"),
                                  std::string("/usr/.."), scratch / "link"}) {
    const Result<ImageFacts> facts = describe_rootfs(path);
    ASSERT_TRUE(facts) << path;
    EXPECT_TRUE(facts->host_tools) << path;
    EXPECT_EQ(facts->name, "/");
  }
}

TEST(DescribeRootfs, ListsTheHostsToolsAndHidesWhatTheWorldMayNotRead) {
  const auto start = std::chrono::steady_clock::now();
  const Result<ImageFacts> facts = describe_rootfs("/");
  const auto took = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(facts);
  EXPECT_LT(took, std::chrono::milliseconds(500));
  RecordProperty(
      "microseconds",
      static_cast<int>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()));

  EXPECT_NE(std::find(facts->host_directories.begin(), facts->host_directories.end(), "/usr"),
            facts->host_directories.end());
  for (const auto& [path, target] : facts->host_links) {
    EXPECT_TRUE(std::filesystem::is_symlink(path)) << path;
    EXPECT_EQ(std::filesystem::read_symlink(path), target);
  }
  EXPECT_NE(facts->passwd.find("root:"), std::string::npos);
  for (const char* home : {"/home", "/root", "/var", "/proc", "/dev", "/run"}) {
    EXPECT_EQ(std::count(facts->host_directories.begin(), facts->host_directories.end(), home), 0)
        << home;
  }
  ASSERT_TRUE(std::filesystem::exists("/etc/shadow"));
  EXPECT_EQ(std::count(facts->hidden_paths.begin(), facts->hidden_paths.end(), "/etc/shadow"), 1);
  EXPECT_EQ(std::count(facts->hidden_paths.begin(), facts->hidden_paths.end(), "/etc/passwd"), 0);

  // Against a slower judge: whatever is a file that the world may not read is listed, or lies below
  // what is.
  for (const auto& item : std::filesystem::recursive_directory_iterator("/etc")) {
    struct stat status {};
    if (lstat(item.path().c_str(), &status) != 0 || !S_ISREG(status.st_mode) ||
        (status.st_mode & S_IROTH))
      continue;
    const std::string path = item.path();
    EXPECT_TRUE(std::any_of(facts->hidden_paths.begin(), facts->hidden_paths.end(),
                            [&](const std::string& hidden) {
                              return path == hidden || path.starts_with(hidden + "/");
                            }))
        << path;
  }
  for (const std::string& hidden : facts->hidden_paths) {
    for (const std::string& other : facts->hidden_paths)
      EXPECT_FALSE(other.starts_with(hidden + "/")) << "entered " << hidden;
  }
}

// Layers as directories, put together by hand.
class MergedLayers : public ::testing::Test {
 protected:
  std::string layer(const std::string& name) {
    const std::string path = scratch_ / name;
    std::filesystem::create_directories(path);
    layers_.push_back(path);
    return path;
  }
  std::string passwd() const { return read_merged_file(layers_, "etc/passwd"); }

  ScratchDirectory scratch_;
  std::vector<std::string> layers_;
};

TEST_F(MergedLayers, TheTopmostFileCounts) {
  std::filesystem::create_directories(layer("low") + "/etc");
  std::filesystem::create_directories(layer("high") + "/etc");
  write_file(layers_[0] + "/etc/passwd", "low\n");
  EXPECT_EQ(passwd(), "low\n");
  write_file(layers_[1] + "/etc/passwd", "high\n");
  EXPECT_EQ(passwd(), "high\n");
}

TEST_F(MergedLayers, WhiteoutsAndFilesHideWhatLiesBelow) {
  std::filesystem::create_directories(layer("low") + "/etc");
  write_file(layers_[0] + "/etc/passwd", "low\n");
  std::filesystem::create_directories(layer("high") + "/etc");
  ASSERT_EQ(mknod((layers_[1] + "/etc/passwd").c_str(), S_IFCHR, 0), 0);
  EXPECT_EQ(passwd(), "");
  layer("top");
  write_file(layers_[2] + "/etc", "a file where a directory was\n");
  EXPECT_EQ(passwd(), "");
}

TEST_F(MergedLayers, FollowsLinksAcrossLayersInTheRoot) {
  std::filesystem::create_directories(layer("low") + "/usr/share");
  write_file(layers_[0] + "/usr/share/accounts", "found\n");
  std::filesystem::create_directories(layer("high") + "/conf");
  std::filesystem::create_symlink("/conf", layers_[1] + "/etc");
  std::filesystem::create_symlink("../../../../usr/share/accounts", layers_[1] + "/conf/passwd");
  EXPECT_EQ(passwd(), "found\n");
  std::filesystem::create_symlink("/etc/loop", layers_[1] + "/conf/loop");
  EXPECT_EQ(read_merged_file(layers_, "etc/loop"), "");
}

}  // namespace
}  // namespace cove
