// `cove-image verify`: whatever was changed in a store is found, and mended where that can be.
#include <signal.h>
#include <sys/xattr.h>

#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "tests/integration/images/image_store.h"
#include "tests/support/command.h"

namespace cove::testing {
namespace {

using nlohmann::json;

class VerifiedStore : public ImageStore {
 protected:
  VerifiedStore() {
    const Image image{{tar({directory("d", 0750), file("d/file", "content"), file("d/other"),
                            symlink("d/link", "file"), hard_link("d/second", "d/other")}),
                       tar({file("d/.wh.other", ""), file("d/above")})},
                      Filter::gzip,
                      "verified:v1"};
    path_ = archive("image.tar", image.docker_archive());
    EXPECT_EQ(run("load --quiet " + path_).status, 0);
    layer_ = found("verified:v1").layers[0];
  }
  json verify(const std::string& options = "") const {
    const Outcome outcome = run("verify --json " + options);
    EXPECT_TRUE(outcome.status == 0 || outcome.status == 125) << outcome.err;
    return json::parse(outcome.out);
  }
  // Of the only damage that there is: "d/file: has another content".
  std::string damage(const std::string& options = "") const {
    const json report = verify(options);
    std::string all;
    for (const json& one : report["damage"]) {
      std::string where = one["where"];
      if (const std::size_t at = where.find("/d/"); at != where.npos) where = where.substr(at + 1);
      all += where + ": " + std::string(one["what"]) + (one["repaired"] ? " (repaired)\n" : "\n");
    }
    return all;
  }
  std::string in_layer(const std::string& path) const { return layer_ + "/" + path; }
  // Its times as they were, which is what somebody with something to hide would see to.
  void change(const std::string& path, const std::function<void()>& how) const {
    struct stat before {};
    ASSERT_EQ(lstat(path.c_str(), &before), 0);
    how();
    const timespec times[2] = {before.st_atim, before.st_mtim};
    ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  }
  void expect_found_and_mended(const std::string& what) const {
    EXPECT_EQ(damage(), what + "\n");
    EXPECT_EQ(damage("--repair"), what + " (repaired)\n");
    EXPECT_EQ(damage(), "");
  }

