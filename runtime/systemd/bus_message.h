// D-Bus messages as bytes, as far as one question to systemd and its answer take them.
//
//   BusBody body;
//   body.string("cove-7.scope");
//   send(encode_bus_call({"/org/...", "org....Manager", "StartTransientUnit", "s", body.bytes()}, 1));
//
// The wire format is that of the D-Bus specification, "Marshaling" and "Message Protocol", in little
// endian. What arrives is a stranger's: nothing in it is believed that does not lie within it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "cove/result.h"

namespace cove {

// Values one after the other, each aligned as its type asks for. Whoever writes keeps to the
// signature.
class BusBody {
 public:
  void byte(std::uint8_t value) { bytes_ += static_cast<char>(value); }
  void u32(std::uint32_t value);
  void string(std::string_view value);     // also an object path
  void signature(std::string_view value);  // also what opens a variant
  void structure() { align(8); }
  // `elements` writes them. `alignment`: of their type.
  void array(std::size_t alignment, const std::function<void()>& elements);
  void align(std::size_t alignment);

  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

struct BusCall {
  std::string destination, path, interface, member;
  std::string signature;  // of the body
  std::string body;
};
std::string encode_bus_call(const BusCall& call, std::uint32_t serial);

enum class BusMessageType : std::uint8_t { call = 1, answer = 2, error = 3, signal = 4 };

struct BusMessage {
  BusMessageType type = BusMessageType::signal;
  std::uint32_t reply_to = 0;  // serial of the call; 0: none
  std::string text;            // of an error: what it says, else its name
  std::size_t size = 0;        // in bytes
};

// The message that `bytes` begin with; nothing where they are not all of one. Errors: setup_failed,
// for what is no message, or larger than 64 KiB.
Result<std::optional<BusMessage>> decode_bus_message(std::string_view bytes);

}  // namespace cove
