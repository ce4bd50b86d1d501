// What /proc says that a process was started with.
#pragma once

namespace cove::kernel {

// Overwrites this process's command line and environment as /proc/PID shows them (the former to
// everybody), and names the process. For a fork that is nothing of what its parent was started as.
void forget_command_line(const char* name);

}  // namespace cove::kernel
