#include "runtime/seccomp/syscall_table.h"

#include <seccomp.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <utility>

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

// Empty where it knows none.
std::string libseccomp_name(std::uint32_t architecture, int number) {
  char* name = seccomp_syscall_resolve_num_arch(architecture, number);
  const std::string copy = name != nullptr ? name : "";
  std::free(name);
  return copy;
}

struct Architecture {
  std::uint32_t token;
  const char* name;
};

constexpr std::array<Architecture, 5> kArchitectures{{{SCMP_ARCH_X86_64, "x86_64"},
                                                      {SCMP_ARCH_X32, "x32"},
                                                      {SCMP_ARCH_X86, "i386"},
                                                      {SCMP_ARCH_AARCH64, "aarch64"},
                                                      {SCMP_ARCH_ARM, "arm"}}};

std::string architecture_name(std::uint32_t token) {
  for (const Architecture& one : kArchitectures) {
    if (one.token == token) return one.name;
  }
  std::array<char, 16> digits{};
  std::snprintf(digits.data(), digits.size(), "0x%08x", token);
  return digits.data();
}

// To the kernel x32 is x86-64 with a bit in the number.
std::uint32_t token_of(std::uint32_t architecture, int number) {
  constexpr int kX32Bit = 0x40000000;
  const bool x32 = architecture == SCMP_ARCH_X86_64 && number >= kX32Bit;
  return x32 ? SCMP_ARCH_X32 : architecture;
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

SyscallName name_syscall(std::uint32_t architecture, int number) {
  const std::uint32_t token = token_of(architecture, number);
  std::string name = libseccomp_name(token, number);
  for (const NewerSyscall& newer : kNewerSyscalls) {
    if (newer.number == number) name = newer.name;
  }
  if (name.empty()) name = std::to_string(number);
  return {std::move(name), architecture_name(token)};
}

std::vector<bool> known_syscalls() {
  std::vector<bool> known(kNumbersToAsk, false);
  for (int number = 0; number < kNumbersToAsk; ++number) {
    known[static_cast<std::size_t>(number)] =
        !libseccomp_name(seccomp_arch_native(), number).empty();
  }
  for (const NewerSyscall& newer : kNewerSyscalls) {
    known[static_cast<std::size_t>(newer.number)] = true;
  }
  while (!known.back()) known.pop_back();
  return known;
}

}  // namespace cove
