#include "cli/trace_table.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <set>
#include <string_view>

namespace cove::cli {
namespace {

#if defined(__x86_64__)
constexpr std::string_view kOwnArchitecture = "x86_64";
#elif defined(__aarch64__)
constexpr std::string_view kOwnArchitecture = "aarch64";
#else
#error "as TracedCall::architecture has it"
#endif

std::string counted(std::uint64_t count) {
  return count == 0 ? "no call" : count == 1 ? "one call" : std::to_string(count) + " calls";
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

std::string shown(const TracedCall& call) {
  return call.architecture == kOwnArchitecture ? call.syscall
                                               : call.syscall + " (" + call.architecture + ")";
}

// As a filter in Cove's format lists it; nothing for what none can list.
std::optional<std::string> listed(const TracedCall& call) {
  constexpr int kHighestListed = 65535;
  if (call.architecture != kOwnArchitecture) return std::nullopt;
  const char* const end = call.syscall.data() + call.syscall.size();
  int number = 0;
  if (std::from_chars(call.syscall.data(), end, number).ptr != end) return '"' + call.syscall + '"';
  if (number < 0 || number > kHighestListed) return std::nullopt;
  return call.syscall;
}

std::string names_of(const std::vector<TracedCall>& calls) {
  std::set<std::string> names;
  for (const TracedCall& call : calls) {
    if (auto name = listed(call)) names.insert(std::move(*name));
  }
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

std::vector<std::string> trace_table(const SeccompTrace& trace) {
  std::uint64_t total = trace.other_calls;
  std::size_t widest = 0;
  for (const TracedCall& call : trace.calls) {
    total += call.count;
    widest = std::max(widest, shown(call).size());
  }
  std::vector<std::string> lines{"the seccomp filter " + trace.filter +
                                 " was not enforced; it would have refused " + counted(total)};
  for (const TracedCall& call : trace.calls) {
    const std::string count = std::to_string(call.count);
    lines.push_back(std::string(count.size() < 9 ? 9 - count.size() : 0, ' ') + count + "  " +
                    padded(shown(call), widest) + "  " + call.answer);
  }
  if (trace.other_calls > 0) {
    lines.push_back("and " + counted(trace.other_calls) +
                    " more, of so many different kinds that they are only counted");
  }
  const std::string names = names_of(trace.calls);
  if (!names.empty()) lines.push_back("to allow these: \"syscalls\": [" + names + "]");
  return lines;
}

}  // namespace cove::cli
