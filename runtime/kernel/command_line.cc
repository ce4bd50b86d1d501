#include "runtime/kernel/command_line.h"

#include <sys/auxv.h>
#include <sys/prctl.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace cove::kernel {

void forget_command_line(const char* name) {
  prctl(PR_SET_NAME, name);
  // The kernel lays argv's strings, the environment's and the executable's name out in this order.
  char* const first = program_invocation_name;
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the auxiliary vector holds numbers
  char* const last = reinterpret_cast<char*>(getauxval(AT_EXECFN));
  constexpr std::ptrdiff_t kLargest = std::ptrdiff_t{8} << 20;  // the kernel's own limit is 6 MiB
  if (last <= first || last - first > kLargest) return;
  std::memset(first, 0, static_cast<std::size_t>(last - first));
  std::strncpy(first, name, static_cast<std::size_t>(last - first) - 1);
}

}  // namespace cove::kernel
