// What the fuzzer of a bus's answers tries: see targets.h.
#pragma once

#include "runtime/systemd/bus_message.h"
#include "tests/fuzz/targets.h"

namespace cove::fuzz {

// A message is taken from the front of what was received, or more is awaited: so one that is read
// has a size, and no more of it may be wanted than a bus of ours would ever send.
inline void bus_message(std::string_view bytes) {
  constexpr std::size_t kLargest = 16 + 2 * 64 * 1024 + 8;
  const auto read = decode_bus_message(bytes);
  if (!read) {
    promise(!read.error().what.empty(), "every mistake is told");
    return;
  }
  if (!*read) {
    promise(bytes.size() < kLargest, "what is awaited has an end");
    return;
  }
  const BusMessage& message = **read;
  promise(message.size >= 16 && message.size <= bytes.size(), "a message lies in what was read");
  promise(message.text.size() <= message.size, "its words lie within it");
  const auto alone = decode_bus_message(bytes.substr(0, message.size));
  promise(alone && *alone && (*alone)->text == message.text && (*alone)->size == message.size,
          "what follows a message says nothing of it");
  promise(!bytes.substr(0, message.size - 1).empty() &&
              !decode_bus_message(bytes.substr(0, message.size - 1)).value(),
          "without its last byte it is awaited");
}

}  // namespace cove::fuzz
