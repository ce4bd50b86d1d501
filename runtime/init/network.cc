#include "runtime/init/network.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

#include "runtime/kernel/fd.h"

namespace cove {

Result<void> make_network_namespace() {
  if (unshare(CLONE_NEWNET) != 0) {
    return fail(errno_error(ErrorCode::setup_failed, "network", "make a network namespace"));
  }
  const UniqueFd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (!any || ioctl(any.number(), SIOCSIFFLAGS, &request) != 0) {
    return fail(errno_error(ErrorCode::setup_failed, "network", "bring up loopback"));
  }
  return {};
}

}  // namespace cove
