// The options of `cove run` and `cove plan`: one table, from words to a SandboxSpec.
//
// parse_run_options is a function of its arguments. It reports every mistake of the line (and of the
// --spec document) in one Error; what only the host can refuse is refused when the spec is planned.
#pragma once

#include <span>
#include <string>

#include "cli/command_line.h"
#include "cli/surroundings.h"
#include "cove/engine.h"
#include "cove/result.h"
#include "cove/spec.h"

namespace cove::cli {

struct RunRequest {
  bool help = false;  // --help was among the options; nothing else has been looked at then
  SandboxSpec spec;
  EngineOptions engine;  // store and cgroup_parent
  bool json = false;
  std::string detach_keys = "\x10\x11";  // as bytes; Docker's: Ctrl-P Ctrl-Q
};

// `words`: what stands behind "run". The --spec document gives way to options, and -e to nothing:
// environment files come before it, wherever they stand.
Result<RunRequest> parse_run_options(std::span<const std::string> words,
                                     const Surroundings& surroundings);

// Whether --json is among the options: how to report mistakes in the others.
bool wants_json(std::span<const std::string> words);

std::span<const OptionText> run_option_texts();

}  // namespace cove::cli
