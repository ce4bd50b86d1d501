#include "images/layout/documents.h"

#include <gtest/gtest.h>

#include <string>

namespace cove {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');
const std::string kConfig =
    R"({"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":")" + kDigest +
    "\"}";
const std::string kManifestType = "application/vnd.oci.image.manifest.v1+json";

std::string layer_of(const std::string& media_type) {
  return R"({"mediaType":")" + media_type + R"(","size":7,"digest":")" + kDigest + "\"}";
}
const std::string kLayer = layer_of("application/vnd.oci.image.layer.v1.tar+gzip");

std::string manifest(const std::string& members) {
  return R"({"schemaVersion":2,)" + members + "}";
}
const std::string kMembers = R"("config":)" + kConfig + R"(,"layers":[)" + kLayer + "]";

std::string complaint_about(const std::string& text, const std::string& media_type = {}) {
  const Result<Manifest> parsed = parse_manifest(text, media_type, "the manifest");
  if (parsed) return "";
  EXPECT_EQ(parsed.error().code, ErrorCode::image_invalid);
  EXPECT_EQ(parsed.error().where, "the manifest");
  return parsed.error().what;
}

TEST(Documents, AManifestIsRead) {
  const Result<Manifest> parsed = parse_manifest(manifest(kMembers), kManifestType, "");
  ASSERT_TRUE(parsed) << parsed.error().what;
  EXPECT_EQ(parsed->media_type, kManifestType);
  EXPECT_EQ(parsed->config.digest, kDigest);
  ASSERT_EQ(parsed->layers.size(), 1U);
  EXPECT_EQ(parsed->layers[0].size, 7U);
}

TEST(Documents, TwoMembersOfOneNameAreAmbiguousHoweverDeep) {
  const std::string twice = R"(is ambiguous: an object in it has two members ")";
  EXPECT_EQ(complaint_about(manifest(kMembers + R"(,"layers":[])")), twice + "layers\"");
  EXPECT_EQ(complaint_about(manifest(kMembers + R"(,"annotations":{"a":{"b":1,"c":{},"b":1}})")),
            twice + "b\"");
  EXPECT_EQ(complaint_about(manifest(kMembers + R"(,"x":[{"\u0061":1,"a":2}])")), twice + "a\"");
  EXPECT_EQ(complaint_about(manifest(kMembers + R"(,"x\u001b[2J":1,"x\u001b[2J":2)")),
            twice + "x?[2J\"");
  // The same name in two objects is nothing.
  EXPECT_EQ(complaint_about(manifest(kMembers + R"(,"x":{"layers":1},"y":[{"a":1},{"a":2}])")), "");
}

TEST(Documents, NamesThatDifferInCaseOnlyAreAmbiguousWhereTheyAreRead) {
  const std::string start = R"(is ambiguous: it has a member ")";
  EXPECT_EQ(complaint_about(manifest(kMembers + R"(,"Layers":[])")),
            start + R"(Layers" where "layers" is read)");
  EXPECT_EQ(complaint_about(manifest(kMembers + R"(,"MEDIATYPE":"x")")),
            start + R"(MEDIATYPE" where "mediaType" is read)");
  EXPECT_EQ(complaint_about(manifest(kMembers + R"(,"Manifests":[])")),
            start + R"(Manifests" where "manifests" is read)");
  const std::string config = R"({"rootfs":{"type":"layers","diff_ids":[]},"config":)";
  const auto with = [&](const std::string& members) {
    const Result<Configuration> parsed = parse_configuration(config + "{" + members + "}}", "");
    return parsed ? "" : parsed.error().what;
  };
  EXPECT_EQ(with(R"("User":"1","user":"0")"), start + R"(user" where "User" is read)");
  // Labels are anybody's, and nothing reads them.
  EXPECT_EQ(with(R"("User":"1","Labels":{"org.a":"1","org.A":"2"})"), "");
}

TEST(Documents, OfTwoKindsAreRefused) {
  EXPECT_EQ(complaint_about(manifest(kMembers + R"(,"manifests":[])")),
            "could be read as an index and as a manifest");
  EXPECT_EQ(complaint_about(manifest(kMembers), "application/vnd.oci.image.index.v1+json"),
            "has the media type application/vnd.oci.image.index.v1+json");
  EXPECT_EQ(complaint_about(manifest(R"("mediaType":")" + kManifestType + "\"," + kMembers),
                            "application/vnd.docker.distribution.manifest.v2+json"),
            "says it is " + kManifestType +
                ", its descriptor application/vnd.docker.distribution.manifest.v2+json");
  EXPECT_EQ(complaint_about(R"({"schemaVersion":1,)" + kMembers + "}"),
            "has a schemaVersion other than 2");
}

TEST(Documents, LayersThatAreKeptElsewhereAreRefusedByName) {
  for (const char* type : {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                           "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"}) {
    EXPECT_EQ(complaint_about(
                  manifest(R"("config":)" + kConfig + R"(,"layers":[)" + layer_of(type) + "]")),
              "has the foreign layer " + kDigest + " (\"" + type +
                  "\"), which is kept elsewhere and not fetched");
  }
}

TEST(Documents, NestingHasAnEnd) {
  const auto nested = [](std::size_t depth) {
    return manifest(kMembers + R"(,"x":)" + std::string(depth, '[') + std::string(depth, ']'));
  };
  EXPECT_EQ(complaint_about(nested(20)), "");
  EXPECT_EQ(complaint_about(nested(40)), "is nested too deeply");
  EXPECT_EQ(complaint_about(nested(1'000'000)), "is nested too deeply");
}

TEST(Documents, WhatIsNoJsonIsSaidToBeNone) {
  for (const char* text : {"", "{", "[1,2", "{\"a\":1,}", "\xff\xfe", "nul"})
    EXPECT_EQ(complaint_about(text), "is not JSON") << text;
  EXPECT_EQ(complaint_about("[]"), "is not an object");
}

TEST(Documents, WhatIsMadeForAnImageIsRead) {
  Descriptor config, layer;
  config.digest = layer.digest = kDigest;
  layer.media_type = "application/vnd.oci.image.layer.v1.tar";
  EXPECT_EQ(complaint_about(manifest_text(config, {layer, layer}), kManifestType), "");
}

}  // namespace
}  // namespace cove
