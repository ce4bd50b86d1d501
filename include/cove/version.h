#pragma once

namespace cove {

// "0.1.0": of the library that is linked, not of these headers.
const char* version();

}  // namespace cove
