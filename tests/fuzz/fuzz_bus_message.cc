#include <cstddef>
#include <cstdint>

#include "tests/fuzz/bus_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cove::fuzz::bus_message({reinterpret_cast<const char*>(data), size});
  return 0;
}
