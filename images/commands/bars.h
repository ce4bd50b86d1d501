// What progress looks like on a terminal. Pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "images/store/progress.h"

namespace cove {

const char* to_string(LayerProgress::State state);  // "waiting", "fetching", "unpacking", "done"

// One line for each layer that is under way, as many as there is room for, then one for the whole.
// No line is as wide as the terminal.
std::string bars(const std::vector<LayerProgress>& layers, std::size_t columns, std::size_t rows);

}  // namespace cove
