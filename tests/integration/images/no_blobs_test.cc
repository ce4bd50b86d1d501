// `cove-image load --no-keep-blobs`: layers are kept as they are unpacked, and nothing else of them.
#include <nlohmann/json.hpp>

#include "tests/integration/images/image_store.h"

namespace cove::testing {
namespace {

using nlohmann::json;

class StoreWithoutBlobs : public ImageStore {
 protected:
  StoreWithoutBlobs() : path_(archive("demo.tar", demo().docker_archive())) {
    const Outcome loaded = run("load --no-keep-blobs " + path_);
    EXPECT_EQ(loaded.status, 0) << loaded.err;
  }
  // Of the three layers.
  std::size_t layer_blobs() const { return count("blobs/sha256") - 2; }
  json verify() const { return json::parse(run("verify --json").out); }

  std::string path_;
};

TEST_F(StoreWithoutBlobs, HasTheImageAndItsDocuments) {
  expect_demo(found("demo:v1"));
  EXPECT_EQ(layer_blobs(), 0U);
  EXPECT_EQ(count("layers"), 3U);
  EXPECT_EQ(count("staging"), 0U);
  const json list = json::parse(run("ls --json").out);
  EXPECT_EQ(list[0]["keeps_blobs"], false);
  EXPECT_EQ(run("tag demo:v1 other:v1").status, 0);
  EXPECT_EQ(json::parse(run("ls --json").out)[1]["keeps_blobs"], false);
}

TEST_F(StoreWithoutBlobs, IsNotLoadedAgainForNothing) {
  const json again = json::parse(run("load --json --no-keep-blobs " + path_).out);
  EXPECT_EQ(again["already_loaded"], true);
  EXPECT_EQ(layer_blobs(), 0U);
}

TEST_F(StoreWithoutBlobs, GetsTheBlobsFromALoadThatKeepsThem) {
  const json again = json::parse(run("load --json " + path_).out);
  EXPECT_EQ(again["already_loaded"], false);
  EXPECT_EQ(layer_blobs(), 3U);
  const json verified = verify();
  EXPECT_EQ(verified["blobs"], 5);
  EXPECT_EQ(verified["unverifiable"], json::array());
  EXPECT_EQ(run("save --output " + scratch_ / "saved.tar" + " demo:v1").status, 0);
}

TEST_F(StoreWithoutBlobs, LosesThemAgainWithTheNextRemoval) {
  ASSERT_EQ(run("load " + path_).status, 0);
  ASSERT_EQ(run("load --no-keep-blobs " + path_).status, 0);
  EXPECT_EQ(layer_blobs(), 3U);
  ASSERT_EQ(run("prune").status, 0);
  EXPECT_EQ(layer_blobs(), 0U);
  EXPECT_EQ(run("verify").status, 0);
}

TEST_F(StoreWithoutBlobs, KeepsWhatAnotherImageKeeps) {
  Image other = demo();
  other.layers.pop_back();
  other.name = "other:v1";
  ASSERT_EQ(run("load " + archive("other.tar", other.docker_archive())).status, 0);
  ASSERT_EQ(run("prune").status, 0);
  EXPECT_EQ(count("blobs/sha256"), 2U + 4U);
  const json verified = verify();
  EXPECT_EQ(verified["damage"], json::array());
  EXPECT_EQ(verified["unverifiable"].size(), 1U) << "two layers are the other's as well";
}

TEST_F(StoreWithoutBlobs, VerifiesWhatItCanAndSaysTheRest) {
  const Outcome sound = run("verify");
  EXPECT_EQ(sound.status, 0) << sound.err;
  EXPECT_EQ(std::count(sound.out.begin(), sound.out.end(), '\n'), 4) << sound.out;
  EXPECT_NE(sound.out.find("its blob was not kept"), std::string::npos) << sound.out;
  EXPECT_NE(sound.out.find("Verified 1 image: 0 layers, 2 blobs"), std::string::npos) << sound.out;
  EXPECT_EQ(verify()["unverifiable"].size(), 3U);

  std::filesystem::remove_all(found("demo:v1").layers[0]);
  const Outcome damaged = run("verify --repair");
  EXPECT_EQ(damaged.status, 125);
  EXPECT_NE(damaged.out.find(": is missing\n"), std::string::npos) << damaged.out;
  EXPECT_NE(damaged.err.find("load the images again"), std::string::npos) << damaged.err;
  ASSERT_EQ(run("load --no-keep-blobs " + path_).status, 0);
  EXPECT_EQ(run("verify").status, 0);
  expect_demo(found("demo:v1"));
}

TEST_F(StoreWithoutBlobs, SavesNothingHalf) {
  const Outcome saved = run("save --output " + scratch_ / "saved.tar" + " demo:v1");
  EXPECT_EQ(saved.status, 125);
  EXPECT_NE(saved.err.find("demo:v1"), std::string::npos) << saved.err;
  EXPECT_NE(saved.err.find("load it once more, without --no-keep-blobs"), std::string::npos)
      << saved.err;
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "saved.tar"));
}

TEST_F(StoreWithoutBlobs, IsEmptiedAsAnyOther) {
  ASSERT_EQ(run("rm demo:v1").status, 0);
  EXPECT_EQ(count("layers") + count("blobs/sha256") + count("images/digests"), 0U);
}

}  // namespace
}  // namespace cove::testing
