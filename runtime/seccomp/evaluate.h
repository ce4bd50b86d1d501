// What the kernel would answer: an interpreter for the classic BPF that seccomp accepts.
//
// For tests, for checking what was compiled, and for saying why a call was refused. It covers every
// instruction that seccomp_check_filter (kernel/seccomp.c) lets pass, and refuses the others as it
// does.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <span>

#include "cove/result.h"

namespace cove {

// The SECCOMP_RET_* value, data included. Errors: internal, for a program that the kernel would not
// load.
Result<std::uint32_t> evaluate(std::span<const sock_filter> program, const seccomp_data& data);

}  // namespace cove
