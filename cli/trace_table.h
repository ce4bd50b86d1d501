// What a filter would have refused, for people who write one.
#pragma once

#include <string>
#include <vector>

#include "cove/sandbox_result.h"

namespace cove::cli {

// A sentence, a table, and the names as a filter lists them.
std::vector<std::string> trace_table(const SeccompTrace& trace);

}  // namespace cove::cli
