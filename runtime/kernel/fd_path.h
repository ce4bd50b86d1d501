// Where a descriptor leads.
#pragma once

#include <string>

#include "runtime/kernel/fd.h"

namespace cove::kernel {

// The path of a descriptor's file, seen from this process's root, as the procfs on /proc tells it.
// Empty, with errno, where it cannot be had.
std::string path_of(BorrowedFd fd);

}  // namespace cove::kernel
