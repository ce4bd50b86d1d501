#include "runtime/seccomp/evaluate.h"

#include <array>
#include <cstring>
#include <optional>
#include <string>

namespace cove {
namespace {

Error bad_program(std::size_t at, const std::string& what) {
  Error error;
  error.code = ErrorCode::internal;
  error.step = "seccomp";
  error.where = "instruction " + std::to_string(at);
  error.what = what;
  return error;
}

std::optional<std::uint32_t> load(const seccomp_data& data, std::uint32_t offset) {
  if (offset % 4 != 0 || offset > sizeof data - 4) return std::nullopt;
  std::uint32_t word = 0;
  std::memcpy(&word, reinterpret_cast<const char*>(&data) + offset, sizeof word);
  return word;
}

// Nothing for an operation that seccomp does not have. Division by a register of zero ends a
// program with 0, which is SECCOMP_RET_KILL_THREAD; the caller sees to that.
std::optional<std::uint32_t> arithmetic(std::uint16_t operation, std::uint32_t a, std::uint32_t b) {
  switch (operation) {
    case BPF_ADD:
      return a + b;
    case BPF_SUB:
      return a - b;
    case BPF_MUL:
      return a * b;
    case BPF_DIV:
      return b == 0 ? 0 : a / b;
    case BPF_AND:
      return a & b;
    case BPF_OR:
      return a | b;
    case BPF_XOR:
      return a ^ b;
    case BPF_LSH:
      return a << (b & 31);
    case BPF_RSH:
      return a >> (b & 31);
    case BPF_NEG:
      return 0 - a;
    default:
      return std::nullopt;
  }
}

std::optional<bool> compares(std::uint16_t operation, std::uint32_t a, std::uint32_t b) {
  switch (operation) {
    case BPF_JEQ:
      return a == b;
    case BPF_JGT:
      return a > b;
    case BPF_JGE:
      return a >= b;
    case BPF_JSET:
      return (a & b) != 0;
    default:
      return std::nullopt;
  }
}

}  // namespace

Result<std::uint32_t> evaluate(std::span<const sock_filter> program, const seccomp_data& data) {
  std::uint32_t a = 0, x = 0;
  std::array<std::uint32_t, BPF_MEMWORDS> memory{};

  for (std::size_t at = 0; at < program.size(); ++at) {
    const sock_filter& instruction = program[at];
    const std::uint32_t k = instruction.k;
    const std::uint32_t operand = BPF_SRC(instruction.code) == BPF_X ? x : k;
    const auto operation = static_cast<std::uint16_t>(BPF_OP(instruction.code));
    const bool memory_access =
        BPF_CLASS(instruction.code) == BPF_ST || BPF_CLASS(instruction.code) == BPF_STX ||
        instruction.code == (BPF_LD | BPF_MEM) || instruction.code == (BPF_LDX | BPF_MEM);
    if (memory_access && k >= memory.size()) return fail(bad_program(at, "no such memory word"));

    switch (instruction.code) {
      case BPF_LD | BPF_W | BPF_ABS: {
        const auto word = load(data, k);
        if (!word) return fail(bad_program(at, "loads from outside the call's data"));
        a = *word;
        continue;
      }
      case BPF_LD | BPF_W | BPF_LEN:
        a = sizeof data;
        continue;
      case BPF_LDX | BPF_W | BPF_LEN:
        x = sizeof data;
        continue;
      case BPF_LD | BPF_IMM:
        a = k;
        continue;
      case BPF_LDX | BPF_IMM:
        x = k;
        continue;
      case BPF_LD | BPF_MEM:
        a = memory[k];
        continue;
      case BPF_LDX | BPF_MEM:
        x = memory[k];
        continue;
      case BPF_ST:
        memory[k] = a;
        continue;
      case BPF_STX:
        memory[k] = x;
        continue;
      case BPF_MISC | BPF_TAX:
        x = a;
        continue;
      case BPF_MISC | BPF_TXA:
        a = x;
        continue;
      case BPF_RET | BPF_K:
        return k;
      case BPF_RET | BPF_A:
        return a;
      case BPF_JMP | BPF_JA:
        if (k >= program.size() - at - 1) return fail(bad_program(at, "jumps past the end"));
        at += k;
        continue;
    }

    switch (BPF_CLASS(instruction.code)) {
      case BPF_ALU: {
        if (operation == BPF_DIV && operand == 0) {
          if (BPF_SRC(instruction.code) == BPF_X) return SECCOMP_RET_KILL_THREAD;
          return fail(bad_program(at, "divides by zero"));
        }
        const auto result = arithmetic(operation, a, operand);
        if (!result) break;
        a = *result;
        continue;
      }
      case BPF_JMP: {
        const auto holds = compares(operation, a, operand);
        if (!holds) break;
        at += *holds ? instruction.jt : instruction.jf;
        continue;
      }
    }
    return fail(bad_program(at, "is nothing that seccomp accepts"));
  }
  return fail(bad_program(program.size(), "the program ends without an answer"));
}

}  // namespace cove
