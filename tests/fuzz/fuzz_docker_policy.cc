#include <cstddef>
#include <cstdint>

#include "tests/fuzz/policy_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cove::fuzz::docker_policy({reinterpret_cast<const char*>(data), size});
  return 0;
}
