// Words for the tests of system call filters: a call, and what a filter answers to it.
#pragma once

#include <gtest/gtest.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <string>

#include "runtime/seccomp/evaluate.h"
#include "runtime/seccomp/filter.h"
#include "runtime/seccomp/syscall_table.h"

namespace cove {

constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr std::uint32_t refused(int error) {
  return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error);
}

using Arguments = std::array<std::uint64_t, 6>;

inline seccomp_data call(int number, const Arguments& arguments = {}) {
  seccomp_data data{};
  data.nr = number;
  data.arch = seccomp_arch_native();
  data.instruction_pointer = 0x7fff12345678;
  for (std::size_t i = 0; i < arguments.size(); ++i) data.args[i] = arguments[i];
  return data;
}

inline int number_of(const std::string& name) {
  const auto number = syscall_number(name);
  EXPECT_TRUE(number.has_value()) << name;
  return number.value_or(0);
}

// With this set in every argument, a call means the same to the kernel wherever it reads an int.
inline Arguments with_high_bits(Arguments arguments) {
  for (std::uint64_t& argument : arguments) argument |= std::uint64_t{1} << 32;
  return arguments;
}

inline std::uint32_t answer(const Filter& filter, const seccomp_data& data) {
  const auto result = evaluate(filter.program, data);
  EXPECT_TRUE(result.has_value());
  return result.value_or(0xdeadbeef);
}

inline Filter built_in_filter(const char* name) {
  const auto filter = find_filter(name, -1);
  EXPECT_TRUE(filter.has_value()) << (filter ? "" : filter.error().message());
  return filter ? *filter : Filter{};
}

struct Case {
  const char* syscall;
  Arguments arguments;
  std::uint32_t answer;
};

template <typename Cases>
void expect_answers(const Filter& filter, const Cases& cases) {
  for (const Case& one : cases) {
    const int number = number_of(one.syscall);
    if (number == kNotOnThisArchitecture) continue;
    for (const Arguments& arguments : {one.arguments, with_high_bits(one.arguments)}) {
      std::string text = one.syscall;
      for (std::uint64_t argument : arguments) text += " " + std::to_string(argument);
      EXPECT_EQ(answer(filter, call(number, arguments)), one.answer) << text;
    }
  }
}

}  // namespace cove
