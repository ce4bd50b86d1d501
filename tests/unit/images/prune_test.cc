// Which images may go, in which order, and what they share.
#include "images/store/prune.h"

#include <gtest/gtest.h>

namespace cove {
namespace {

using std::chrono::hours;

constexpr WallTime kNow{std::chrono::hours(500'000)};

InventoriedImage image(char digit, const std::vector<std::string>& names, hours unused,
                       const std::set<std::string>& content = {}) {
  InventoriedImage image{{}, names, kNow - unused, content};
  image.record.digest = "sha256:" + std::string(64, digit);
  return image;
}

Inventory inventory() {
  Inventory inventory;
  inventory.images = {image('1', {"new:v1"}, hours(1), {"layers/base", "layers/new"}),
                      image('2', {}, hours(2), {"layers/base", "blobs/2"}),
                      image('3', {"old:v1", "old:v2"}, hours(30), {"layers/old"}),
                      image('4', {}, hours(20), {"layers/base"})};
  inventory.content = {{"layers/base", 1000}, {"layers/new", 200},   {"layers/old", 30},
                       {"blobs/2", 4},        {"blobs/junk", 50000}, {"blobs/theirs", 600000}};
  inventory.foreign = {"blobs/theirs"};
  return inventory;
}

// The digits of the images' digests.
std::string candidates(const PruneOptions& options) {
  const Inventory all = inventory();
  std::string digits;
  for (const InventoriedImage* image : prune_candidates(all, options, kNow))
    digits += image->record.digest.back();
  return digits;
}

TEST(Prune, LetsGoWhatHasNoNameTheLongestUnusedFirst) { EXPECT_EQ(candidates({}), "42"); }

TEST(Prune, LetsNamesGoBehindThoseWhereItIsAsked) {
  PruneOptions all;
  all.all = true;
  EXPECT_EQ(candidates(all), "4231");
  PruneOptions small;
  small.keep_storage = Bytes{1};
  EXPECT_EQ(candidates(small), "4231");
}

TEST(Prune, KeepsWhatWasUsedSince) {
  PruneOptions options;
  options.older_than = hours(10);
  EXPECT_EQ(candidates(options), "43");
  options.older_than = hours(20);
  EXPECT_EQ(candidates(options), "43") << "just so long ago is long enough";
  options.older_than = hours(31);
  EXPECT_EQ(candidates(options), "");
  options.all = true;
  EXPECT_EQ(candidates(options), "") << "an age is kept to, whatever else is asked";
}

TEST(Inventory, CountsEachThingOnce) {
  const Inventory all = inventory();
  EXPECT_EQ(all.bytes_of(all.images[0].content), 1200U);
  EXPECT_EQ(all.shared_bytes_of(all.images[0]), 1000U);
  EXPECT_EQ(all.shared_bytes_of(all.images[1]), 1000U);
  EXPECT_EQ(all.shared_bytes_of(all.images[2]), 0U);
  EXPECT_EQ(all.total(), 651234U);
}

TEST(Inventory, KnowsWhatIsLeftWithoutSome) {
  const Inventory all = inventory();
  const auto digest = [&](std::size_t at) { return all.images[at].record.digest; };
  EXPECT_EQ(all.bytes_without({}), 601234U) << "all but what nobody uses";
  EXPECT_EQ(all.bytes_without({digest(0), digest(1)}), 601030U) << "the base is the fourth's too";
  EXPECT_EQ(all.bytes_without({digest(0), digest(1), digest(2), digest(3)}), 600000U);
}

}  // namespace
}  // namespace cove
