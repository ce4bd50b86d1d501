#include "images/commands/bars.h"

#include <algorithm>

#include "images/commands/print.h"

namespace cove {
namespace {

using State = LayerProgress::State;

constexpr std::size_t kBesideBar = 60;  // digest, sizes and state
constexpr std::size_t kSlimmestBar = 8, kWidestBar = 40;

std::string bar(std::uint64_t part, std::uint64_t whole, std::size_t width) {
  const double share =
      whole == 0 ? 1.0 : std::min(1.0, static_cast<double>(part) / static_cast<double>(whole));
  const auto full = static_cast<std::size_t>(share * static_cast<double>(width));
  std::string text = "[" + std::string(full, '=');
  if (full < width) text += ">" + std::string(width - full - 1, ' ');
  return text + "]";
}

}  // namespace

const char* to_string(LayerProgress::State state) {
  switch (state) {
    case State::waiting:
      return "waiting";
    case State::fetching:
      return "fetching";
    case State::unpacking:
      return "unpacking";
    case State::done:
      break;
  }
  return "done";
}

std::string bars(const std::vector<LayerProgress>& layers, std::size_t columns, std::size_t rows) {
  const std::size_t room = std::max(columns, kBesideBar) - kBesideBar;
  const std::size_t width = std::clamp(room, kSlimmestBar, kWidestBar);
  std::string text;
  std::size_t lines = 0, done = 0;
  for (const LayerProgress& layer : layers) {
    if (layer.state == State::done) ++done;
    const bool moving = layer.state == State::fetching || layer.state == State::unpacking;
    if (!moving || lines + 2 >= rows) continue;
    ++lines;
    const std::string line = short_digest(layer.digest) + " " +
                             bar(layer.bytes, layer.total, width) + " " +
                             mebibyte_text(layer.bytes) + " of " + mebibyte_text(layer.total) +
                             " " + to_string(layer.state);
    text += line.substr(0, columns - 1) + "\n";
  }
  const std::string whole =
      std::to_string(done) + " of " + plural(layers.size(), "layer") + " done";
  return text + whole.substr(0, columns - 1) + "\n";
}

}  // namespace cove
