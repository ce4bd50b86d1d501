// The store of a plain user: with subordinate ids, and without.

#include <sys/stat.h>
#include <unistd.h>

#include "tests/integration/images/image_store.h"

namespace cove {
namespace {

using testing::cove_image;
using testing::directory;
using testing::file;
using testing::Image;
using testing::ImageStore;
using testing::installed;
using testing::Outcome;
using testing::tar;
using testing::write_file;

// Commands of a plain user, 12345, with a home in the scratch directory and its store there.
class ImageStoreOfAUser : public ImageStore {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
    std::filesystem::copy_file(cove_image(), scratch_ / "cove-image");
    chmod(scratch_.path().c_str(), 0755);
    chmod((scratch_ / "cove-image").c_str(), 0755);
    std::filesystem::create_directory(scratch_ / "home");
    ASSERT_EQ(chown((scratch_ / "home").c_str(), 12345, 12345), 0);
    path_ = archive("d.tar", demo().docker_archive());
    chmod(path_.c_str(), 0644);
  }
  std::string users_store() const { return scratch_ / "home/store"; }
  // In a mount namespace in which the host knows the user (newuidmap asks), and /etc/subuid and
  // /etc/subgid have this line, or are empty.
  Outcome as_user(const std::string& arguments, const std::string& lent) const {
    const auto lie = [&](const std::string& name, const std::string& text) {
      write_file(scratch_ / name, text);
      chmod((scratch_ / name).c_str(), 0644);
      return "mount --bind " + scratch_ / name + " /etc/" + name + " && ";
    };
    const std::string lies =
        lie("passwd", "root:x:0:0::/root:/bin/sh\nada:x:12345:12345::/:/bin/sh\n") +
        lie("subuid", lent) + lie("subgid", lent);
    return shell("unshare -m sh -c '" + lies +
                 "exec setpriv --reuid 12345 --regid 12345 --clear-groups env COVE_ROOT=" +
                 users_store() + " " + scratch_ / "cove-image " + arguments + "'");
  }
  struct stat status_of(const std::string& path) const {
    struct stat status {};
    EXPECT_EQ(lstat(path.c_str(), &status), 0) << path;
    return status;
  }

  std::string path_;
};

TEST_F(ImageStoreOfAUser, HasFilesOfItsOwnAlone) {
  const Outcome outcome = as_user("load " + path_, "");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Result<ImageFacts> facts = find_image(users_store(), "demo:v1");
  ASSERT_TRUE(facts) << facts.error().message();
  expect_demo(*facts);
  EXPECT_EQ(facts->layer_ids, LayerIds::caller);
  const struct stat whiteout = status_of(facts->layers[1] + "/etc/passwd");
  EXPECT_TRUE(S_ISCHR(whiteout.st_mode)) << "whiteouts need no privilege";
  EXPECT_EQ(whiteout.st_uid, 12345U);
}

testing::Entry with_owner(testing::Entry entry, std::int64_t uid, std::int64_t gid) {
  entry.uid = uid;
  entry.gid = gid;
  return entry;
}

constexpr const char* kLent = "ada:600100000:65536\n";

TEST_F(ImageStoreOfAUser, HasTheImagesOwnersWithSubordinateIds) {
  if (!installed("newuidmap")) GTEST_SKIP() << "needs program newuidmap";
  Image image = demo();
  image.layers = {tar({directory("srv"), with_owner(file("srv/root", "0"), 0, 0),
                       with_owner(file("srv/own", "1"), 1000, 1000),
                       with_owner(file("srv/other", "2"), 33, 1500)})};
  path_ = archive("owners.tar", image.docker_archive());
  chmod(path_.c_str(), 0644);
  Outcome outcome = as_user("load " + path_, kLent);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  const Result<ImageFacts> facts = find_image(users_store(), "demo:v1");
  ASSERT_TRUE(facts) << facts.error().message();
  EXPECT_EQ(facts->layer_ids, LayerIds::subordinate);
  EXPECT_EQ(facts->subordinate_ids, (SubordinateIds{600100000, 600100000}));
  const std::string layer = facts->layers.at(0);
  EXPECT_EQ(status_of(layer + "/srv/root").st_uid, 600100000U);
  EXPECT_EQ(status_of(layer + "/srv/own").st_uid, 12345U);
  EXPECT_EQ(status_of(layer + "/srv/own").st_gid, 12345U);
  EXPECT_EQ(status_of(layer + "/srv/other").st_uid, 600100033U);
  EXPECT_EQ(status_of(layer + "/srv/other").st_gid, 600101499U);  // behind 1000: one less

  // Neither with other ids nor with none.
  for (const char* lent : {"ada:600200000:65536\n", ""}) {
    outcome = as_user("load --name other " + path_, lent);
    EXPECT_EQ(outcome.status, 125);
    EXPECT_NE(outcome.err.find("subordinate ids that this user has no more"), std::string::npos)
        << outcome.err;
  }
  // To look into layers, and to remove them, needs these ids as well.
  outcome = as_user("ls", kLent);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("demo:v1"), std::string::npos) << outcome.out;
  outcome = as_user("prune --all", kLent);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(layer));
}
TEST_F(ImageStoreOfAUser, KeepsToTheIdsThatItBeganWith) {
  if (!installed("newuidmap")) GTEST_SKIP() << "needs program newuidmap";
  ASSERT_EQ(as_user("load " + path_, "").status, 0);
  const Outcome outcome = as_user("load --name again " + path_, kLent);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Result<ImageFacts> facts = find_image(users_store(), "again");
  ASSERT_TRUE(facts) << facts.error().message();
  EXPECT_EQ(facts->layer_ids, LayerIds::caller);
}

}  // namespace
}  // namespace cove
