// SandboxResult: what happened. There is always one, also where the sandbox could not be set up.
//
// Two questions come first, and are kept apart: did the *program* come to its own end, and if not,
// what ended it (`cause`)? And was it Cove that failed (`cause == sandbox_error`, then `error` is
// set)? A program that itself exits with 124 or 137 is `exited`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cove/error.h"
#include "cove/spec.h"

namespace cove {

enum class ProcessStatus {
  completed,  // exit code 0
  timeout,    // the wall or the CPU time limit
  error,      // all else
};

enum class Cause {
  exited,         // by itself; exit_code is set
  signaled,       // by a signal that Cove did not send; signal is set
  timeout,        // SandboxSpec::timeout
  cpu_timeout,    // SandboxSpec::cpu_timeout
  out_of_memory,  // its own memory limit: the kernel's OOM killer ended it
  output_limit,   // OutputPolicy::kill
  seccomp,        // SIGSYS under a filter that asks for it
  cancelled,      // Sandbox::cancel, or the caller went away
  sandbox_error,  // not the program's doing; `error` says what
};

struct CapturedStream {
  std::string bytes;              // as written, nothing stripped; at most the cap
  std::uint64_t total_bytes = 0;  // what the program wrote in all, kept or not
  bool truncated = false;
};

// Figures the kernel gives; empty where this host has no source for one (docs/spec-reference.md
// names the source of each).
struct Usage {
  std::optional<double> cpu_ms;  // user_ms + system_ms, of all processes
  std::optional<double> user_ms;
  std::optional<double> system_ms;
  std::optional<std::uint64_t> peak_memory_bytes;
  std::optional<std::uint64_t> scratch_bytes;  // in use on the scratch filesystem at the end
  std::optional<std::uint64_t> peak_pids;
  std::optional<std::uint64_t> io_read_bytes;  // from and to block devices
  std::optional<std::uint64_t> io_write_bytes;
};

struct Events {
  std::uint64_t oom_kills =
      0;  // processes that the kernel killed for the sandbox's own memory limit
  std::uint64_t pids_limit_hits = 0;  // forks that the pids limit refused
  bool disk_full = false;         // the scratch filesystem had no room left when the program ended
  std::uint64_t memory_high = 0;  // times that the memory limit was met, by reclaim or by a kill
};

// What was preferred and could not be had.
struct Degradation {
  Protection protection;
  std::string reason;
};

// Calls that a filter would have refused, and that were let through.
struct TracedCall {
  std::string syscall;       // "mount"; where this build has no name for it, its number: "470"
  std::string architecture;  // of the call: "x86_64"; that of another one is refused by all filters
  std::string answer;        // the filter's: "EPERM", "kill_process", "kill_thread" or "trap"
  std::uint64_t count = 0;
};

// Of SeccompMode::trace.
struct SeccompTrace {
  std::string filter;             // the one that was asked
  std::vector<TracedCall> calls;  // the most frequent first, then by name; at most 512
  std::uint64_t other_calls = 0;  // made after there were 512 different ones
};

struct SandboxResult {
  std::string sandbox_id;  // 26 characters, sortable by time; empty where planning already failed
  std::string image_digest;
  ProcessStatus process_status = ProcessStatus::error;
  Cause cause = Cause::sandbox_error;
  std::optional<int> exit_code;
  std::optional<std::string> signal;  // "SIGKILL"

  CapturedStream stdout_stream;  // JSON: stdout, stdout_encoding, stdout_bytes, stdout_truncated
  CapturedStream stderr_stream;

  double duration_ms = 0;  // wall time of the program, from its exec to its end
  double startup_ms = 0;   // our part: from the call to that exec
  // Of startup_ms, milliseconds each: the engine's in order, then those of the launcher and of init
  // ("init: attach"), which run beside them.
  std::vector<std::pair<std::string, double>> steps;

  Usage usage;
  Events events;
  std::map<Protection, std::string>
      enforced;  // -> the mechanism that holds it: "cgroup-v2", "namespace", "rlimit" ...
  std::vector<Degradation> degraded;
  std::optional<SeccompTrace> seccomp_trace;  // only with SeccompMode::trace

  std::optional<Error> error;  // only with sandbox_error
};

std::string_view to_string(ProcessStatus status);
std::string_view to_string(Cause cause);
std::string_view to_string(Protection protection);

// The exit status of the `cove run` command for this result: the program's own; 128 + n for a
// signal; 124 for a time limit; 137 for out of memory and for output_limit; 125, 126 or 127 for an
// error.
int exit_status(const SandboxResult& result);

}  // namespace cove
