// cove-launcher: started by a library that embeds Cove, never by hand. Its socket is descriptor 3.
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "runtime/kernel/syscalls.h"
#include "runtime/launch/launcher.h"

int main() {
  constexpr int kSocket = 3;
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(kSocket, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET) {
    constexpr char kText[] = "cove-launcher is started by the cove library, not by hand\n";
    (void)!write(2, kText, std::strlen(kText));
    return 125;
  }
  // An ignored signal stays ignored through exec; a sandbox must not inherit what its caller
  // ignores. All of them stay blocked (launcher_client.cc).
  cove::kernel::reset_signals();
  return cove::serve_launches(cove::UniqueFd(kSocket), cove::Expect::many);
}
