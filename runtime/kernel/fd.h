// Ownership of file descriptors, in types.
#pragma once

#include <unistd.h>

#include <utility>

namespace cove {

// A descriptor somebody else owns and keeps open for as long as it is used here. -1: none.
class BorrowedFd {
 public:
  constexpr BorrowedFd() = default;
  constexpr explicit BorrowedFd(int number) : number_(number) {}
  constexpr int number() const { return number_; }
  constexpr explicit operator bool() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

// A descriptor that is closed with its owner. Close errors are ignored: nothing that Cove writes
// through a descriptor waits for close(2) to report it.
class UniqueFd {
 public:
  constexpr UniqueFd() = default;
  constexpr explicit UniqueFd(int number) : number_(number) {}
  UniqueFd(UniqueFd&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.number_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }

  int number() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }
  BorrowedFd borrow() const { return BorrowedFd(number_); }
  operator BorrowedFd() const { return BorrowedFd(number_); }  // NOLINT: lending is what it is for
  int release() { return std::exchange(number_, -1); }
  void reset(int number = -1) {
    if (number_ >= 0) close(number_);
    number_ = number;
  }

 private:
  int number_ = -1;
};

}  // namespace cove
