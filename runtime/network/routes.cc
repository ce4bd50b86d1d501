#include "runtime/network/routes.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "runtime/kernel/fd.h"

namespace cove {
namespace {

Error route_error(std::string what) {
  return errno_error(ErrorCode::setup_failed, "network", std::move(what));
}

template <typename T>
void append(std::string& message, const T& value) {
  message.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string prohibiting_route(const Prefix& prefix) {
  const bool four = prefix.version == IpVersion::four;
  const auto address_size = static_cast<unsigned short>(four ? 4 : 16);
  rtmsg route{};
  route.rtm_family = four ? AF_INET : AF_INET6;
  route.rtm_dst_len = static_cast<unsigned char>(prefix.length);
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = RTPROT_STATIC;
  route.rtm_scope = RT_SCOPE_UNIVERSE;
  route.rtm_type = RTN_PROHIBIT;
  const rtattr destination{static_cast<unsigned short>(sizeof(rtattr) + address_size), RTA_DST};
  nlmsghdr header{};
  header.nlmsg_len =
      static_cast<std::uint32_t>(sizeof header + sizeof route + sizeof destination + address_size);
  header.nlmsg_type = RTM_NEWROUTE;
  header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  std::string message;
  append(message, header);
  append(message, route);
  append(message, destination);
  message.append(reinterpret_cast<const char*>(prefix.address.data()), address_size);
  return message;
}

// The errno of the acknowledgement, 0 for success; -1 and errno where there was none.
int acknowledged(BorrowedFd socket) {
  alignas(nlmsghdr) std::array<char, 4096> buffer;  // NOLINT: filled by recv
  const ssize_t got = recv(socket.number(), buffer.data(), buffer.size(), 0);
  if (got < 0) return -1;
  const auto* const header = reinterpret_cast<const nlmsghdr*>(buffer.data());
  if (!NLMSG_OK(header, static_cast<std::size_t>(got)) || header->nlmsg_type != NLMSG_ERROR) {
    errno = EBADMSG;
    return -1;
  }
  return -static_cast<const nlmsgerr*>(NLMSG_DATA(header))->error;
}

}  // namespace

Result<void> prohibit(const std::vector<Prefix>& prefixes) {
  const UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) return fail(route_error("open a netlink socket"));
  for (const Prefix& prefix : prefixes) {
    const std::string message = prohibiting_route(prefix);
    if (send(socket.number(), message.data(), message.size(), 0) < 0)
      return fail(route_error("send a route"));
    const int answer = acknowledged(socket);
    if (answer == 0 || answer == EOPNOTSUPP || answer == EAFNOSUPPORT) continue;
    if (answer > 0) errno = answer;
    return fail(route_error("add a prohibiting route"));
  }
  return {};
}

}  // namespace cove
