// Tracing: a filter that refuses nothing, and asks a listener about what it would refuse.
//
// tracing_filter() turns every answer but "allow" and "log" into SECCOMP_RET_USER_NOTIF. The
// listener gets the call's number, architecture and arguments, which is all that a filter sees: so
// it asks the filter itself, by evaluate(), what the answer would have been.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cove/result.h"

namespace cove {

// In the fourth argument of sendmsg(2) and close(2), which have three and one: such a call is not
// asked about. By it the listener gets to whoever listens, which all else has to wait for.
inline constexpr std::uint64_t kUnasked = 0x434f56452074726b;

// Errors: invalid_argument for a filter to which the few instructions that this takes cannot be
// added.
Result<std::vector<sock_filter>> tracing_filter(std::span<const sock_filter> filter);

// What a filter's value (SECCOMP_RET_*, with its data) means to a program that nobody traces:
// "EPERM", "kill_process", "kill_thread", "trap", "allow".
std::string answer_name(std::uint32_t value);

}  // namespace cove
