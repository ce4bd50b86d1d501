// What `cove run` has to say about a run besides the program's own output.
//
// One fact each, without the "cove: " in front; none for a run in which nothing happened but the
// program. A fact is a line, but for an error of several mistakes. Pure: from spec and result
// alone.
#pragma once

#include <string>
#include <vector>

#include "cove/sandbox_result.h"
#include "cove/spec.h"

namespace cove::cli {

std::vector<std::string> remarks(const SandboxSpec& spec, const SandboxResult& result);

}  // namespace cove::cli
