// A descriptor that may be in the supervisor's epoll set. It has to leave the set before it is closed:
// its number may be another thread's file a moment later, and where a duplicate is open elsewhere (a
// caller's stdin, a terminal that is read as well as written), the set would keep the closed one, and
// report it without end. So what is given up is only set aside, until the supervisor has looked.
#pragma once

#include <utility>

#include "runtime/kernel/fd.h"

namespace cove {

class WatchedFd {
 public:
  WatchedFd() = default;
  explicit WatchedFd(UniqueFd fd) : fd_(std::move(fd)) {}

  // Nothing is read or written here any more. Once in a lifetime.
  void give_up() {
    if (fd_) given_up_ = std::move(fd_);
  }
  // The set has been told.
  void close_given_up() { given_up_.reset(); }

  int number() const { return fd_.number(); }
  explicit operator bool() const { return static_cast<bool>(fd_); }
  operator BorrowedFd() const { return fd_; }  // NOLINT: lending is what it is for

 private:
  UniqueFd fd_, given_up_;
};

}  // namespace cove
