// Which system calls there are on this architecture: libseccomp's table, and the names that are
// newer than libseccomp 2.5.4 knows.
//
// A number that is not in here belongs to a kernel newer than this build (or to nobody): no filter
// of Cove's lets it pass unless a policy lists that very number.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace cove {

// A name may be good on another architecture only ("open" on arm64): then there is nothing to
// filter here.
inline constexpr int kNotOnThisArchitecture = -1;

// The number of `name`, kNotOnThisArchitecture, or nothing where no architecture has such a call.
std::optional<int> syscall_number(const std::string& name);

// A call as it was made.
struct SyscallName {
  std::string name;          // "mount"; its number where it has no name here: "470"
  std::string architecture;  // "x86_64", "i386", "x32", "aarch64"; "0x40000028" of another one
};

// `architecture` and `number` as seccomp_data has them.
SyscallName name_syscall(std::uint32_t architecture, int number);

// known[n] says that n is a system call; the last entry is true. Not cheap: for compiling, not for
// launching.
std::vector<bool> known_syscalls();

}  // namespace cove
