#include "runtime/model/names.h"

#include <array>
#include <charconv>
#include <csignal>
#include <cstring>

#include "runtime/text/text.h"

namespace cove {

std::string_view to_string(ProcessStatus status) { return name_of(status); }
std::string_view to_string(Cause cause) { return name_of(cause); }
std::string_view to_string(Protection protection) { return name_of(protection); }

Error unknown_name(std::string_view name, std::string_view what,
                   std::span<const std::string_view> known) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  const bool vowel = what.find_first_of("aeiou") == 0;
  error.what = in_quotes(name) + " is not " + (vowel ? "an " : "a ") + std::string(what);
  const std::string_view near = nearest(name, known);
  if (!near.empty()) {
    error.hint = "did you mean " + in_quotes(near) + "?";
    return error;
  }
  error.hint = "known: ";
  for (const std::string_view& one : known) {
    if (&one != known.data()) error.hint += ", ";
    error.hint += one;
  }
  return error;
}

std::string signal_name(int number) {
  // The real-time signals that glibc keeps for itself are not offered by SIGRTMIN, as everywhere.
  if (const char* name = sigabbrev_np(number)) return std::string("SIG") + name;
  if (number == SIGRTMIN) return "SIGRTMIN";
  if (number == SIGRTMAX) return "SIGRTMAX";
  if (number > SIGRTMIN && number < SIGRTMAX) {
    return "SIGRTMIN+" + std::to_string(number - SIGRTMIN);
  }
  return "signal " + std::to_string(number);
}

std::optional<int> signal_number(std::string_view name) {
  // The kernel has 64 signals; 32 and 33 are the ones that have no name.
  for (int number = 1; number <= 64; ++number) {
    if (signal_name(number) == name) return number;
  }
  return std::nullopt;
}

}  // namespace cove
