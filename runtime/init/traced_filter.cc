#include "runtime/init/traced_filter.h"

#include <linux/seccomp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "runtime/seccomp/trace.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

namespace cove {
namespace {

Error listener_error(std::string what) {
  Error error = errno_error(ErrorCode::setup_failed, "seccomp", std::move(what));
  if (error.sys_errno == EBUSY)
    error.hint = "Cove itself runs under a filter with a listener, and the kernel allows one";
  if (error.sys_errno == EMFILE) error.hint = "raise resources.open_files";
  return error;
}

long load(const sock_fprog& program, unsigned long flags) {
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER | flags,
                 &program);
}

// Close-on-exec, as the kernel makes it.
long load_with_listener(const std::vector<sock_filter>& filter) {
  const sock_fprog program{static_cast<unsigned short>(filter.size()),
                           const_cast<sock_filter*>(filter.data())};
  // 5.19: a call that the supervisor has read is no longer interrupted by a signal. Else a program
  // with a busy timer (Go's scheduler) makes a call again and again and never gets past it.
  const long listener = load(program, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
  return listener < 0 && errno == EINVAL ? load(program, 0) : listener;
}

// As send_message (kernel/message.h) does, but for the mark of calls that are not asked about.
long send_unasked(BorrowedFd link, int fd) {
  char kind = 'i';
  iovec part{&kind, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fd)> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  return syscall(SYS_sendmsg, link.number(), &header, MSG_NOSIGNAL, kUnasked);
}

}  // namespace

Result<void> load_traced_filter(const std::vector<sock_filter>& filter, BorrowedFd link) {
  const long listener = load_with_listener(filter);
  if (listener < 0) return fail(listener_error("load the filter with a listener"));
  const long sent = send_unasked(link, static_cast<int>(listener));
  const int reason = errno;
  // Before anything else: a call of ours that is asked about (for memory, say) would wait for
  // ourselves.
  syscall(SYS_close, listener, 0, 0, kUnasked);
  if (sent >= 0) return {};
  errno = reason;
  return fail(listener_error("send the filter's listener"));
}

}  // namespace cove
