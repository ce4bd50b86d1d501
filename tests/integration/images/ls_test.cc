// `cove-image ls`: sizes as the disk has them, and times.
#include <nlohmann/json.hpp>
#include <regex>

#include "tests/integration/images/image_store.h"

namespace cove::testing {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMebibyte = 1024 * 1024;

class ListedStore : public ImageStore {
 protected:
  // Two mebibytes that both have, and one of its own, with a second name that takes no place.
  void load(const std::string& name) const {
    const Image image{
        {tar({file("base", std::string(2 * kMebibyte, 'b'))}),
         tar({file("own", std::string(kMebibyte, name[0])), hard_link("two", "own")})},
        Filter::none,
        name,
        "2026-01-02T03:04:05Z"};
    const Outcome outcome = run("load " + archive("image.tar", image.docker_archive()));
    ASSERT_EQ(outcome.status, 0) << outcome.err;
  }
  json list() const { return json::parse(run("ls --json").out); }
  // As du counts layers and blobs together.
  std::uint64_t disk_usage() const {
    const Outcome outcome =
        shell("du -s -B1 -c " + store() + "/layers/* " + store() + "/blobs/sha256/* | tail -n 1");
    return std::stoull(outcome.out);
  }
};

TEST_F(ListedStore, SaysWhatAnImageTakesAndShares) {
  load("a:v1");
  EXPECT_EQ(list()[0]["size"], disk_usage());
  EXPECT_EQ(list()[0]["shared_size"], 0);
  EXPECT_GE(list()[0]["size"], 6 * kMebibyte) << "blobs and layers";
  EXPECT_LT(list()[0]["size"], 7 * kMebibyte);
  load("b:v1");
  const json two = list();
  for (const json& image : two) {
    EXPECT_GE(image["shared_size"], 4 * kMebibyte);
    EXPECT_LT(image["shared_size"], 5 * kMebibyte);
  }
  const std::uint64_t a = two[0]["size"], b = two[1]["size"], shared = two[0]["shared_size"];
  EXPECT_EQ(a + b - shared, disk_usage());
  // What removing one of them gives back.
  ASSERT_EQ(run("rm a:v1").status, 0);
  EXPECT_EQ(disk_usage(), b);
  EXPECT_EQ(list()[0]["shared_size"], 0);
}

TEST_F(ListedStore, MeasuresALayerOnce) {
  load("a:v1");
  const json before = list();
  ASSERT_EQ(count("sizes"), 2U);
  for (const auto& entry : std::filesystem::directory_iterator(store() + "/sizes"))
    write_file(entry.path(), "1000000000\n");
  EXPECT_GT(list()[0]["size"], 2'000'000'000U) << "what is known is not measured again";
  for (const auto& entry : std::filesystem::directory_iterator(store() + "/sizes"))
    write_file(entry.path(), "10");
  EXPECT_EQ(list(), before) << "but for what was cut short";
}

TEST_F(ListedStore, SaysTimesInWordsAndInJson) {
  load("a:v1");
  const json image = list()[0];
  EXPECT_EQ(image["created"], "2026-01-02T03:04:05Z") << image;
  EXPECT_TRUE(std::regex_match(std::string(image["last_used"]),
                               std::regex("20\\d\\d-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ")))
      << image;
  const std::string record =
      store() + "/images/digests/" + std::string(digest_hex(found("a:v1").digest)) + ".json";
  std::filesystem::last_write_time(
      record, std::filesystem::file_time_type::clock::now() - std::chrono::hours(22 * 24));
  const std::string text = run("ls").out;
  EXPECT_TRUE(std::regex_search(
      text, std::regex(
                "^NAME +DIGEST +LAYERS +SIZE +SHARED +CREATED +LAST USED\n"
                "a:v1 +sha256:[0-9a-f]{12} +2 +[67]\\.\\d MiB +0\\.0 MiB +.* ago +3 weeks ago\n$")))
      << text;
}

TEST_F(ListedStore, NeedsNoStore) {
  EXPECT_EQ(list(), json::array());
  EXPECT_FALSE(std::filesystem::exists(store())) << "to look makes nothing";
}

}  // namespace
}  // namespace cove::testing
