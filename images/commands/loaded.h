// How the commands that bring an image show what came.
#pragma once

#include <iosfwd>

#include "images/commands/program.h"
#include "images/store/load.h"

namespace cove {

// `verb`: "Loaded", "Imported". Notes go to `err`, one line each.
void show_loaded(const char* verb, const LoadResult& result, OutputFormat format, std::ostream& out,
                 std::ostream& err);

}  // namespace cove
