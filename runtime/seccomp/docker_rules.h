// The rules of a profile in Docker's format, and what runc and libseccomp make of them: a Policy.
//
// Docker leaves each rule to libseccomp, which sorts what it is given. So several rules for one
// call are not tried in the order of the document:
//
//   - a rule that says what the profile says by default is dropped;
//   - of the rules of a call without conditions the first holds, and those with conditions are
//     dropped, before and behind it;
//   - a rule that has two conditions for one argument becomes a rule for each condition;
//   - the other rules are sorted, as libseccomp 2.5 sorts them. It matters only where two of them
//     hold for the same call and disagree.
//
// Different from libseccomp are the answers that it gets wrong (docs/seccomp.md), and the width of
// arguments (argument_width.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/seccomp/policy.h"

namespace cove {

// In the order of libseccomp's enum scmp_compare, which begins at 1.
enum class DockerOperator {
  not_equal,
  less,
  less_or_equal,
  equal,
  greater_or_equal,
  greater,
  masked_equal,
};

struct DockerCondition {
  unsigned index = 0;  // of the argument, 0 to 5
  DockerOperator op = DockerOperator::equal;
  std::uint64_t value = 0;      // masked_equal: the mask
  std::uint64_t value_two = 0;  // masked_equal: what the masked argument is
};

struct DockerRule {
  std::string syscall;
  Action action;
  std::vector<DockerCondition> conditions;
};

struct DockerProfile {
  Action default_action;
  std::vector<DockerRule> rules;  // those that hold here
};

// Names that this build does not know are passed over, as by runc.
Policy policy_of(const DockerProfile& profile);

}  // namespace cove
