#include "cli/remarks.h"

#include <string_view>
#include <type_traits>
#include <utility>

#include "cli/trace_table.h"

namespace cove::cli {
namespace {

// "limit 64 MiB (--memory)", or where the limit comes from when the spec does not say it.
template <typename T>
std::string limit(const std::optional<T>& named, std::string_view option) {
  std::string text = "limit ";
  if (!named) return text + "of the profile (raise it with " + std::string(option) + ")";
  if constexpr (std::is_integral_v<T>) {
    text += std::to_string(*named);
  } else {
    text += to_string(*named);
  }
  return text + " (" + std::string(option) + ")";
}

std::string killed_after(const std::optional<Duration>& after, std::string_view what,
                         std::string_view option) {
  std::string text = "killed after ";
  text += after ? to_string(*after) : std::string("the profile's time limit");
  return text + std::string(what) + " (" + std::string(option) + ")";
}

// How the program ended, where its exit status alone does not tell. Empty: nothing to say.
std::string ending(const SandboxSpec& spec, const SandboxResult& result) {
  switch (result.cause) {
    case Cause::exited:
      return {};
    case Cause::signaled:
      // These are how a program is asked to end, or ends behind a closed pipe: no news.
      for (const std::string_view quiet : {"SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE"}) {
        if (result.signal == quiet) return {};
      }
      return "the program was ended by " + result.signal.value_or("a signal");
    case Cause::timeout:
      return killed_after(spec.timeout, "", "--timeout");
    case Cause::cpu_timeout:
      return killed_after(spec.cpu_timeout, " of processor time", "--cpu-timeout");
    case Cause::out_of_memory:
      return "out of memory: " + limit(spec.resources.memory, "--memory");
    case Cause::output_limit:
      return "killed for its output: " + limit(spec.resources.output, "--output-limit");
    case Cause::seccomp:
      return "killed for a system call that the seccomp policy forbids";
    case Cause::cancelled:
      return "cancelled";
    case Cause::sandbox_error:
      return result.error ? result.error->message() : "the sandbox failed without saying why";
  }
  return {};
}

void add_truncation(std::vector<std::string>& lines, std::string_view name,
                    const CapturedStream& stream, const SandboxSpec& spec) {
  if (!stream.truncated) return;
  lines.push_back(std::string(name) + " is cut, of " + std::to_string(stream.total_bytes) +
                  " bytes: " + limit(spec.resources.output, "--output-limit"));
}

std::string times(std::uint64_t count) {
  return count == 1 ? "once" : std::to_string(count) + " times";
}

}  // namespace

std::vector<std::string> remarks(const SandboxSpec& spec, const SandboxResult& result) {
  std::vector<std::string> lines;
  if (std::string end = ending(spec, result); !end.empty()) lines.push_back(std::move(end));

  const ResourceSpec& resources = spec.resources;
  const Events& events = result.events;
  if (events.oom_kills > 0 && result.cause != Cause::out_of_memory) {
    lines.push_back("out of memory " + times(events.oom_kills) +
                    ", a process was killed: " + limit(resources.memory, "--memory"));
  }
  if (events.pids_limit_hits > 0) {
    lines.push_back("out of processes " + times(events.pids_limit_hits) + ": " +
                    limit(resources.pids_limit, "--pids-limit"));
  }
  if (events.disk_full) lines.push_back("out of disk: " + limit(resources.disk, "--disk"));
  add_truncation(lines, "stdout", result.stdout_stream, spec);
  add_truncation(lines, "stderr", result.stderr_stream, spec);
  for (const Degradation& lost : result.degraded) {
    lines.push_back("degraded: " + std::string(to_string(lost.protection)) + ": " + lost.reason);
  }
  if (result.seccomp_trace) {
    for (std::string& line : trace_table(*result.seccomp_trace)) lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace cove::cli
