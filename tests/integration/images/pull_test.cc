// `cove image pull` against a registry that breaks, stalls, lies and changes its mind.
#include <chrono>

#include "tests/integration/images/registries.h"

namespace cove::testing {
namespace {

constexpr const char* kAnyBlob = "/blobs/";
using Faults = std::vector<json>;

class FaultyPull : public PullingStore {
 protected:
  // Pulls large() from a registry with these faults.
  Outcome pull_with(const Faults& faults, const std::string& options = "") {
    registry_ = std::make_unique<FaultyRegistry>(layout_, json{{"faults", faults}});
    const auto began = std::chrono::steady_clock::now();
    Outcome outcome = pull("--name large:v1 " + options + " " + registry_->place() + ":v1");
    seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return outcome;
  }
  void expect_comes(const Faults& faults, const std::string& options = "") {
    expect_pulled(pull_with(faults, options), "large:v1", 2);
  }
  // The ranges that were asked for of a layer, "" for the whole, in order.
  std::vector<std::string> ranges_of(std::size_t layer) const {
    std::vector<std::string> ranges;
    for (const json& request : registry_->requests(digest_of(layer)))
      ranges.push_back(request["range"]);
    return ranges;
  }
  static std::string digest_of(std::size_t layer) { return sha256_of(large().layers[layer]); }
  // A manifest of large()'s layers and configuration, with a part replaced.
  std::string manifest_with(const std::string& from, const std::string& to) const {
    for (const auto& [path, text] : large().oci_files()) {
      if (text.find("\"layers\":[{") == std::string::npos) continue;
      std::string changed = text;
      changed.replace(changed.find(from), from.size(), to);
      return changed;
    }
    return "";
  }
  Outcome pull_manifest(const std::string& manifest, const Faults& faults = {}) {
    const std::string digest = put_blob(layout_, manifest);
    registry_ = std::make_unique<FaultyRegistry>(
        layout_, json{{"tags", {{"other", digest}}}, {"faults", faults}});
    return pull(registry_->place() + ":other");
  }

