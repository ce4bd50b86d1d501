#include "images/commands/bars.h"

#include <gtest/gtest.h>

#include <sstream>

namespace cove {
namespace {

using State = LayerProgress::State;

constexpr std::uint64_t kMebibyte = 1024 * 1024;

LayerProgress layer(State state, std::uint64_t bytes) {
  return {"sha256:" + std::string(64, 'a'), 100 * kMebibyte, state, bytes};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(Bars, ShowWhatIsUnderWayAndHowMuchIsDone) {
  const std::string text = bars(
      {layer(State::done, 0), layer(State::fetching, 50 * kMebibyte), layer(State::waiting, 0)},
      100, 24);
  const std::vector<std::string> lines = lines_of(text);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0],
            "sha256:aaaaaaaaaaaa [====================>                   ] 50 MiB of 100 MiB "
            "fetching");
  EXPECT_EQ(lines[1], "1 of 3 layers done");
}

TEST(Bars, AreFullAtTheEndAndNeverMore) {
  for (const std::uint64_t bytes : {100 * kMebibyte, 300 * kMebibyte})
    EXPECT_NE(bars({layer(State::unpacking, bytes)}, 68, 24).find("[========] "),
              std::string::npos);
}

TEST(Bars, AreFullForALayerOfNoBytes) {
  LayerProgress empty = layer(State::unpacking, 0);
  empty.total = 0;
  EXPECT_NE(bars({empty}, 68, 24).find("[========] "), std::string::npos);
}

// A line that wraps, or more lines than the terminal has, could not be drawn over again.
TEST(Bars, KeepWithinTheTerminal) {
  const std::vector<LayerProgress> many(40, layer(State::fetching, kMebibyte));
  for (const std::size_t columns : {1U, 10U, 60U, 80U, 200U}) {
    for (const std::size_t rows : {1U, 2U, 5U, 24U}) {
      const std::vector<std::string> lines = lines_of(bars(many, columns, rows));
      EXPECT_LE(lines.size(), std::max<std::size_t>(rows - 1, 1)) << columns << "x" << rows;
      for (const std::string& line : lines) EXPECT_LT(line.size(), columns);
    }
  }
}

}  // namespace
}  // namespace cove
