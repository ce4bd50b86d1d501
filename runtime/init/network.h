// A network namespace with nothing but loopback.
#pragma once

#include "cove/result.h"

namespace cove {

// Moves this process into a new one. The longest single step of a launch (0.6 ms), so a launcher
// does it between two launches.
Result<void> make_network_namespace();

}  // namespace cove
