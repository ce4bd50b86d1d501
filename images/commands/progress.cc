#include "images/commands/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <ostream>

#include "images/commands/bars.h"
#include "images/commands/print.h"

namespace cove {
namespace {

using State = LayerProgress::State;
using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kBetweenLines{500};  // of JSON, for one layer that moves on
constexpr std::size_t kDefaultColumns = 80, kDefaultRows = 24;

// Behind each change, all of it is drawn again, over what was there.
class Bars {
 public:
  explicit Bars(std::ostream& err) : err_(err) {}
  ~Bars() { erase(); }
  Bars(const Bars&) = delete;
  Bars& operator=(const Bars&) = delete;

  void show(const std::vector<LayerProgress>& layers) {
    winsize window{};
    const bool known = ioctl(2, TIOCGWINSZ, &window) == 0 && window.ws_col > 0;
    const std::string text =
        bars(layers, known ? window.ws_col : kDefaultColumns, known ? window.ws_row : kDefaultRows);
    erase();
    err_ << text << std::flush;
    lines_ = std::count(text.begin(), text.end(), '\n');
  }

 private:
  void erase() {
    if (lines_ > 0) err_ << "\x1b[" << lines_ << "A\x1b[J" << std::flush;
    lines_ = 0;
  }
  std::ostream& err_;
  std::ptrdiff_t lines_ = 0;
};

// One line for each layer, once it is done.
class Lines {
 public:
  explicit Lines(std::ostream& err) : err_(err) {}

  void show(const std::vector<LayerProgress>& layers) {
    said_.resize(layers.size());
    for (std::size_t at = 0; at < layers.size(); ++at) {
      const LayerProgress& layer = layers[at];
      if (said_[at] || layer.state != State::done) continue;
      said_[at] = true;
      err_ << "layer " << at + 1 << " of " << layers.size() << ": " << short_digest(layer.digest)
           << (layer.was_there ? ", there already" : ", " + mebibyte_text(layer.total)) << '\n'
           << std::flush;
    }
  }

 private:
  std::ostream& err_;
  std::vector<bool> said_;
};

// A line for each layer when its state changes, and twice a second while it moves on.
class JsonLines {
 public:
  explicit JsonLines(std::ostream& out) : out_(out) {}

  void show(const std::vector<LayerProgress>& layers) {
    said_.resize(layers.size());
    const auto now = steady_clock::now();
    for (std::size_t at = 0; at < layers.size(); ++at) {
      const LayerProgress& layer = layers[at];
      Said& said = said_[at];
      const bool moved = layer.bytes != said.bytes && now - said.time >= kBetweenLines;
      if (layer.state == said.state && !moved) continue;
      said = {layer.state, layer.bytes, now};
      out_ << dump({{"event", "layer"},
                    {"layer", at + 1},
                    {"layers", layers.size()},
                    {"digest", layer.digest},
                    {"state", to_string(layer.state)},
                    {"bytes", layer.bytes},
                    {"total", layer.total}})
           << '\n'
           << std::flush;
    }
  }

 private:
  struct Said {
    State state = State::waiting;
    std::uint64_t bytes = 0;
    steady_clock::time_point time{};
  };
  std::ostream& out_;
  std::vector<Said> said_;
};

template <typename Display>
ProgressSink sink_for(std::ostream& stream) {
  return [display = std::make_shared<Display>(stream)](const std::vector<LayerProgress>& layers) {
    display->show(layers);
  };
}

}  // namespace

ProgressSink make_progress_sink(Program& program) {
  if (program.quiet) return {};
  if (program.json) return sink_for<JsonLines>(program.out);
  return isatty(2) ? sink_for<Bars>(program.err) : sink_for<Lines>(program.err);
}

}  // namespace cove
