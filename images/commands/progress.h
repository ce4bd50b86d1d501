// How far a load is: bars on a terminal, a line for each layer elsewhere, JSON lines with --json,
// nothing with --quiet.
#pragma once

#include "images/commands/program.h"
#include "images/store/progress.h"

namespace cove {

// A sink to be given to a load, or none. Bars are gone with its last copy.
ProgressSink make_progress_sink(Program& program);

}  // namespace cove
