#include "cove/version.h"

namespace cove {

const char* version() { return COVE_VERSION; }

}  // namespace cove
