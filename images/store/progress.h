// How far a load is, for whoever shows it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace cove {

struct LayerProgress {
  enum class State { waiting, fetching, unpacking, done };

  std::string digest;       // of the blob
  std::uint64_t total = 0;  // the blob's bytes
  State state = State::waiting;
  std::uint64_t bytes = 0;  // of them fetched, or unpacked
  bool was_there = false;   // done, and nothing had to be done
};

// Called now and then, with all layers of the image, lowest first; the last time when all are done.
using ProgressSink = std::function<void(const std::vector<LayerProgress>& layers)>;

}  // namespace cove
