// Classic BPF with labels. Jumps go forward only, as the kernel demands; a conditional one reaches
// 255 instructions at most.
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace cove {

class Assembler {
 public:
  struct Label {
    std::size_t index;
  };

  Label label() {
    places_.push_back(kNowhere);
    return Label{places_.size() - 1};
  }
  // The next instruction is where `label` points to.
  void place(Label label) { places_[label.index] = program_.size(); }

  void emit(std::uint16_t code, std::uint32_t k) { program_.push_back({code, 0, 0, k}); }
  void load(std::size_t offset) {
    emit(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
  }
  void answer(std::uint32_t action) { emit(BPF_RET | BPF_K, action); }
  // Falls through to the next instruction on the side that has no label.
  void jump_if(std::uint16_t test, std::uint32_t k, std::optional<Label> yes,
               std::optional<Label> no) {
    jumps_.push_back({program_.size(), yes, no});
    emit(static_cast<std::uint16_t>(BPF_JMP | test | BPF_K), k);
  }

  // Nothing where a jump is too far.
  std::optional<std::vector<sock_filter>> finish() {
    for (const Jump& jump : jumps_) {
      const auto yes = distance(jump.at, jump.yes);
      const auto no = distance(jump.at, jump.no);
      if (!yes || !no) return std::nullopt;
      program_[jump.at].jt = *yes;
      program_[jump.at].jf = *no;
    }
    return std::move(program_);
  }

 private:
  static constexpr std::size_t kNowhere = ~std::size_t{0};
  struct Jump {
    std::size_t at;
    std::optional<Label> yes, no;
  };

  std::optional<std::uint8_t> distance(std::size_t at, std::optional<Label> to) const {
    if (!to) return std::uint8_t{0};
    const std::size_t target = places_[to->index];
    if (target == kNowhere || target <= at || target - at - 1 > 255) return std::nullopt;
    return static_cast<std::uint8_t>(target - at - 1);
  }

  std::vector<sock_filter> program_;
  std::vector<std::size_t> places_;
  std::vector<Jump> jumps_;
};

}  // namespace cove
