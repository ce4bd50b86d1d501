// Messages between processes of ours: one record of a SOCK_SEQPACKET socket, with descriptors.
//
// A body above kInlineLimit travels in a memfd of its own, so that no message is too long for a
// socket buffer; the receiver does not notice. MessageWriter and MessageReader make and take apart
// bodies: 32-bit and 64-bit integers in host order and length-prefixed strings. A reader that runs
// past the end turns false and yields zeros, so that the caller checks once.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

inline constexpr std::size_t kInlineLimit = 48 * 1024;
inline constexpr std::size_t kMaxMessageBytes = 16 * 1024 * 1024;
inline constexpr std::size_t kMaxMessageFds = 200;

struct Message {
  std::string body;
  std::vector<UniqueFd> fds;
};

// A connected pair of close-on-exec seqpacket sockets.
struct SocketPair {
  UniqueFd first, second;
};
Result<SocketPair> make_socket_pair();

// Blocks until the message is queued. Does not raise SIGPIPE. errno in the Error: EPIPE when the
// peer is gone.
Result<void> send_message(BorrowedFd socket, std::string_view body,
                          const std::vector<BorrowedFd>& fds = {});

enum class Wait { block, poll };

// One message. An empty body without descriptors means that the peer is gone. With Wait::poll, and
// nothing there, the Error has errno EAGAIN. Received descriptors are close-on-exec.
Result<Message> receive_message(BorrowedFd socket, Wait wait = Wait::block);

class MessageWriter {
 public:
  MessageWriter& u32(std::uint32_t value) { return raw(&value, sizeof value); }
  MessageWriter& u64(std::uint64_t value) { return raw(&value, sizeof value); }
  MessageWriter& text(std::string_view value) {
    u32(static_cast<std::uint32_t>(value.size()));
    return raw(value.data(), value.size());
  }
  const std::string& body() const { return body_; }

 private:
  MessageWriter& raw(const void* data, std::size_t size) {
    body_.append(static_cast<const char*>(data), size);
    return *this;
  }
  std::string body_;
};

class MessageReader {
 public:
  explicit MessageReader(std::string_view body) : rest_(body) {}
  std::uint32_t u32() { return number<std::uint32_t>(); }
  std::uint64_t u64() { return number<std::uint64_t>(); }
  std::string text() {
    const std::uint32_t size = u32();
    if (size > rest_.size()) {
      good_ = false;
      return {};
    }
    std::string value(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return value;
  }
  // True if nothing was missing so far.
  bool good() const { return good_; }

 private:
  template <typename T>
  T number() {
    T value{};
    if (rest_.size() < sizeof value) {
      good_ = false;
      return 0;
    }
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  std::string_view rest_;
  bool good_ = true;
};

}  // namespace cove
