// Whether this process was started where its file is.
#pragma once

namespace cove::cli {

// False inside a sandbox whose image named our own file as its command. A sandbox's first process is
// a clone of ours until its exec, so that its /proc/self/exe is this file, on the host. Who then ran
// here would hold a way to it, and a plain user's payload has that user's rights on a file of the
// user's (CVE-2019-5736). Costs three system calls.
bool executable_is_in_own_root();

}  // namespace cove::cli
