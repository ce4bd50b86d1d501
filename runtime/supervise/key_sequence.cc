#include "runtime/supervise/key_sequence.h"

namespace cove {

std::string KeySequence::pass(std::string_view typed) {
  if (keys_.empty()) return std::string(typed);
  std::string passed;
  for (const char key : typed) {
    if (complete()) break;
    // Held keys go on, one by one, until those that are left begin the sequence again.
    while (held_ > 0 && keys_[held_] != key) {
      std::size_t shorter = held_ - 1;
      while (shorter > 0 && keys_.compare(0, shorter, keys_, held_ - shorter, shorter) != 0)
        --shorter;
      passed.append(keys_, 0, held_ - shorter);
      held_ = shorter;
    }
    if (keys_[held_] == key) {
      ++held_;
    } else {
      passed += key;
    }
  }
  return passed;
}

}  // namespace cove
