// What went wrong on Cove's side, as a value.
//
// An Error is made once, where the fault is seen, given context on the way up, and printed once at
// the edge (the CLI, the HTTP server, your program). Nothing in the library logs. An Error always
// speaks of the sandbox or of its description; what the *program* in the sandbox did is a
// SandboxResult, never an Error.
//
//   cove::Result<cove::Sandbox> sandbox = engine.launch(spec);
//   if (!sandbox) { std::cerr << sandbox.error().message() << '\n'; }
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cove {

// What kind of fault it is: the part of an Error that a program may branch on. The JSON names are
// the enumerators' own.
enum class ErrorCode {
  invalid_argument,        // the caller's words: a spec, an option, a size
  image_not_found,         // no such image in the store, no such archive
  image_invalid,           // an image, archive or store entry that breaks its own format
  limit_not_enforceable,   // a named limit that this host cannot hold
  isolation_unavailable,   // a protection that this host cannot give
  command_not_found,       // the program is not in the root filesystem       (CLI exit status 127)
  command_not_executable,  // it is there, but the kernel refused to run it   (CLI exit status 126)
  permission_denied,       // the caller may not do this
  resource_exhausted,      // no free uid range, no descriptors, no space for Cove's own state
  setup_failed,            // a step of the launch failed in the kernel
  sandbox_lost,            // a process of ours died, or the host ran out of memory
  network_failed,          // a registry or a daemon that cannot be reached, or fails
  internal,                // a broken promise of Cove's own; please report it
};

std::string_view to_string(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string step;         // what was being done: "spec", "mount 3", "cgroup memory"; may be empty
  int sys_errno = 0;        // errno of the failing system call, 0 if there was none (JSON: "errno")
  std::string what;         // one sentence, no trailing period or newline
  std::string where;        // JSON path, file name or cgroup file that it concerns; may be empty
  std::string hint;         // what to do about it; may be empty
  std::vector<Error> more;  // further mistakes found in the same pass, in order of discovery

  // All of it as text: one line per mistake, each "step: where: what: errno text", its hint behind
  // it in parentheses. No trailing newline.
  std::string message() const;
};

// An Error from the current value of errno. `what` says what was attempted ("open
// /proc/self/cgroup").
Error errno_error(ErrorCode code, std::string step, std::string what);

// The first mistake, with the others as its `more`. At least one.
Error one_error(std::vector<Error> mistakes);

}  // namespace cove
