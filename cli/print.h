// Text to the standard streams, by write(2): no buffers of ours, no iostream.
#pragma once

#include <string_view>

#include "cove/error.h"

namespace cove::cli {

inline constexpr int kExitOurError = 125;

// To stdout. False where it could not all be written; the reason has then been printed on stderr.
bool print(std::string_view text);

// On stderr, every line of the text with "cove: " before it. Errors there have nowhere to go.
void complain(std::string_view text);

// The error, every mistake a line. Returns kExitOurError, for `return complain(...)`; the error of
// a command that promised JSON is printed as the result of a run that never began.
int complain(const Error& error);
int complain_as_json(const Error& error);

}  // namespace cove::cli
