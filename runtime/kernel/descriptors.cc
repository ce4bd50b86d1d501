#include "runtime/kernel/descriptors.h"

#include <algorithm>

#include "runtime/kernel/syscalls.h"

namespace cove::kernel {

bool close_all_but(std::vector<int> kept) {
  std::sort(kept.begin(), kept.end());
  unsigned next = 0;
  for (const int number : kept) {
    if (number < 0) continue;
    const auto fd = static_cast<unsigned>(number);
    if (fd > next && close_range(next, fd - 1, 0) != 0) return false;
    next = fd + 1;
  }
  return close_range(next, ~0u, 0) == 0;
}

}  // namespace cove::kernel
