// The keys that detach a caller's terminal, looked for in what is typed.
#pragma once

#include <string>
#include <string_view>

namespace cove {

class KeySequence {
 public:
  // Empty: nothing is ever held back.
  explicit KeySequence(std::string keys) : keys_(std::move(keys)) {}

  // What of `typed` may go on. The beginning of the sequence is held back until the next key
  // decides; what stands behind the whole sequence is dropped.
  std::string pass(std::string_view typed);
  bool complete() const { return !keys_.empty() && held_ == keys_.size(); }

 private:
  std::string keys_;
  std::size_t held_ = 0;  // keys of the sequence that were typed last
};

}  // namespace cove