  std::string path_, layer_;
};

TEST_F(VerifiedStore, IsSoundAsItWasLoaded) {
  const Outcome outcome = run("verify");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "Verified 1 image: 3 layers, 4 blobs\n");
  EXPECT_EQ(count("staging"), 0U);
}
TEST_F(VerifiedStore, MissesNoChangeOfAFile) {
  change(in_layer("d/file"), [&] { write_file(in_layer("d/file"), "CONTENT"); });
  expect_found_and_mended("d/file: has another content");
  EXPECT_EQ(read_file(in_layer("d/file")), "content");
  ASSERT_EQ(chmod(in_layer("d/file").c_str(), 04755), 0);
  expect_found_and_mended("d/file: has another mode");
  const timespec times[2] = {{5, 0}, {5, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, in_layer("d/file").c_str(), times, 0), 0);
  expect_found_and_mended("d/file: has another time");
  ASSERT_EQ(setxattr(in_layer("d/file").c_str(), "user.x", "y", 1, 0), 0);
  expect_found_and_mended("d/file: has other extended attributes");
  if (geteuid() != 0) return;
  ASSERT_EQ(chown(in_layer("d/file").c_str(), 7, 0), 0);
  expect_found_and_mended("d/file: has another owner");
}
TEST_F(VerifiedStore, MissesNoChangeOfADirectory) {
  change(in_layer("d"), [&] { write_file(in_layer("d/new"), "x"); });
  expect_found_and_mended("d/new: should not be there");
  change(in_layer("d"), [&] { ASSERT_EQ(unlink(in_layer("d/file").c_str()), 0); });
  expect_found_and_mended("d/file: is missing");
  change(in_layer("d"), [&] {
    ASSERT_EQ(unlink(in_layer("d/link").c_str()), 0);
    ASSERT_EQ(mkdir(in_layer("d/link").c_str(), 0755), 0);
  });
  expect_found_and_mended("d/link: is of another kind");
  struct stat link {};
  ASSERT_EQ(lstat(in_layer("d/link").c_str(), &link), 0);
  EXPECT_TRUE(S_ISLNK(link.st_mode));
}
TEST_F(VerifiedStore, BringsBackALayer) {
  std::filesystem::remove_all(layer_);
  const std::string damage = run("verify").out;
  EXPECT_NE(damage.find(": is missing\n"), std::string::npos) << damage;
  EXPECT_EQ(run("verify --repair").status, 0);
  EXPECT_EQ(read_file(in_layer("d/file")), "content");
  EXPECT_EQ(run("verify").status, 0);
}
TEST_F(VerifiedStore, RepairsNoLayerThatASandboxRunsFrom) {
  change(in_layer("d/file"), [&] { write_file(in_layer("d/file"), "CONTENT"); });
  ASSERT_EQ(run("tag verified:v1 other:v1").status, 0);
  {
    const Result<HeldImage> held = hold_image(store(), "other:v1");
    ASSERT_TRUE(held);
    const Outcome refused = run("verify --repair");
    EXPECT_EQ(refused.status, 125);
    EXPECT_NE(refused.out.find("d/file: has another content\n"), std::string::npos) << refused.out;
    EXPECT_NE(refused.out.find(": is not repaired while a sandbox runs from it\n"),
              std::string::npos)
        << refused.out;
    EXPECT_NE(refused.err.find("repair again when the sandbox has ended"), std::string::npos)
        << refused.err;
    EXPECT_EQ(read_file(in_layer("d/file")), "CONTENT");
  }
  EXPECT_EQ(damage("--repair"), "d/file: has another content (repaired)\n");
  EXPECT_EQ(read_file(in_layer("d/file")), "content");
}

TEST_F(VerifiedStore, HasADamagedBlobLoadedAgain) {
  const json manifest = json::parse(
      read_file(store() + "/blobs/sha256/" + std::string(digest_hex(found("verified:v1").digest))));
  const std::string hex(digest_hex(std::string(manifest["layers"][0]["digest"])));
  const std::string blob = store() + "/blobs/sha256/" + hex;
  std::string bytes = read_file(blob);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(blob, bytes);
  EXPECT_EQ(damage(), "blobs/sha256/" + hex + ": has another content\n");
  const Outcome repaired = run("verify --repair");
  EXPECT_EQ(repaired.status, 125);
  EXPECT_NE(repaired.err.find("load the images again"), std::string::npos) << repaired.err;
  EXPECT_EQ(damage(), "blobs/sha256/" + hex + ": is missing\n");
  ASSERT_EQ(run("load -q " + path_).status, 0);
  EXPECT_EQ(run("verify").status, 0);
}

// A killed load or removal leaves a store in which all that is named is whole.
TEST_F(VerifiedStore, SurvivesTwoHundredKills) {
  std::vector<std::string> layers;
  for (int layer = 0; layer < 3; ++layer) {
    std::vector<Entry> entries;
    for (int i = 0; i < 150; ++i)
      entries.push_back(file("l" + std::to_string(layer) + "/f" + std::to_string(i),
                             std::string(3000, static_cast<char>('a' + i % 26))));
    layers.push_back(tar(entries));
  }
  const std::string path =
      archive("killed.tar", Image{layers, Filter::gzip, "killed:v1"}.docker_archive());
  std::mt19937 random(4);  // NOLINT(cert-msc51-cpp): the same moments each time
  int killed = 0;
  for (int round = 0; round < 200; ++round) {
    const bool removes = round % 2 == 1;
    const std::vector<std::string> command = removes
                                                 ? std::vector<std::string>{"rm", "-q", "killed:v1"}
                                                 : std::vector<std::string>{"load", "-q", path};
    RunningCommand running({cove_image(), "--store", store(), command[0], command[1], command[2]});
    std::this_thread::sleep_for(std::chrono::microseconds(random() % (removes ? 12000 : 50000)));
    running.kill(SIGKILL);
    killed += running.wait().status == 128 + SIGKILL ? 1 : 0;
    if (round % 10 == 9) {
      const Outcome verified = run("verify");
      ASSERT_EQ(verified.status, 0) << round << ": " << verified.out << verified.err;
    }
    // Whatever the next one is, it finds what it needs.
    if (removes) continue;
    ASSERT_EQ(run("load -q " + path).status, 0);
  }
  EXPECT_GT(killed, 20);
  ASSERT_EQ(run("load -q " + path).status, 0);
  EXPECT_EQ(run("verify").status, 0);
  ASSERT_EQ(run("rm -q killed:v1").status, 0);
  EXPECT_EQ(count("staging"), 0U);
  EXPECT_EQ(count("images/digests"), 1U);
}

}  // namespace
}  // namespace cove::testing