  const std::string layout_ = layout_of(large());
  std::unique_ptr<FaultyRegistry> registry_;
  double seconds_ = 0;
};

TEST_F(FaultyPull, BringsWhatTheRegistryHas) {
  expect_comes({});
  EXPECT_EQ(read_file(found("large:v1").layers[0] + "/etc/one"), noise(600'000, 1));
  EXPECT_EQ(read_file(found("large:v1").layers[1] + "/two"), noise(300'000, 2));
  EXPECT_EQ(registry_->requests().size(), 5U)
      << "an index, a manifest, a configuration, two layers";
}

TEST_F(FaultyPull, AsksForTheRestOfWhatBroke) {
  expect_comes({fault(digest_of(0), {{"cut", 100'000}}, 1)});
  EXPECT_EQ(ranges_of(0), (std::vector<std::string>{"", "bytes=100000-"}));
  EXPECT_EQ(ranges_of(1), std::vector<std::string>{""});
}

TEST_F(FaultyPull, GoesOnAsLongAsBytesCome) {
  // Eight times the limit of attempts' worth of breaks, each behind another 70,000 bytes.
  expect_comes({fault(digest_of(0), {{"cut", 70'000}}, 8)}, "--retry 3");
  EXPECT_EQ(ranges_of(0).size(), 9U);
  EXPECT_EQ(ranges_of(0).back(), "bytes=560000-");
}

TEST_F(FaultyPull, FetchesNoLayerThatIsUnpackedWhereBlobsAreNotKept) {
  expect_comes({}, "--no-keep-blobs");
  Image image = large();
  image.layers.push_back(tar({file("three", "3")}));
  const FaultyRegistry registry(layout_of(image));
  const std::string pulled = "--name larger:v1 " + registry.place() + ":v1";
  expect_pulled(pull("--no-keep-blobs " + pulled), "larger:v1", 3);
  EXPECT_EQ(registry.requests(kAnyBlob).size(), 2U) << "the configuration, a layer";
  EXPECT_EQ(read_file(found("larger:v1").layers[0] + "/etc/one"), noise(600'000, 1));
  EXPECT_EQ(read_file(found("larger:v1").layers[2] + "/three"), "3");
  // Whoever keeps them gets them.
  expect_pulled(pull(pulled), "larger:v1", 3);
  EXPECT_EQ(count("blobs/sha256"), 2U + 3U + 2U) << "documents of both, layers, an index";
}

TEST_F(FaultyPull, GivesUpWhereNothingComes) {
  expect_refused(pull_with({fault(digest_of(0), {{"cut", 0}})}, "--retry 3"),
                 "the connection broke");
  EXPECT_EQ(ranges_of(0).size(), 3U);
}

TEST_F(FaultyPull, LeavesAStalledConnection) {
  expect_comes({fault(digest_of(0), {{"stall", 200'000}}, 1)}, "--stall-timeout 1");
  EXPECT_EQ(ranges_of(0), (std::vector<std::string>{"", "bytes=200000-"}));
  EXPECT_LT(seconds_, 15);
}

TEST_F(FaultyPull, TakesTheWholeWhereItAskedForAPart) {
  expect_comes(
      {fault(digest_of(0), {{"cut", 100'000}}, 1), fault(digest_of(0), {{"whole", true}})});
  EXPECT_EQ(ranges_of(0).size(), 2U);
}

TEST_F(FaultyPull, RefusesAnotherPartThanItAskedFor) {
  const json broken = fault(digest_of(0), {{"cut", 100'000}}, 1);
  for (const char* range : {"bytes 99999-600000/600001", "bytes 0-1/2", "bytes x", "100000-1/2",
                            "bytes 99999999999999999999999-1/2"}) {
    expect_refused(pull_with({broken, fault(digest_of(0), {{"content_range", range}})}),
                   "sent another part than was asked for");
  }
}

TEST_F(FaultyPull, RefusesADamagedLayer) {
  expect_refused(pull_with({fault(digest_of(0), {{"flip", 300'000}})}),
                 digest_of(0) + ": came with another content");
}

TEST_F(FaultyPull, RefusesADamagedDocument) {
  expect_refused(pull_with({fault("/manifests/sha256", {{"flip", 5}})}),
                 "sent another document than was asked for");
  expect_refused(pull_with({fault(hex_of(large().config()), {{"flip", 5}})}),
                 "sent another document than was asked for");
}

TEST_F(FaultyPull, RefusesMoreBytesThanThereShouldBe) {
  expect_refused(pull_with({fault(digest_of(0), {{"extra", 1}})}),
                 "is longer than the " + std::to_string(large().layers[0].size()) + " bytes");
}

TEST_F(FaultyPull, TakesAWrongLengthForWhatItIs) {
  const std::size_t size = large().layers[0].size();
  expect_comes({fault(digest_of(0), {{"length", size + 10}})});
  expect_comes({fault(digest_of(0), {{"length", size - 10}}, 1)});
}

TEST_F(FaultyPull, RefusesALayerThatAlwaysEndsEarly) {
  expect_refused(pull_with({fault(digest_of(1), {{"length", 10}})}, "--retry 3"),
                 "ended " + digest_of(1) + " after 30 of ");
  // What came behind the ten bytes was not taken for the next answer.
  EXPECT_EQ(ranges_of(1), (std::vector<std::string>{"", "bytes=10-", "bytes=20-"}));
}

TEST_F(FaultyPull, WaitsAsLongAsTheRegistryAsks) {
  expect_comes({fault("/manifests/v1", {{"status", 429}, {"headers", {{"Retry-After", "1"}}}}, 1)});
  EXPECT_GE(seconds_, 1);
  EXPECT_EQ(registry_->requests("/manifests/v1").size(), 2U);
}

TEST_F(FaultyPull, TriesAgainWhatMayWork) {
  for (const int status : {500, 502, 503, 408}) {
    expect_comes({fault("/manifests/v1", {{"status", status}}, 2),
                  fault(digest_of(1), {{"status", status}}, 2)});
    EXPECT_EQ(registry_->requests("/manifests/v1").size(), 3U);
  }
}

TEST_F(FaultyPull, DoesNotTryForEver) {
  const Outcome outcome = pull_with(
      {fault("/manifests/v1", {{"status", 503}, {"body", R"({"errors":[{"message":"asleep"}]})"}})},
      "--retry 4");
  expect_refused(outcome, "answers with status 503 to /v2/tools/demo/manifests/v1: asleep");
  EXPECT_EQ(registry_->requests("/manifests/v1").size(), 4U);
  EXPECT_LT(seconds_, 5);
}

TEST_F(FaultyPull, DoesNotTryAgainWhatCannotWork) {
  for (const auto& [status, words] : std::vector<std::pair<int, const char*>>{
           {404, "does not have v1 of \"tools/demo\""},
           {403, "refuses access to \"tools/demo\""},
           {401, "gives \"tools/demo\" to no one without a login"},
           {400, "answers with status 400"},
           {501, "answers with status 501"}}) {
    expect_refused(pull_with({fault("/manifests/v1", {{"status", status}})}), words);
    EXPECT_EQ(registry_->requests("/manifests/v1").size(), 1U) << status;
  }
}

TEST_F(FaultyPull, ShowsNothingThatATerminalWouldObey) {
  const std::string evil = "\x1b]0;owned\x07";
  const Outcome said = pull_with(
      {fault("/manifests/v1",
             {{"status", 400}, {"body", json{{"errors", {{{"message", evil}}}}}.dump()}})});
  expect_refused(said, "]0;owned");
  EXPECT_EQ(said.err.find('\x1b'), std::string::npos) << said.err;
  const Outcome typed = pull_manifest(manifest_with("layer.v1.tar", "layer.v1.\\u001b]0;owned"));
  expect_refused(typed, "]0;owned");
  EXPECT_EQ(typed.err.find('\x1b'), std::string::npos) << typed.err;
}

TEST_F(FaultyPull, ShowsLittleOfALongComplaint) {
  json errors = json::array();
  for (int i = 0; i < 1000; ++i) errors.push_back({{"message", std::string(8, 'm')}});
  const Outcome outcome = pull_with(
      {fault("/manifests/v1", {{"status", 400}, {"body", json{{"errors", errors}}.dump()}})});
  expect_refused(outcome, "mmmmmmmm");
  EXPECT_LT(outcome.err.size(), 2000U);
}

TEST_F(FaultyPull, EndsHeadersThatDoNotEnd) {
  expect_refused(pull_with({fault("/manifests/v1", {{"endless_headers", true}})}), "headers");
  EXPECT_LT(seconds_, 10);
}

TEST_F(FaultyPull, RefusesADocumentOfNineMebibytes) {
  expect_refused(pull_manifest(std::string(9 * 1024 * 1024, ' ') + "{}"),
                 "the answer is longer than 8192 KiB");
}

TEST_F(FaultyPull, TakesADocumentOfSevenMebibytes) {
  std::string manifest = manifest_with("{", "{" + std::string(7 * 1024 * 1024, ' '));
  EXPECT_EQ(pull_manifest(manifest).status, 0);
  EXPECT_EQ(run("verify").status, 0);
}

TEST_F(FaultyPull, RefusesADocumentThatCameEncoded) {
  expect_refused(pull_with({fault("/manifests/v1", {{"encoding", "gzip"}})}),
                 "encoded (gzip), which was not asked for");
}

TEST_F(FaultyPull, RefusesAnotherMediaTypeThanTheDocumentSays) {
  const std::string manifest = manifest_with("{", "{");
  const json wrong =
      fault("/manifests/other", {{"type", "application/vnd.docker.distribution.manifest.v2+json"}});
  expect_refused(pull_manifest(manifest, {wrong}), "its descriptor application/vnd.docker");
  const json index =
      fault("/manifests/other", {{"type", "application/vnd.oci.image.index.v1+json"}});
  expect_refused(pull_manifest(manifest, {index}), "image.index.v1+json");
}

TEST_F(FaultyPull, NamesWhatIsNoImage) {
  expect_refused(pull_manifest(manifest_with("application/vnd.oci.image.config.v1+json",
                                             "application/vnd.cncf.helm.config.v1+json")),
                 "is no image: its configuration is of type \"application/vnd.cncf.helm");
  expect_refused(
      pull_manifest(manifest_with("image.layer.v1.tar", "image.layer.nondistributable.v1.tar")),
      "has the foreign layer " + digest_of(0));
  expect_refused(pull_manifest(manifest_with("layer.v1.tar", "layer.v1.tar+lzma")),
                 "of the unknown type");
  expect_refused(
      pull_manifest(manifest_with("{", "{"), {fault("/manifests/other", {{"type", "text/html"}})}),
      "\"text/html\" is not the media type of an image");
}

TEST_F(FaultyPull, RefusesAWrongSize) {
  const std::string size = "\"size\":" + std::to_string(large().layers[0].size());
  expect_refused(pull_manifest(manifest_with(size, "\"size\":700000")),
                 "is shorter than the 700000 bytes");
  expect_refused(pull_manifest(manifest_with(size, "\"size\":99")), "longer than the 99 bytes");
  const std::string config = std::to_string(large().config().size());
  expect_refused(pull_manifest(manifest_with("\"size\":" + config, "\"size\":9")),
                 "is of " + config + " bytes, of 9 by what names it");
}

TEST_F(FaultyPull, RefusesMoreThanItsLimitBeforeItComes) {
  expect_refused(pull_with({}, "--max-bytes 700000"), "limit-bytes");
  EXPECT_EQ(registry_->requests(digest_of(1)).size(), 0U);
}

// An index cannot hold itself by digest; a registry can say that it does.
TEST_F(FaultyPull, FollowsNoIndexForEver) {
  std::string digest = "sha256:" + std::string(64, '0');
  std::size_t size = 1;
  for (int depth = 0; depth < 6; ++depth) {
    const std::string index =
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":")" +
        digest + R"(","size":)" + std::to_string(size) + "}]}";
    digest = put_blob(layout_, index);
    size = index.size();
  }
  registry_ = std::make_unique<FaultyRegistry>(layout_, json{{"tags", {{"deep", digest}}}});
  expect_refused(pull(registry_->place() + ":deep"), "lies below too many indexes");
  EXPECT_LT(registry_->requests().size(), 6U);
}

TEST_F(FaultyPull, SaysWhichPlatformsThereAre) {
  expect_refused(pull_with({}, "--platform linux/s390x/z15"),
                 "there is no image for linux/s390x/z15 (there is: unknown/unknown, linux/" +
                     host_platform().architecture);
  expect_refused(pull_with({}, "--platform linux"), "write OS/ARCHITECTURE");
}

TEST_F(FaultyPull, FetchesOnlyWhatTheStoreLacks) {
  Image image = large();
  expect_comes({});
  EXPECT_EQ(pull(registry_->place() + ":v1").status, 0);
  EXPECT_EQ(registry_->requests().size(), 6U) << "the second time what the tag stands for";
  EXPECT_EQ(registry_->requests(kAnyBlob).size(), 3U);

  image.layers.push_back(tar({file("three", noise(1000, 3))}));
  const FaultyRegistry more(layout_of(image));
  expect_pulled(pull("--name more:v1 " + more.place() + ":v1"), "more:v1", 3);
  EXPECT_EQ(more.requests(kAnyBlob).size(), 2U) << "a configuration and a layer";
  EXPECT_EQ(more.requests(sha256_of(image.layers[2])).size(), 1U);
}

TEST_F(FaultyPull, OfAKnownDigestAsksNobody) {
  expect_comes({});
  const std::string digest = found("large:v1").digest;
  const std::size_t before = registry_->requests().size();
  const Outcome again = pull(registry_->place() + "@" + digest);
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(registry_->requests().size(), before);
}

TEST_F(FaultyPull, ByDigestTakesNothingElse) {
  const std::string other = put_blob(layout_, manifest_with("{", "{ "));
  const std::string digest = put_blob(layout_, manifest_with("{", "{"));
  std::filesystem::copy_file(layout_ + "/blobs/sha256/" + std::string(digest_hex(other)),
                             layout_ + "/blobs/sha256/" + std::string(digest_hex(digest)),
                             std::filesystem::copy_options::overwrite_existing);
  const FaultyRegistry liar(layout_);
  expect_refused(pull(liar.place() + "@" + digest), "sent another document than was asked for");
}

TEST_F(FaultyPull, FetchesTwelveLayersSideBySide) {
  Image image = demo();
  for (unsigned at = 0; at < 12; ++at)
    image.layers.push_back(tar({file("n" + std::to_string(at), noise(70'000, at))}));
  // Half a second for each: one after the other they would take eight.
  const FaultyRegistry registry(layout_of(image),
                                json{{"faults", Faults{fault(kAnyBlob, {{"drip", 0.25}})}}});
  const auto began = std::chrono::steady_clock::now();
  const Outcome outcome = pull("--parallel 12 --name demo:v1 " + registry.place() + ":v1");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(registry.requests(kAnyBlob).size(), 16U);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
  EXPECT_EQ(run("verify").status, 0);
}

TEST_F(FaultyPull, ManyLayersNeedNotManyDescriptors) {
  Image image = demo();
  for (unsigned at = 0; at < 200; ++at)
    image.layers.push_back(tar({file("n" + std::to_string(at), std::to_string(at))}));
  const FaultyRegistry registry(layout_of(image));
  const Outcome outcome =
      cove("pull --name demo:v1 " + registry.place() + ":v1", "ulimit -S -n 256; ");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(found("demo:v1").layers.size(), 203U);
}

TEST_F(FaultyPull, ALayerOnceHoweverOftenItIsNamed) {
  Image image = large();
  image.layers.push_back(image.layers[0]);
  const FaultyRegistry registry(layout_of(image));
  EXPECT_EQ(pull("--name demo:v1 " + registry.place() + ":v1").status, 0);
  EXPECT_EQ(registry.requests(sha256_of(image.layers[0])).size(), 1U);
  EXPECT_EQ(run("verify").status, 0);
}

}  // namespace
}  // namespace cove::testing
