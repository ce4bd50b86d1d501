#include "runtime/seccomp/compile.h"

#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "runtime/kernel/fd.h"
#include "runtime/seccomp/assembler.h"
#include "runtime/seccomp/evaluate.h"
#include "runtime/seccomp/syscall_table.h"

namespace cove {
namespace {

static_assert(std::endian::native == std::endian::little, "where the halves of an argument lie");

constexpr std::uint32_t kEnosys = SECCOMP_RET_ERRNO | ENOSYS;

Error compile_error(ErrorCode code, std::string what, std::string hint = {}) {
  Error error;
  error.code = code;
  error.step = "seccomp";
  error.what = std::move(what);
  error.hint = std::move(hint);
  return error;
}

Error libseccomp_error(int returned, std::string what) {
  Error error = compile_error(ErrorCode::internal, "libseccomp: " + std::move(what));
  error.sys_errno = -returned;
  return error;
}

std::uint32_t answer_of(const Action& action) {
  const auto data = static_cast<std::uint32_t>(action.data);
  switch (action.kind) {
    case ActionKind::allow:
      return SECCOMP_RET_ALLOW;
    case ActionKind::log:
      return SECCOMP_RET_LOG;
    case ActionKind::trace:
      return SECCOMP_RET_TRACE | data;
    case ActionKind::notify:
      return SECCOMP_RET_USER_NOTIF;
    case ActionKind::error:
      return SECCOMP_RET_ERRNO | data;
    case ActionKind::trap:
      return SECCOMP_RET_TRAP;
    case ActionKind::kill_thread:
      return SECCOMP_RET_KILL_THREAD;
    case ActionKind::kill_process:
      return SECCOMP_RET_KILL_PROCESS;
  }
  return SECCOMP_RET_KILL_PROCESS;
}

// What stands behind the tree: the block of a group with rules, or one answer.
struct Leaf {
  const SyscallGroup* group = nullptr;
  std::uint32_t answer = 0;
};

// What libseccomp's tree is told for each system call: an answer, or the leaf that decides. A leaf
// is written as SECCOMP_RET_TRACE with its index, and turned into a jump afterwards.
using Outcome = std::uint32_t;
Outcome leaf_outcome(std::size_t index) {
  return SECCOMP_RET_TRACE | static_cast<std::uint32_t>(index);
}
bool is_leaf(Outcome outcome) { return (outcome & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_TRACE; }

struct Layout {
  std::vector<bool> known;
  std::map<int, Outcome> outcomes;  // of every number that reaches the tree
  std::vector<Leaf> leaves;
};

// An answer other than these two is a leaf: libseccomp takes it only where the kernel it runs on
// has it, and a policy may be compiled on another machine; and TRACE is taken.
bool tree_can_say(std::uint32_t answer) {
  const std::uint32_t kind = answer & SECCOMP_RET_ACTION_FULL;
  return kind == SECCOMP_RET_ALLOW || kind == SECCOMP_RET_ERRNO;
}

Outcome outcome_of(const Action& action, std::vector<Leaf>& leaves) {
  const std::uint32_t answer = answer_of(action);
  if (tree_can_say(answer)) return answer;
  const auto same = std::find_if(leaves.begin(), leaves.end(), [&](const Leaf& leaf) {
    return leaf.group == nullptr && leaf.answer == answer;
  });
  const auto index = static_cast<std::size_t>(same - leaves.begin());
  if (same == leaves.end()) leaves.push_back({nullptr, answer});
  return leaf_outcome(index);
}

Layout lay_out(const Policy& policy) {
  Layout layout;
  layout.known = known_syscalls();
  const Outcome unlisted = outcome_of(policy.default_action, layout.leaves);
  for (std::size_t number = 0; number < layout.known.size(); ++number) {
    if (layout.known[number]) layout.outcomes[static_cast<int>(number)] = unlisted;
  }
  for (const SyscallGroup& group : policy.groups) {
    Outcome outcome = 0;
    if (group.rules.empty()) {
      outcome = outcome_of(group.otherwise, layout.leaves);
    } else {
      outcome = leaf_outcome(layout.leaves.size());
      layout.leaves.push_back({&group, 0});
    }
    for (int number : group.numbers) layout.outcomes[number] = outcome;
  }
  return layout;
}

using Program = std::vector<sock_filter>;

Result<Program> finish(Assembler& code) {
  if (auto program = code.finish()) return std::move(*program);
  return fail(compile_error(
      ErrorCode::invalid_argument,
      "a group of the policy has more rules, values or numbers than one jump can pass",
      "split it: about a hundred values fit into a group"));
}

// Lets only numbers of the layout pass to what follows. x32 numbers have bit 30 set: they are above
// them all.
Result<Program> prelude(const Layout& layout) {
  Assembler code;
  const auto native = code.label();
  const auto in_table = code.label();
  const auto body = code.label();
  code.load(offsetof(seccomp_data, arch));
  code.jump_if(BPF_JEQ, seccomp_arch_native(), native, std::nullopt);
  code.answer(kEnosys);
  code.place(native);
  code.load(offsetof(seccomp_data, nr));

  const std::size_t table_end = layout.known.size();
  code.jump_if(BPF_JGE, static_cast<std::uint32_t>(table_end), std::nullopt, in_table);
  for (const auto& [number, outcome] : layout.outcomes) {
    if (static_cast<std::size_t>(number) < table_end) continue;
    code.jump_if(BPF_JEQ, static_cast<std::uint32_t>(number), body, std::nullopt);
  }
  code.answer(kEnosys);
  code.place(in_table);

  // Gaps between the known numbers; on x86-64 there is one, 335 to 423.
  for (std::size_t gap = 0; gap < table_end; ++gap) {
    if (layout.known[gap]) continue;
    std::size_t end = gap;
    while (!layout.known[end]) ++end;  // ends: the last entry is known
    const auto outside = code.label();
    code.jump_if(BPF_JGE, static_cast<std::uint32_t>(end), outside, std::nullopt);
    code.jump_if(BPF_JGE, static_cast<std::uint32_t>(gap), std::nullopt, outside);
    for (std::size_t number = gap; number < end; ++number) {
      if (!layout.outcomes.contains(static_cast<int>(number))) continue;
      code.jump_if(BPF_JEQ, static_cast<std::uint32_t>(number), body, std::nullopt);
    }
    code.answer(kEnosys);
    code.place(outside);
    gap = end;
  }
  code.place(body);
  return finish(code);
}

// ---- The tree. ----

// The tree needs an entry only for what differs from its default, so the commonest outcome is the
// default. It is safe for that to be `allow`: no other numbers come past the prelude, and verify
// looks at every one.
Outcome commonest(const Layout& layout) {
  std::map<Outcome, std::size_t> counts;
  for (const auto& [number, outcome] : layout.outcomes) ++counts[outcome];
  return std::max_element(counts.begin(), counts.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

Result<Program> read_program(BorrowedFd file) {
  const off_t size = lseek(file.number(), 0, SEEK_END);
  if (size < 0)
    return fail(errno_error(ErrorCode::internal, "seccomp", "size of the exported filter"));
  Program program(static_cast<std::size_t>(size) / sizeof(sock_filter));
  const ssize_t bytes = pread(file.number(), program.data(), static_cast<std::size_t>(size), 0);
  if (bytes != size)
    return fail(errno_error(ErrorCode::internal, "seccomp", "read the exported filter"));
  return program;
}

Result<Program> tree(const Layout& layout) {
  const Outcome rest = commonest(layout);
  const std::unique_ptr<void, void (*)(void*)> filter(seccomp_init(rest), seccomp_release);
  if (!filter)
    return fail(compile_error(ErrorCode::internal, "libseccomp refused to begin a filter"));
  int done = seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  if (done != 0) return fail(libseccomp_error(done, "ask for a binary tree"));
  done = seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, kEnosys);
  if (done != 0) return fail(libseccomp_error(done, "set the answer to other architectures"));
  for (const auto& [number, outcome] : layout.outcomes) {
    if (outcome == rest) continue;
    done = seccomp_rule_add_exact_array(filter.get(), outcome, number, 0, nullptr);
    if (done != 0) return fail(libseccomp_error(done, "add system call " + std::to_string(number)));
  }

  const UniqueFd file(memfd_create("seccomp", MFD_CLOEXEC));
  if (!file) return fail(errno_error(ErrorCode::resource_exhausted, "seccomp", "memfd_create"));
  done = seccomp_export_bpf(filter.get(), file.number());
  if (done != 0) return fail(libseccomp_error(done, "export the filter"));
  return read_program(file);
}

// ---- The blocks. ----

// One condition: falls through where it holds.
class ConditionCode {
 public:
  ConditionCode(Assembler& code, const Condition& condition, Assembler::Label fails)
      : code_(code),
        condition_(condition),
        wide_(condition.width == ArgumentWidth::bits64),
        low_half_(offsetof(seccomp_data, args) + 8 * std::size_t{condition.argument}),
        holds_(code.label()),
        fails_(fails) {}

  void write() {
    switch (condition_.comparison) {
      case Comparison::is:
        equal_to_any(holds_, fails_);
        break;
      case Comparison::is_not:
        equal_to_any(fails_, holds_);
        break;
      case Comparison::less:
        ordered(BPF_JGE, fails_, holds_);
        break;
      case Comparison::less_or_equal:
        ordered(BPF_JGT, fails_, holds_);
        break;
      case Comparison::greater:
        ordered(BPF_JGT, holds_, fails_);
        break;
      case Comparison::greater_or_equal:
        ordered(BPF_JGE, holds_, fails_);
        break;
      case Comparison::any_bit:
        any_bit();
        break;
      case Comparison::only_bits:
        only_bits();
        break;
    }
    code_.place(holds_);
  }

 private:
  static std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
  static std::uint32_t high(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }

  void load_low() { load_masked(low_half_, low(condition_.mask)); }
  void load_high() { load_masked(low_half_ + 4, high(condition_.mask)); }
  void load_masked(std::size_t offset, std::uint32_t mask) {
    code_.load(offset);
    if (mask != 0xffffffff) code_.emit(BPF_ALU | BPF_AND | BPF_K, mask);
  }

  void equal_to_any(Assembler::Label met, Assembler::Label not_met) {
    const std::vector<std::uint64_t>& values = condition_.values;
    if (!wide_) load_low();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bool last = i + 1 == values.size();
      const auto next = last ? not_met : code_.label();
      if (wide_) {
        load_high();
        code_.jump_if(BPF_JEQ, high(values[i]), std::nullopt, next);
        load_low();
      }
      code_.jump_if(BPF_JEQ, low(values[i]), met, next);
      if (!last) code_.place(next);
    }
  }

  // `test` is what the low half has to pass for `above`; the high one may decide before it.
  void ordered(std::uint16_t test, Assembler::Label above, Assembler::Label below) {
    const std::uint64_t value = condition_.values[0];
    if (wide_) {
      load_high();
      code_.jump_if(BPF_JGT, high(value), above, std::nullopt);
      code_.jump_if(BPF_JEQ, high(value), std::nullopt, below);
    }
    load_low();
    code_.jump_if(test, low(value), above, below);
  }

  void any_bit() {
    if (wide_) {
      code_.load(low_half_ + 4);
      code_.jump_if(BPF_JSET, high(condition_.mask), holds_, std::nullopt);
    }
    code_.load(low_half_);
    code_.jump_if(BPF_JSET, low(condition_.mask), std::nullopt, fails_);
  }

  void only_bits() {
    code_.load(low_half_);
    code_.jump_if(BPF_JSET, ~low(condition_.mask), fails_, std::nullopt);
    if (!wide_) return;
    code_.load(low_half_ + 4);
    code_.jump_if(BPF_JSET, ~high(condition_.mask), fails_, std::nullopt);
  }

  Assembler& code_;
  const Condition& condition_;
  const bool wide_;
  const std::size_t low_half_;  // in seccomp_data; the high one follows
  const Assembler::Label holds_;
  const Assembler::Label fails_;
};

Result<Program> block(const SyscallGroup& group) {
  Assembler code;
  for (const Rule& rule : group.rules) {
    const auto next_rule = code.label();
    for (const Condition& condition : rule.conditions)
      ConditionCode(code, condition, next_rule).write();
    code.answer(answer_of(rule.action));
    if (rule.conditions.empty()) return finish(code);  // nothing behind it is ever asked
    code.place(next_rule);
  }
  code.answer(answer_of(group.otherwise));
  return finish(code);
}

// ---- The whole. ----

// Puts the leaves behind the tree, and jumps to them.
Result<void> append_leaves(Program& program, const Layout& layout) {
  const std::size_t tree_end = program.size();
  std::vector<std::size_t> starts;
  for (const Leaf& leaf : layout.leaves) {
    starts.push_back(program.size());
    if (leaf.group == nullptr) {
      program.push_back({BPF_RET | BPF_K, 0, 0, leaf.answer});
      continue;
    }
    const Result<Program> one = block(*leaf.group);
    if (!one) return fail(one.error());
    program.insert(program.end(), one->begin(), one->end());
  }
  for (std::size_t at = 0; at < tree_end; ++at) {
    sock_filter& end = program[at];
    if (end.code != (BPF_RET | BPF_K) || !is_leaf(end.k)) continue;
    const std::size_t start = starts[end.k & SECCOMP_RET_DATA];
    end = {BPF_JMP | BPF_JA, 0, 0, static_cast<std::uint32_t>(start - at - 1)};
  }
  return {};
}

// libseccomp is trusted with the tree, and looked after: every number must get what the layout
// says.
Result<void> verify(const Program& program, const Layout& layout) {
  constexpr int kNumbers = 1 << 16;
  seccomp_data data{};
  data.arch = seccomp_arch_native();
  for (data.nr = 0; data.nr < kNumbers; ++data.nr) {
    const auto found = layout.outcomes.find(data.nr);
    const Outcome expected = found == layout.outcomes.end() ? kEnosys : found->second;
    const Result<std::uint32_t> answer = evaluate(program, data);
    if (!answer) return fail(answer.error());
    if (is_leaf(expected)) {
      const Leaf& leaf = layout.leaves[expected & SECCOMP_RET_DATA];
      if (leaf.group != nullptr || *answer == leaf.answer) continue;
    }
    if (*answer == expected) continue;
    return fail(
        compile_error(ErrorCode::internal,
                      "the compiled filter is wrong about system call " + std::to_string(data.nr)));
  }
  return {};
}

}  // namespace

Result<std::vector<sock_filter>> compile(const Policy& policy) {
  const Layout layout = lay_out(policy);
  Result<Program> program = prelude(layout);
  if (!program) return program;
  const Result<Program> body = tree(layout);
  if (!body) return body;
  program->insert(program->end(), body->begin(), body->end());
  if (const auto done = append_leaves(*program, layout); !done) return fail(done.error());
  if (program->size() > BPF_MAXINSNS) {
    return fail(compile_error(ErrorCode::invalid_argument,
                              "the policy makes " + std::to_string(program->size()) +
                                  " instructions; the kernel takes 4096",
                              "use fewer rules and values"));
  }
  if (const auto done = verify(*program, layout); !done) return fail(done.error());
  return program;
}

}  // namespace cove
