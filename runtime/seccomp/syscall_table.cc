#include "runtime/seccomp/syscall_table.h"

#include <seccomp.h>

#include <array>
#include <cstdlib>

namespace cove {
namespace {

struct NewerSyscall {
  const char* name;
  int number;
};

// Linux 6.5 to 6.17. All architectures share these numbers (include/uapi/asm-generic/unistd.h).
constexpr std::array<NewerSyscall, 19> kNewerSyscalls{{
    {"cachestat", 451},         {"fchmodat2", 452},        {"map_shadow_stack", 453},
    {"futex_wake", 454},        {"futex_wait", 455},       {"futex_requeue", 456},
    {"statmount", 457},         {"listmount", 458},        {"lsm_get_self_attr", 459},
    {"lsm_set_self_attr", 460}, {"lsm_list_modules", 461}, {"mseal", 462},
    {"setxattrat", 463},        {"getxattrat", 464},       {"listxattrat", 465},
    {"removexattrat", 466},     {"open_tree_attr", 467},   {"file_getattr", 468},
    {"file_setattr", 469},
}};

// Far above every number in use; libseccomp has no way to ask for its highest.
constexpr int kNumbersToAsk = 1024;

bool libseccomp_knows(int number) {
  char* name = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), number);
  const bool known = name != nullptr;
  std::free(name);
  return known;
}

}  // namespace

std::optional<int> syscall_number(const std::string& name) {
  for (const NewerSyscall& newer : kNewerSyscalls) {
    if (name == newer.name) return newer.number;
  }
  const int number = seccomp_syscall_resolve_name_arch(seccomp_arch_native(), name.c_str());
  if (number == __NR_SCMP_ERROR) return std::nullopt;
  return number < 0 ? kNotOnThisArchitecture : number;
}

std::vector<bool> known_syscalls() {
  std::vector<bool> known(kNumbersToAsk, false);
  for (int number = 0; number < kNumbersToAsk; ++number) {
    known[static_cast<std::size_t>(number)] = libseccomp_knows(number);
  }
  for (const NewerSyscall& newer : kNewerSyscalls) {
    known[static_cast<std::size_t>(newer.number)] = true;
  }
  while (!known.back()) known.pop_back();
  return known;
}

}  // namespace cove
