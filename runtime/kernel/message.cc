#include "runtime/kernel/message.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>

namespace cove {
namespace {

constexpr char kInline = 'i';   // the body follows
constexpr char kInMemfd = 'm';  // the last descriptor is a memfd that holds the body

Error socket_error(std::string what) {
  return errno_error(ErrorCode::sandbox_lost, "message", std::move(what));
}

Result<UniqueFd> body_in_memfd(std::string_view body) {
  UniqueFd file(memfd_create("cove-message", MFD_CLOEXEC));
  if (!file) return fail(socket_error("memfd_create"));
  while (!body.empty()) {
    const ssize_t written = write(file.number(), body.data(), body.size());
    if (written < 0) return fail(socket_error("write a message to a memfd"));
    body.remove_prefix(static_cast<std::size_t>(written));
  }
  return file;
}

Result<std::string> body_from_memfd(BorrowedFd file) {
  struct stat status {};
  if (fstat(file.number(), &status) != 0) return fail(socket_error("fstat of a message"));
  if (static_cast<std::uint64_t>(status.st_size) > kMaxMessageBytes) {
    errno = EMSGSIZE;
    return fail(socket_error("receive a message"));
  }
  std::string body(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t done = 0;
  while (done < body.size()) {
    const ssize_t got =
        pread(file.number(), body.data() + done, body.size() - done, static_cast<off_t>(done));
    if (got <= 0) return fail(socket_error("read a message from a memfd"));
    done += static_cast<std::size_t>(got);
  }
  return body;
}

}  // namespace

Result<SocketPair> make_socket_pair() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail(errno_error(ErrorCode::resource_exhausted, "message", "socketpair"));
  }
  return SocketPair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Result<void> send_message(BorrowedFd socket, std::string_view body,
                          const std::vector<BorrowedFd>& fds) {
  if (body.size() > kMaxMessageBytes || fds.size() + 1 > kMaxMessageFds) {
    errno = EMSGSIZE;
    return fail(socket_error("send a message of " + std::to_string(body.size()) + " bytes and " +
                             std::to_string(fds.size()) + " descriptors"));
  }
  std::array<int, kMaxMessageFds> numbers{};
  std::size_t count = 0;
  for (BorrowedFd fd : fds) numbers[count++] = fd.number();

  char kind = kInline;
  UniqueFd spill;
  if (body.size() > kInlineLimit) {
    Result<UniqueFd> file = body_in_memfd(body);
    if (!file) return fail(file.error());
    spill = std::move(*file);
    numbers[count++] = spill.number();
    kind = kInMemfd;
    body = {};
  }

  std::array<iovec, 2> parts{{{&kind, 1}, {const_cast<char*>(body.data()), body.size()}}};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxMessageFds)> control{};
  msghdr header{};
  header.msg_iov = parts.data();
  header.msg_iovlen = parts.size();
  if (count > 0) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * count);
    std::memcpy(CMSG_DATA(rights), numbers.data(), sizeof(int) * count);
  }
  ssize_t sent;
  do {
    sent = sendmsg(socket.number(), &header, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return fail(socket_error("send a message"));
  return {};
}

Result<Message> receive_message(BorrowedFd socket, Wait wait) {
  std::array<char, 1 + kInlineLimit> buffer;  // NOLINT: filled by recvmsg
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxMessageFds)> control;
  iovec part{buffer.data(), buffer.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const int flags = MSG_CMSG_CLOEXEC | (wait == Wait::poll ? MSG_DONTWAIT : 0);
  ssize_t got;
  // A peer that left with something unread resets the connection, and that error comes before what
  // it said last: being told clears it, and the next call reads on.
  do {
    got = recvmsg(socket.number(), &header, flags);
  } while (got < 0 && (errno == EINTR || errno == ECONNRESET));
  if (got < 0) return fail(socket_error("receive a message"));

  Message message;
  if (got <= 0) return message;  // the peer is gone
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(item) + i * sizeof(int), sizeof number);
      message.fds.emplace_back(number);
    }
  }
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    errno = EMSGSIZE;
    return fail(socket_error("receive a message"));
  }
  if (buffer[0] == kInMemfd) {
    if (message.fds.empty()) {
      errno = EBADMSG;
      return fail(socket_error("receive a message"));
    }
    Result<std::string> body = body_from_memfd(message.fds.back());
    if (!body) return fail(body.error());
    message.body = std::move(*body);
    message.fds.pop_back();
  } else {
    message.body.assign(buffer.data() + 1, static_cast<std::size_t>(got) - 1);
  }
  return message;
}

}  // namespace cove
