// Images go to Docker, Podman and skopeo, and come back, as the same images: configuration, layers,
// and the files in these.
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "tests/integration/images/other_tools.h"
#include "tests/support/files.h"

namespace cove::testing {
namespace {

using nlohmann::json;

constexpr const char* kRareFiles = R"script(set -e
mkdir -p root/h root/owned; cd root
echo text >h/one; ln h/one h/two; ln -s one h/link; mkfifo h/fifo
truncate -s 3M hole; echo end >>hole; truncate -s 1M all-hole
touch "$(printf 'bytes\xff\n')" "$(printf 'n%.0s' {1..255})"
chown 1000:50 owned; chmod 2770 owned; touch -d 2001-02-03T04:05:06.789Z owned
setfattr -n user.name -v value h/one
cp ../probe probe; setfattr -n security.capability -v 0x0100000200240000000000000000000000000000 probe
)script";

// Whiteouts, and directories that no layer contains, have the time of their making.
constexpr const char* kMadeHere =
    "s/ (directory|character-device) ([0-7]+ [0-9:]+) [0-9.]+/ \\1 \\2/";

class Interchange : public OtherTools {
 protected:
  std::string other_store() const { return scratch_ / "other"; }

  // One with three plain layers and whiteouts, and one made of a directory with whatever is rare.
  void make_images() {
    ASSERT_EQ(run("load -q --name demo:v1 " + archive("demo.tar", demo().docker_archive())).status,
              0);
    write_file(scratch_ / "make", kRareFiles);
    std::filesystem::copy_file(probe_path(), scratch_ / "probe");
    const Outcome made = shell("cd " + scratch_.path() + " && bash make");
    ASSERT_EQ(made.status, 0) << made.err;
    const Outcome imported =
        run("import -q --name team/rare:v1 --cmd /probe -e A=b " + (scratch_ / "root"));
    ASSERT_EQ(imported.status, 0) << imported.err;
  }
  json manifest_in(const std::string& store, const std::string& image) const {
    const Result<ImageFacts> facts = find_image(store, image);
    EXPECT_TRUE(facts) << facts.error().message();
    if (!facts) return {};
    return json::parse(read_file(store + "/blobs/sha256/" + facts->digest.substr(7)));
  }
  std::string image_id(const std::string& image) const {
    return manifest_in(store(), image)["config"]["digest"];
  }
  std::string files_of(const std::string& store, const std::string& image) const {
    const Result<ImageFacts> facts = find_image(store, image);
    std::string all;
    for (const std::string& layer : facts ? facts->layers : std::vector<std::string>())
      all += shell(probe_path() + " tree " + layer + " | sed -E '" + kMadeHere + "'").out + "\n";
    return all;
  }
  void expect_same_elsewhere(const std::string& image) const {
    EXPECT_EQ(manifest_in(other_store(), image)["config"]["digest"], image_id(image));
    const std::string files = files_of(store(), image);
    EXPECT_GT(std::count(files.begin(), files.end(), '\n'), 5);
    EXPECT_EQ(files_of(other_store(), image), files);
  }
  Outcome load_elsewhere(const std::string& script, const std::string& reference) const {
    return with_tools(script + cove_image() + " --store " + other_store() + " load -q " +
                      reference);
  }
};

class OfOtherTools : public Interchange, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    if (const std::string why = why_not(GetParam()); !why.empty()) GTEST_SKIP() << why;
    ASSERT_NO_FATAL_FAILURE(make_images());
  }
};

TEST_P(OfOtherTools, TakeWhatIsSavedAndGiveItBack) {
  const std::string tool = GetParam();
  for (const std::string image : {"demo:v1", "team/rare:v1"}) {
    SCOPED_TRACE(image);
    const Outcome taken = with_tools(command("save " + image) + " | " + tool + " load");
    ASSERT_EQ(taken.status, 0) << taken.out << taken.err;
    EXPECT_EQ(with_tools(tool + " images --quiet --no-trunc " + image).out, image_id(image) + "\n");
    const Outcome back = load_elsewhere(tool + " save " + image + " | ", "- --name " + image);
    ASSERT_EQ(back.status, 0) << back.err;
    expect_same_elsewhere(image);
  }
}

INSTANTIATE_TEST_SUITE_P(Real, OfOtherTools, ::testing::Values("docker", "podman"),
                         [](const auto& one) { return std::string(one.param); });

TEST_F(Interchange, SkopeoReadsTheStoreItself) {
  if (const std::string why = why_not("skopeo"); !why.empty()) GTEST_SKIP() << why;
  ASSERT_NO_FATAL_FAILURE(make_images());
  for (const std::string image : {"demo:v1", "team/rare:v1"}) {
    for (const std::string& to : {"docker-archive:" + (scratch_ / "copy.tar") + ":" + image,
                                  "oci-archive:" + (scratch_ / "copy.tar") + ":" + image,
                                  "oci:" + (scratch_ / "copy") + ":" + image}) {
      SCOPED_TRACE(to);
      const Outcome copied = with_tools("skopeo copy oci:" + store() + ":" + image + " " + to);
      ASSERT_EQ(copied.status, 0) << copied.err;
      const Outcome back = load_elsewhere("", to);
      ASSERT_EQ(back.status, 0) << back.err;
      expect_same_elsewhere(image);
      std::filesystem::remove_all(other_store());
      std::filesystem::remove_all(scratch_ / "copy");
      std::filesystem::remove_all(scratch_ / "copy.tar");
    }
  }
}

// And writes to it: such an image is run after a load from the store itself.
TEST_F(Interchange, SkopeoWritesToTheStore) {
  if (const std::string why = why_not("skopeo"); !why.empty()) GTEST_SKIP() << why;
  ASSERT_NO_FATAL_FAILURE(make_images());
  ASSERT_EQ(run("save -o " + (scratch_ / "saved.tar") + " demo:v1").status, 0);
  ASSERT_EQ(run("rm demo:v1").status, 0);
  const Outcome copied = with_tools("skopeo copy oci-archive:" + (scratch_ / "saved.tar") +
                                    " oci:" + store() + ":other:v1");
  ASSERT_EQ(copied.status, 0) << copied.err;
  EXPECT_EQ(run("verify").status, 0);
  const Outcome loaded = run("load oci:" + store() + ":other:v1");
  ASSERT_EQ(loaded.status, 0) << loaded.err;
  expect_demo(found("other:v1"));
}

}  // namespace
}  // namespace cove::testing
