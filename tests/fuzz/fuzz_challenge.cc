#include <cstddef>
#include <cstdint>

#include "tests/fuzz/registry_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cove::fuzz::challenge({reinterpret_cast<const char*>(data), size});
  return 0;
}
