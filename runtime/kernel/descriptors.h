// A process's descriptors as a whole.
#pragma once

#include <vector>

namespace cove::kernel {

// Closes every descriptor but those; negative numbers stand for none. False, with errno, where that
// cannot be.
bool close_all_but(std::vector<int> kept);

}  // namespace cove::kernel
