// A user without rights, for tests that root runs: what `cove` does for one.
#pragma once

#include <sys/types.h>

#include "tests/support/command.h"
#include "tests/support/files.h"

namespace cove::testing {

inline constexpr uid_t kPlainUser = 54321;

// A command of that user's. `runtime` is given to it, and is where its records lie.
CommandOptions as_plain_user(const TempDirectory& runtime);

// The same with subordinate ids from 600100000 on, in a mount namespace whose /etc says so; `lies`
// is for the files.
CommandOptions as_plain_user_with_many_ids(const TempDirectory& runtime, const TempDirectory& lies);

}  // namespace cove::testing
