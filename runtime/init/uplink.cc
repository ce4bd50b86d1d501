#include "runtime/init/uplink.h"

#include <fcntl.h>
#include <unistd.h>

#include "runtime/init/protocol.h"
#include "runtime/kernel/message.h"
#include "runtime/network/prefix.h"
#include "runtime/network/routes.h"

namespace cove {

Result<void> ask_for_uplink(const UplinkPlan& plan, BorrowedFd link) {
  // Nobody inside can take the routes away; what they prohibit is held by more than them
  // (network/frame_filter.h).
  const auto blocked = parse_prefixes(plan.blocked);
  if (!blocked) return fail(blocked.error());
  if (auto done = prohibit(*blocked); !done) return done;
  // From us, since nobody may look into a process that is not dumpable.
  const UniqueFd network(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  const UniqueFd user(open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC));
  if (!network || !user)
    return fail(errno_error(ErrorCode::setup_failed, "network", "open the sandbox's namespaces"));
  MessageWriter report;
  report.u32(static_cast<std::uint32_t>(Report::network));
  return send_message(link, report.body(), {network, user});
}

Result<void> await_uplink(BorrowedFd link) {
  auto message = receive_message(link);
  if (!message) return fail(message.error());
  if (message->body.empty()) _exit(0);  // the launcher is gone
  MessageReader reader(message->body);
  if (reader.u32() == static_cast<std::uint32_t>(Order::connected)) return {};
  auto report = decode_failed(reader);
  return fail(report ? to_error(*report) : report.error());
}

}  // namespace cove
