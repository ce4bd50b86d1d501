#include "runtime/systemd/bus.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "runtime/kernel/fd.h"

namespace cove {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kHelloSerial = 1, kCallSerial = 2;
constexpr std::size_t kLongestLine = 512;  // of the authentication

Error bus_error(std::string what) {
  return Error{ErrorCode::setup_failed, "", 0, std::move(what), "", "", {}};
}

Error bus_errno(std::string what) {
  return errno_error(ErrorCode::setup_failed, "", std::move(what));
}

// "%2f" is "/".
std::string unescaped(std::string_view value) {
  std::string plain;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const auto digit = [&](std::size_t at) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      return at < value.size() ? kDigits.find(static_cast<char>(value[at] | 0x20)) : kDigits.npos;
    };
    if (value[i] == '%' && digit(i + 1) < 16 && digit(i + 2) < 16) {
      plain += static_cast<char>(digit(i + 1) * 16 + digit(i + 2));
      i += 2;
    } else {
      plain += value[i];
    }
  }
  return plain;
}

std::string_view next_part(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

class Connection {
 public:
  Connection(UniqueFd socket, Clock::time_point deadline)
      : socket_(std::move(socket)), deadline_(deadline) {}

  static Result<Connection> open(const std::string& name, Clock::time_point deadline) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (name.size() >= sizeof address.sun_path)
      return fail(bus_error("the address of the bus is too long"));
    std::memcpy(address.sun_path, name.data(), name.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() +
                                               (name.starts_with('\0') ? 0 : 1));
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket ||
        connect(socket.number(), reinterpret_cast<const sockaddr*>(&address), length) != 0)
      return fail(bus_errno("connect to the user's bus"));
    return Connection(std::move(socket), deadline);
  }

  // A few hundred bytes, for which a new socket has room.
  Result<void> send(const std::string& bytes) {
    const ssize_t sent = ::send(socket_.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(bytes.size()))
      return fail(bus_errno("write to the user's bus"));
    return {};
  }

  // Up to "\r\n", without it.
  Result<std::string> read_line() {
    for (;;) {
      const std::size_t end = received_.find("\r\n");
      if (end != std::string::npos) {
        std::string line = received_.substr(0, end);
        received_.erase(0, end + 2);
        return line;
      }
      if (received_.size() > kLongestLine) return fail(bus_error("this is no D-Bus"));
      if (auto done = receive(); !done) return fail(done.error());
    }
  }

  Result<BusMessage> read_message() {
    for (;;) {
      auto message = decode_bus_message(received_);
      if (!message) return fail(message.error());
      if (*message) {
        received_.erase(0, (*message)->size);
        return std::move(**message);
      }
      if (auto done = receive(); !done) return fail(done.error());
    }
  }

 private:
  Result<void> receive() {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
    pollfd readable{socket_.number(), POLLIN, 0};
    const int ready = poll(&readable, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (ready == 0) return fail(bus_error("it does not answer"));
    std::array<char, 4096> buffer;  // NOLINT: filled by read
    const ssize_t got = ready > 0 ? read(socket_.number(), buffer.data(), buffer.size()) : -1;
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return {};
    if (got < 0) return fail(bus_errno("read from the user's bus"));
    if (got == 0) return fail(bus_error("the user's bus has hung up"));
    received_.append(buffer.data(), static_cast<std::size_t>(got));
    return {};
  }

  UniqueFd socket_;
  Clock::time_point deadline_;
  std::string received_;
};

// By what the kernel says of the socket's other end; the id is said as well, in hexadecimal digits of
// its decimal ones (D-Bus specification, "EXTERNAL").
Result<void> authenticate(Connection& bus) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string id;
  for (const char digit : std::to_string(geteuid())) {
    id += kDigits[static_cast<unsigned char>(digit) >> 4];
    id += kDigits[static_cast<unsigned char>(digit) & 0xf];
  }
  if (auto sent = bus.send(std::string(1, '\0') + "AUTH EXTERNAL " + id + "\r\n"); !sent)
    return sent;
  auto line = bus.read_line();
  if (!line) return fail(line.error());
  if (!line->starts_with("OK ")) return fail(bus_error("the user's bus does not let us in"));
  return {};
}

BusCall hello() {
  return {"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", "", ""};
}

}  // namespace

Result<std::string> bus_socket(const std::string& address) {
  std::string_view addresses = address;
  while (!addresses.empty()) {
    std::string_view one = next_part(addresses, ';');
    if (next_part(one, ':') != "unix") continue;
    while (!one.empty()) {
      std::string_view value = next_part(one, ',');
      const std::string_view key = next_part(value, '=');
      if (key == "path") return unescaped(value);
      if (key == "abstract") return std::string(1, '\0') + unescaped(value);
    }
  }
  return fail(bus_error("the address of the bus names no socket: " + address));
}

Result<void> call_on_bus(const std::string& address, const BusCall& call,
                         Clock::time_point deadline) {
  auto name = bus_socket(address);
  if (!name) return fail(name.error());
  auto bus = Connection::open(*name, deadline);
  if (!bus) return fail(bus.error());
  if (auto done = authenticate(*bus); !done) return done;
  const std::string messages =
      "BEGIN\r\n" + encode_bus_call(hello(), kHelloSerial) + encode_bus_call(call, kCallSerial);
  if (auto sent = bus->send(messages); !sent) return sent;
  for (;;) {
    const auto message = bus->read_message();
    if (!message) return fail(message.error());
    const bool ours = message->reply_to == kHelloSerial || message->reply_to == kCallSerial;
    if (ours && message->type == BusMessageType::error) return fail(bus_error(message->text));
    if (message->reply_to == kCallSerial && message->type == BusMessageType::answer) return {};
  }
}

}  // namespace cove
