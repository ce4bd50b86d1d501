// A call on a D-Bus, in this process: no library (libsystemd does not come as a static one), and no
// process, which a caller that waits for all its children would see.
#pragma once

#include <chrono>
#include <string>

#include "cove/result.h"
#include "runtime/systemd/bus_message.h"

namespace cove {

// "unix:path=/run/user/1000/bus,guid=..." or "unix:abstract=...": the socket's name as connect(2)
// takes it, beginning with a zero for an abstract one. Of several addresses the first of a socket is
// taken. Errors: setup_failed, for any other kind.
Result<std::string> bus_socket(const std::string& address);

// Connects, calls, and waits for the answer; what it says besides that all went well is not told.
// Thread-safe.
// Errors: setup_failed, with the answer's words, or why there is none, as `what`.
Result<void> call_on_bus(const std::string& address, const BusCall& call,
                         std::chrono::steady_clock::time_point deadline);

}  // namespace cove
