// Unpacks the layers that the store lacks into the staging directory, some at a time, each in a
// process of its own.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cove/result.h"
#include "images/store/select.h"
#include "images/store/store.h"
#include "images/unpack/confined.h"
#include "images/unpack/layer.h"

namespace cove {

class Unpacker {
 public:
  // All four outlive it.
  Unpacker(const Store& store, const Staging& staging, const Source& source,
           const UnpackLimits& limits)
      : store_(store), staging_(staging), source_(source), limits_(limits) {}

  // Errors name the layer in their step.
  Result<void> unpack(const Selected& selected);

  // What was unpacked: directory in staging -> diff id.
  const std::vector<std::pair<std::string, std::string>>& unpacked() const { return unpacked_; }
  // What was dropped or changed, and how often.
  const std::map<std::string, std::uint64_t>& notes() const { return notes_; }

 private:
  struct Running {
    ConfinedProcess process;
    UniqueFd directory;
    std::string staged, diff_id, step;
  };

  Result<void> start(const Blob& blob, const std::string& diff_id, const std::string& step);
  Result<void> finish_first();

  const Store& store_;
  const Staging& staging_;
  const Source& source_;
  const UnpackLimits& limits_;
  std::deque<Running> running_;
  std::vector<std::pair<std::string, std::string>> unpacked_;
  std::map<std::string, std::uint64_t> notes_;
  std::uint64_t bytes_ = 0, entries_ = 0;
};

}  // namespace cove
