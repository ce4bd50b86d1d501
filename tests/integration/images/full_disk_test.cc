// A store whose file system has no room for an image: what is said, and that nothing is left of it.
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "tests/integration/images/image_store.h"

namespace cove::testing {
namespace {

constexpr std::size_t kMebibyte = 1024 * 1024;

class FullStore : public ImageStore {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to mount a file system of six mebibytes";
    std::filesystem::create_directory(store());
    if (mount("none", store().c_str(), "tmpfs", 0, "size=6m,nr_inodes=400,mode=0700") != 0)
      GTEST_SKIP() << "a tmpfs cannot be mounted here";
    mounted_ = true;
    ASSERT_EQ(run("load -q " + image("small:v1", 1000)).status, 0);
  }
  void TearDown() override {
    if (mounted_) umount2(store().c_str(), MNT_DETACH);
  }
  // Of bytes that cannot be compressed, or of one byte.
  std::string image(const std::string& name, std::size_t bytes,
                    Filter filter = Filter::none) const {
    std::string content(bytes, 'x');
    std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same bytes each time
    if (filter == Filter::none)
      for (char& c : content) c = static_cast<char>(random());
    const Image made{{tar({file("big", content)})}, filter, name};
    return archive(name + ".tar", made.docker_archive());
  }
  void expect_refused(const std::string& path, const std::string& said) const {
    const Outcome outcome = run("load " + path);
    EXPECT_EQ(outcome.status, 125);
    EXPECT_NE(outcome.err.find(said), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("the file system of " + store() + " has "), std::string::npos)
        << outcome.err;
    EXPECT_NE(outcome.err.find("cove image prune"), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    expect_sound();
  }
  void expect_sound() const {
    EXPECT_EQ(count("staging"), 0U);
    EXPECT_EQ(count("layers"), 1U);
    EXPECT_EQ(count("images/digests"), 1U);
    const Outcome verified = run("verify");
    EXPECT_EQ(verified.status, 0) << verified.out << verified.err;
  }
  // The number of bytes in front of these words.
  static std::uint64_t number_before(const std::string& text, const std::string& words) {
    const std::size_t end = text.find(words);
    if (end == std::string::npos) return 0;
    return std::stoull(text.substr(text.rfind(' ', end - 1) + 1));
  }

  bool mounted_ = false;
};

TEST_F(FullStore, HasNoRoomForTheArchive) {
  const std::string path = image("big:v1", 8 * kMebibyte);
  expect_refused(path, "big:v1.tar");
  const std::string said = run("load " + path).err;
  EXPECT_EQ(number_before(said, " packed"), std::filesystem::file_size(path)) << said;
  const std::uint64_t free = number_before(said, " bytes free");
  EXPECT_GT(free, 5 * kMebibyte) << said;
  EXPECT_LT(free, 6 * kMebibyte) << said;
}

TEST_F(FullStore, HasNoRoomForALayer) {
  expect_refused(image("mid:v1", 4 * kMebibyte), "layer 1 of 1 (sha256:");
  // Small as it comes, and large as it is.
  expect_refused(image("bomb:v1", 20 * kMebibyte, Filter::gzip), ": big: write: ENOSPC");
}

TEST_F(FullStore, HasNoRoomForTheNamesOfFiles) {
  std::vector<Entry> entries;
  for (int i = 0; i < 500; ++i) entries.push_back(file("f" + std::to_string(i), ""));
  const Image many{{tar(entries)}, Filter::none, "many:v1"};
  // By the time it is asked, the kernel may have freed some.
  expect_refused(archive("many.tar", many.docker_archive()), " inodes left");
  EXPECT_THAT(run("load -q " + scratch_ / "many.tar").err,
              ::testing::ContainsRegex("has (no|only [0-9] of [0-9]+) inodes left"));
}

TEST_F(FullStore, TakesTheImageOnceThereIsRoom) {
  ASSERT_EQ(run("load -q " + image("first:v1", 2 * kMebibyte)).status, 0);
  const std::string path = image("second:v1", 3 * kMebibyte / 2);
  const std::string other = image("third:v1", kMebibyte);
  ASSERT_EQ(run("load -q " + other).status, 125);
  ASSERT_EQ(run("rm first:v1").status, 0);
  const Outcome loaded = run("load " + path);
  EXPECT_EQ(loaded.status, 0) << loaded.err;
  EXPECT_EQ(run("verify").status, 0);
  EXPECT_EQ(count("staging"), 0U);
}

// Whatever it is that there is no room for: a store in which each further block makes the load get
// one step further.
TEST_F(FullStore, IsSoundWhereverTheRoomEnds) {
  const std::string path = image("some:v1", kMebibyte / 2);
  int refused = 0;
  for (std::size_t room = 0; room < 2 * kMebibyte; room += 7 * 4096) {
    {
      std::ofstream filler(store() + "/.filler");
      for (std::size_t at = 0; at + room < 6 * kMebibyte; at += 4096)
        if (!filler.write(std::string(4096, 'x').data(), 4096).flush()) break;
    }
    const Outcome outcome = run("load -q " + path);
    std::filesystem::remove(store() + "/.filler");
    if (outcome.status == 0) break;
    ++refused;
    ASSERT_NE(outcome.err.find("ENOSPC"), std::string::npos) << room << ": " << outcome.err;
    ASSERT_EQ(run("verify").status, 0) << room;
    ASSERT_EQ(count("staging"), 0U) << room;
  }
  EXPECT_GT(refused, 10);
  EXPECT_EQ(run("load -q " + path).status, 0);
  EXPECT_EQ(run("verify").status, 0);
}

}  // namespace
}  // namespace cove::testing
