// Out of the store again: `cove-image save` and `tag`, and what other tools make of it.
#include <nlohmann/json.hpp>

#include "tests/integration/images/image_store.h"

namespace cove::testing {
namespace {

using nlohmann::json;

class SavedImage : public ImageStore {
 protected:
  SavedImage() {
    const std::string path = archive("demo.tar", demo().docker_archive());
    EXPECT_EQ(run("load --quiet " + path).status, 0);
  }
  std::string saved() const { return scratch_ / "saved.tar"; }
  std::string member(const std::string& name) const {
    return shell("tar -xOf " + saved() + " " + name).out;
  }
  // A store that has nothing but what was saved.
  Outcome load_elsewhere(const std::string& reference) const {
    return shell("rm -rf " + (scratch_ / "other") + "; " + cove_image() + " --store " +
                 (scratch_ / "other") + " load --json " + reference);
  }
};

TEST_F(SavedImage, IsTheSameImageWhenLoadedAgain) {
  ASSERT_EQ(run("save --output " + saved() + " demo:v1").status, 0);
  for (const std::string kind : {"", "docker-archive:", "oci-archive:"}) {
    const Outcome loaded = load_elsewhere(kind + saved());
    ASSERT_EQ(loaded.status, 0) << kind << loaded.err;
    const json image = json::parse(loaded.out);
    EXPECT_EQ(image["names"], json::array({"demo:v1"})) << kind;
    // A docker-archive brings no manifest; one is made.
    if (kind != "docker-archive:") EXPECT_EQ(image["digest"], found("demo:v1").digest) << kind;
    const Result<ImageFacts> facts = find_image(scratch_ / "other", "demo:v1");
    ASSERT_TRUE(facts) << facts.error().message();
    expect_demo(*facts);
  }
}
TEST_F(SavedImage, GoesThroughAPipe) {
  const Outcome loaded = shell(command("save demo:v1") + " | " + cove_image() + " --store " +
                               (scratch_ / "other") + " load -");
  EXPECT_EQ(loaded.status, 0) << loaded.err;
  EXPECT_TRUE(loaded.out.starts_with("Loaded demo:v1 ")) << loaded.out;
}
TEST_F(SavedImage, IsTheSameBytesEachTime) {
  ASSERT_EQ(run("save -o " + saved() + " demo:v1").status, 0);
  ASSERT_EQ(run("save -o " + (scratch_ / "again.tar") + " demo:v1").status, 0);
  EXPECT_EQ(read_file(saved()), read_file(scratch_ / "again.tar"));
  EXPECT_GT(read_file(saved()).size(), 1000U);
}
TEST_F(SavedImage, HasAllItsNamesAndOthersBesideIt) {
  ASSERT_EQ(run("tag demo:v1 localhost:5000/team/demo:v2 other").status, 0);
  const Image second{{tar({file("second")})}, Filter::gzip, "second:v1"};
  ASSERT_EQ(run("load -q " + archive("second.tar", second.oci_archive())).status, 0);
  const std::string digest = found("second:v1").digest;
  ASSERT_EQ(
      run("save -o " + saved() + " demo:v1 " + digest + " localhost:5000/team/demo:v2").status, 0);
  const json docker = json::parse(member("manifest.json"));
  ASSERT_EQ(docker.size(), 2U);
  EXPECT_EQ(docker[0]["RepoTags"], json::array({"demo:v1", "localhost:5000/team/demo:v2"}));
  EXPECT_EQ(docker[1]["RepoTags"], json::array());
  const json index = json::parse(member("index.json"));
  ASSERT_EQ(index["manifests"].size(), 3U);
  EXPECT_EQ(index["manifests"][0]["annotations"]["io.containerd.image.name"],
            "docker.io/library/demo:v1");
  EXPECT_EQ(index["manifests"][1]["annotations"]["io.containerd.image.name"],
            "localhost:5000/team/demo:v2");
  EXPECT_EQ(index["manifests"][2]["digest"], digest);
  const Outcome one = load_elsewhere("docker-archive:" + saved() + ":localhost:5000/team/demo:v2");
  EXPECT_EQ(one.status, 0) << one.err;
}
TEST_F(SavedImage, IsReadByOtherTools) {
  if (!installed("skopeo")) GTEST_SKIP() << "needs program skopeo";
  ASSERT_EQ(run("save -o " + saved() + " demo:v1").status, 0);
  for (const std::string kind : {"docker-archive:", "oci-archive:"}) {
    const Outcome seen = shell("skopeo inspect " + kind + saved());
    ASSERT_EQ(seen.status, 0) << kind << seen.err;
    EXPECT_EQ(json::parse(seen.out)["Layers"].size(), 3U) << kind;
    const Outcome copied = shell("skopeo copy " + kind + saved() + " oci:" + (scratch_ / "copy-") +
                                 kind.substr(0, 3) + ":v1");
    EXPECT_EQ(copied.status, 0) << kind << copied.err;
  }
}
TEST_F(SavedImage, IsInPlaceOnlyWhenItIsWhole) {
  write_file(saved(), "what was there");
  EXPECT_EQ(run("save -o " + saved() + " demo:v1 nothing none").status, 125);
  EXPECT_EQ(read_file(saved()), "what was there");
  // A disk that is full.
  const Outcome full = shell(command("save demo:v1") + " >/dev/full");
  EXPECT_EQ(full.status, 125);
  EXPECT_NE(full.err.find("standard output: write: ENOSPC"), std::string::npos) << full.err;
  for (const auto& entry : std::filesystem::directory_iterator(scratch_.path()))
    EXPECT_EQ(entry.path().string().find(".cove-"), std::string::npos) << entry.path();
  // Both images that are not there are told.
  const Outcome missing = run("save nothing none");
  EXPECT_EQ(std::count(missing.err.begin(), missing.err.end(), '\n'), 2) << missing.err;
}

TEST_F(SavedImage, MayHaveMoreNames) {
  const std::string digest = found("demo:v1").digest;
  ASSERT_EQ(run("tag " + digest.substr(7, 12) + " a docker.io/library/b:v2").status, 0);
  EXPECT_EQ(found("a:latest").digest, digest);
  EXPECT_EQ(found("b:v2").digest, digest);
  // A name moves; the image that had it stays.
  const Image second{{tar({file("second")})}, Filter::none, "second:v1"};
  ASSERT_EQ(run("load -q " + archive("second.tar", second.docker_archive())).status, 0);
  ASSERT_EQ(run("tag second:v1 a").status, 0);
  EXPECT_EQ(found("a").digest, found("second:v1").digest);
  EXPECT_EQ(found("demo:v1").digest, digest);
  ASSERT_EQ(run("rm demo:v1 b:v2").status, 0);
  EXPECT_EQ(count("images/digests"), 1U);
}
TEST_F(SavedImage, GetsNoNameThatIsNone) {
  const Outcome wrong = run("tag demo:v1 good 'a b' sha256:x");
  EXPECT_EQ(wrong.status, 125);
  EXPECT_EQ(std::count(wrong.err.begin(), wrong.err.end(), '\n'), 2) << wrong.err;
  EXPECT_EQ(count("images/names"), 1U) << "all or none";
  EXPECT_EQ(run("tag nothing good").status, 125);
}

}  // namespace
}  // namespace cove::testing
