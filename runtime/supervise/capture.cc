#include "runtime/supervise/capture.h"

#include <algorithm>

namespace cove {
namespace {

std::uint64_t tail_share(std::uint64_t cap, OutputPolicy policy) {
  switch (policy) {
    case OutputPolicy::head:
    case OutputPolicy::kill:
      return 0;
    case OutputPolicy::tail:
      return cap;
    case OutputPolicy::head_tail:
      return cap / 2;
  }
  return 0;
}

}  // namespace

Capture::Capture(std::uint64_t cap, OutputPolicy policy)
    : head_cap_(cap - tail_share(cap, policy)), tail_cap_(tail_share(cap, policy)) {}

void Capture::append(std::string_view data) {
  total_ += data.size();
  const std::size_t to_head = std::min<std::uint64_t>(data.size(), head_cap_ - head_.size());
  head_.append(data.substr(0, to_head));
  data.remove_prefix(to_head);
  if (data.empty() || tail_cap_ == 0) return;

  if (data.size() >= tail_cap_) {
    tail_.assign(data.substr(data.size() - tail_cap_));
    tail_start_ = 0;
    return;
  }
  const std::size_t to_grow = std::min<std::uint64_t>(data.size(), tail_cap_ - tail_.size());
  tail_.append(data.substr(0, to_grow));
  data.remove_prefix(to_grow);
  while (!data.empty()) {
    const std::size_t run = std::min<std::uint64_t>(data.size(), tail_cap_ - tail_start_);
    std::copy_n(data.data(), run, tail_.begin() + static_cast<std::ptrdiff_t>(tail_start_));
    tail_start_ = (tail_start_ + run) % tail_cap_;
    data.remove_prefix(run);
  }
}

CapturedStream Capture::finish() && {
  CapturedStream stream;
  stream.total_bytes = total_;
  stream.truncated = over_cap();
  std::rotate(tail_.begin(), tail_.begin() + static_cast<std::ptrdiff_t>(tail_start_), tail_.end());
  stream.bytes = std::move(head_);
  stream.bytes += tail_;
  return stream;
}

}  // namespace cove
