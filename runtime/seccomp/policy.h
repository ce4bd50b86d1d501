// A system call policy, and its JSON forms: Cove's own and Docker's (docs/seccomp.md).
//
// A policy says for every system call what becomes of it. A call that no group lists gets
// `default_action`; a number that this build does not know gets ENOSYS, whatever the policy says.
// Rules of a call are tried in order; the first whose conditions all hold decides, else `otherwise`
// does. Arguments are compared as 32 bits unless a condition says 64: the kernel reads an `int`
// argument that way, and a comparison of 64 bits is passed by setting a bit that the kernel never
// looks at.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cove/result.h"

namespace cove {

// The kernel's actions, the mildest first: of several filters' answers it takes the strictest.
enum class ActionKind { allow, log, trace, notify, error, trap, kill_thread, kill_process };

struct Action {
  ActionKind kind = ActionKind::allow;
  int data = 0;  // error: the errno that the caller sees; trace: what a tracer is told; else 0

  bool operator==(const Action&) const = default;
};

enum class ArgumentWidth { bits32, bits64 };

enum class Comparison {
  is,                // argument & mask is one of `values`
  is_not,            // argument & mask is none of `values`
  less,              // argument & mask is below values[0]; all are unsigned
  less_or_equal,     //   "            not above it
  greater,           //   "            above it
  greater_or_equal,  //   "            not below it
  any_bit,           // argument has at least one bit of `mask`
  only_bits,         // argument has no bit outside `mask`
};

struct Condition {
  unsigned argument = 0;  // 0 to 5
  ArgumentWidth width = ArgumentWidth::bits32;
  Comparison comparison = Comparison::is;
  std::uint64_t mask = 0;             // within the width
  std::vector<std::uint64_t> values;  // within the width; not for any_bit and only_bits

  bool operator==(const Condition&) const = default;
};

struct Rule {
  std::vector<Condition> conditions;  // all must hold
  Action action;

  bool operator==(const Rule&) const = default;
};

struct SyscallGroup {
  std::string reason;
  std::vector<int> numbers;  // of this architecture; each in one group only
  std::vector<Rule> rules;
  Action otherwise;
};

struct Policy {
  std::string description;
  Action default_action;
  std::vector<SyscallGroup> groups;
};

// On what the rules of a policy in Docker's format may depend besides the call: their `includes`
// and `excludes`.
struct Circumstances {
  int kernel_version = 0;  // 6 and 1 of "6.1.0-18-amd64"
  int kernel_patchlevel = 0;
  std::vector<std::string> capabilities;  // that the program will hold: "net_admin"
};

// Reads either form; `defaultAction` is how Docker's is known. Errors: invalid_argument, all
// mistakes of the document, each with its JSON path.
Result<Policy> parse_policy(std::string_view json, const Circumstances& circumstances = {});

}  // namespace cove
