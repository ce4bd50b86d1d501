#include "runtime/supervise/copier.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

namespace cove {
namespace {

constexpr std::size_t kChunk = 128 * 1024;
// A pipe or terminal that poll(2) calls writable takes this much without blocking (PIPE_BUF),
// whatever the mode of the caller's descriptor, which is not ours to change.
constexpr std::size_t kSafeWrite = 4096;
constexpr char kEndOfFile = 4;  // Ctrl-D

bool ready(BorrowedFd fd, short events) {
  pollfd state{fd.number(), events, 0};
  return poll(&state, 1, 0) > 0 && (state.revents & (events | POLLERR | POLLHUP)) != 0;
}

bool has_bytes(BorrowedFd pipe) {
  int count = 0;
  return ioctl(pipe.number(), FIONREAD, &count) == 0 && count > 0;
}

std::uint64_t cap_of(const StreamPlan& plan) {
  return plan.limit ? plan.limit->count : std::numeric_limits<std::uint64_t>::max();
}

}  // namespace

OutputCopier::OutputCopier(UniqueFd pipe, const StreamPlan& plan, BorrowedFd null)
    : pipe_(std::move(pipe)), null_(null), capture_(cap_of(plan), plan.policy) {}

// Nothing is kept of what is passed on; the capture only counts.
OutputCopier::OutputCopier(UniqueFd pipe, const StreamPlan& plan, BorrowedFd null,
                           UniqueFd destination)
    : pipe_(std::move(pipe)),
      destination_(std::move(destination)),
      null_(null),
      capture_(cap_of(plan), OutputPolicy::head) {
  if (plan.limit) pass_limit_ = plan.limit->count;
}

Pending OutputCopier::step() {
  if (!pipe_) return Pending::done;
  if (discarding_) {
    destination_.give_up();
    unwritten_.clear();
    return discard_step();
  }
  if (destination_) return pass_on_step();
  return capture_.wants_data() ? capture_step() : discard_step();
}

void OutputCopier::close_given_up() {
  pipe_.close_given_up();
  destination_.close_given_up();
}

Pending OutputCopier::close() {
  pipe_.give_up();
  return Pending::done;
}

Pending OutputCopier::source_empty() { return ended_ ? close() : Pending::source; }

Pending OutputCopier::capture_step() {
  std::array<char, kChunk> buffer;  // NOLINT: filled by read
  const ssize_t got = read(pipe_.number(), buffer.data(), buffer.size());
  if (got > 0) {
    capture_.append({buffer.data(), static_cast<std::size_t>(got)});
    return Pending::nothing;
  }
  return got < 0 && errno == EAGAIN ? source_empty() : close();
}

Pending OutputCopier::discard_step() {
  const ssize_t moved =
      splice(pipe_.number(), nullptr, null_.number(), nullptr, 1 << 20, SPLICE_F_NONBLOCK);
  if (moved > 0) {
    capture_.skip(static_cast<std::uint64_t>(moved));
    return Pending::nothing;
  }
  if (moved < 0 && errno == EAGAIN) return source_empty();
  if (moved == 0) return close();
  return drop_step();  // a terminal
}

Pending OutputCopier::drop_step() {
  std::array<char, kChunk> buffer;  // NOLINT: filled by read
  const ssize_t got = read(pipe_.number(), buffer.data(), buffer.size());
  if (got > 0) {
    capture_.skip(static_cast<std::uint64_t>(got));
    return Pending::nothing;
  }
  return got < 0 && errno == EAGAIN ? source_empty() : close();
}

Pending OutputCopier::pass_on_step() {
  if (pass_limit_ && *pass_limit_ == 0 && unwritten_.empty()) {
    return discard_step();
  }
  if (!splice_works_) return copy_step();
  const std::size_t most = std::min<std::uint64_t>(kChunk, pass_limit_.value_or(kChunk));
  const ssize_t moved = splice(pipe_.number(), nullptr, destination_.number(), nullptr, most,
                               SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
  if (moved > 0) {
    capture_.skip(static_cast<std::uint64_t>(moved));
    if (pass_limit_) *pass_limit_ -= static_cast<std::uint64_t>(moved);
    return Pending::nothing;
  }
  if (moved == 0) return close();
  if (errno == EAGAIN) return has_bytes(pipe_) ? Pending::destination : source_empty();
  if (errno == EPIPE)
    return close();       // the reader went away: the program's next write says so to it
  splice_works_ = false;  // a terminal, or a file opened for appending
  return copy_step();
}

Pending OutputCopier::copy_step() {
  if (unwritten_.empty()) {
    const std::size_t most = std::min<std::uint64_t>(kSafeWrite, pass_limit_.value_or(kSafeWrite));
    unwritten_.resize(most);
    const ssize_t got = read(pipe_.number(), unwritten_.data(), most);
    const int error = errno;
    unwritten_.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    if (got < 0 && error == EAGAIN) return source_empty();
    if (got <= 0) return close();
  }
  if (!ready(destination_, POLLOUT)) return Pending::destination;
  const ssize_t put = write(destination_.number(), unwritten_.data(), unwritten_.size());
  if (put < 0) return errno == EAGAIN || errno == EINTR ? Pending::destination : close();
  capture_.skip(static_cast<std::uint64_t>(put));
  if (pass_limit_) *pass_limit_ -= static_cast<std::uint64_t>(put);
  unwritten_.erase(0, static_cast<std::size_t>(put));
  return Pending::nothing;
}

InputCopier::InputCopier(UniqueFd pipe, std::string bytes)
    : pipe_(std::move(pipe)), unwritten_(std::move(bytes)) {}

InputCopier::InputCopier(UniqueFd pipe, UniqueFd source)
    : pipe_(std::move(pipe)), source_(std::move(source)) {}

InputCopier InputCopier::typing(UniqueFd source, std::string detach_keys) {
  InputCopier copier({}, std::move(source));
  copier.typing_ = true;
  copier.keys_ = KeySequence(std::move(detach_keys));
  copier.splice_works_ = false;  // a terminal takes what is written
  return copier;
}

void InputCopier::close_given_up() {
  pipe_.close_given_up();
  source_.close_given_up();
}

Pending InputCopier::close() {
  pipe_.give_up();
  return Pending::done;
}

Pending InputCopier::at_end() {
  if (!typing_) return close();
  typing_ = false;
  source_.give_up();
  termios settings{};
  const bool known = tcgetattr(pipe_.number(), &settings) == 0;
  unwritten_ = known ? static_cast<char>(settings.c_cc[VEOF]) : kEndOfFile;
  return Pending::nothing;
}

Pending InputCopier::step() {
  if (!pipe_) return Pending::done;
  if (written_ < unwritten_.size()) {
    const ssize_t put =
        write(pipe_.number(), unwritten_.data() + written_, unwritten_.size() - written_);
    if (put < 0) return errno == EAGAIN ? Pending::destination : close();
    written_ += static_cast<std::size_t>(put);
    return Pending::nothing;
  }
  unwritten_.clear();
  written_ = 0;
  if (!source_) return close();

  // Looked at first: a splice from a socket waits in spite of its flag.
  if (!ready(source_, POLLIN)) return Pending::source;
  if (splice_works_) {
    const ssize_t moved = splice(source_.number(), nullptr, pipe_.number(), nullptr, kChunk,
                                 SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (moved > 0) return Pending::nothing;
    if (moved == 0) return close();
    if (errno == EAGAIN) return ready(pipe_, POLLOUT) ? Pending::source : Pending::destination;
    if (errno == EPIPE) return close();
    splice_works_ = false;
  }
  unwritten_.resize(kSafeWrite);
  const ssize_t got = read(source_.number(), unwritten_.data(), unwritten_.size());
  const int error = errno;
  unwritten_.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  if (got > 0 && typing_) unwritten_ = keys_.pass(unwritten_);
  if (got > 0) return detached() ? close() : Pending::nothing;
  return got < 0 && (error == EAGAIN || error == EINTR) ? Pending::source : at_end();
}

}  // namespace cove
