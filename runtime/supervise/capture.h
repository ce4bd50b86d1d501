// What is kept of one output stream.
//
// Memory stays below the cap, however much is written: the head grows to its share and stops, the
// tail is a ring.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cove/sandbox_result.h"
#include "cove/spec.h"

namespace cove {

class Capture {
 public:
  Capture(std::uint64_t cap, OutputPolicy policy);

  void append(std::string_view data);
  // Bytes that were drained without being looked at; only where wants_data() is false.
  void skip(std::uint64_t count) { total_ += count; }
  // False once nothing of what follows can be kept.
  bool wants_data() const { return head_.size() < head_cap_ || tail_cap_ > 0; }

  std::uint64_t total() const { return total_; }
  bool over_cap() const { return total_ > head_cap_ + tail_cap_; }
  CapturedStream finish() &&;

 private:
  std::uint64_t head_cap_, tail_cap_;
  std::uint64_t total_ = 0;
  std::string head_;
  std::string tail_;              // a ring once it is full
  std::uint64_t tail_start_ = 0;  // of the oldest byte, then
};

}  // namespace cove
