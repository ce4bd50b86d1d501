// A system call policy, and its JSON form (docs/seccomp.md).
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

enum class ActionKind { allow, error, kill_process };

struct Action {
  ActionKind kind = ActionKind::allow;
  int error = 0;  // errno that the caller sees; ActionKind::error only

  bool operator==(const Action&) const = default;
};

enum class ArgumentWidth { bits32, bits64 };

enum class Comparison {
  is,         // argument & mask is one of `values`
  any_bit,    // argument has at least one bit of `mask`
  only_bits,  // argument has no bit outside `mask`
};

struct Condition {
  unsigned argument = 0;  // 0 to 5
  ArgumentWidth width = ArgumentWidth::bits32;
  Comparison comparison = Comparison::is;
  std::uint64_t mask = 0;             // within the width
  std::vector<std::uint64_t> values;  // Comparison::is only; within the mask

  bool operator==(const Condition&) const = default;
};

struct Rule {
  std::vector<Condition> conditions;  // at least one; all must hold
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

// Reads the JSON form. Errors: invalid_argument, all mistakes of the document, each with its JSON
// path.
Result<Policy> parse_policy(std::string_view json);

}  // namespace cove
