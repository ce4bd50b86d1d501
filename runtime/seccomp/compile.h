// Policy -> the classic BPF program that the kernel loads.
//
//   prelude   another architecture, an x32 number, a number that this build does not know: ENOSYS
//   tree      from libseccomp: the number of the call, as a binary tree, to its answer or its leaf
//   leaves    a block for each group with rules: the arguments, in order; and the answers that
//             libseccomp does not give everywhere
//
// libseccomp does what it does best, the tree. Arguments are ours because what a policy says of
// them ("none of these, else that errno; compared as 32 bits") cannot be said in libseccomp's
// rules: of one argument it takes one comparison a rule, all 64 bits wide, and what no rule meets
// gets the one default action.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "cove/result.h"
#include "runtime/seccomp/policy.h"

namespace cove {

// A change of what compile makes of a policy must change this, so that programs cached by older
// builds are not used.
inline constexpr int kCompilerVersion = 2;

// Takes a few milliseconds. Errors: invalid_argument for a policy too large for one filter;
// internal, resource_exhausted.
Result<std::vector<sock_filter>> compile(const Policy& policy);

}  // namespace cove
