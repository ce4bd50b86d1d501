#include "runtime/seccomp/docker_rules.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <utility>

#include "runtime/seccomp/argument_width.h"
#include "runtime/seccomp/syscall_table.h"

namespace cove {
namespace {

// ---- The order. ----

// libseccomp keeps the rules of a call as a tree, a level for each half of an argument that is
// compared: the high 32 bits, then the low ones. The nodes of a level are tried in their order;
// where nothing below a node holds, the next one is.
struct Node {
  unsigned half = 0;  // 2 * argument, + 1 for its high half
  int rank = 0;
  std::uint32_t mask = 0;
  std::uint32_t value = 0;

  bool operator==(const Node&) const = default;
};

constexpr int kEqualities = 0, kBelow = 1, kAbove = 2;

int rank_of(DockerOperator op) {
  switch (op) {
    case DockerOperator::equal:
    case DockerOperator::not_equal:
    case DockerOperator::masked_equal:
      return kEqualities;
    case DockerOperator::less:
    case DockerOperator::less_or_equal:
      return kBelow;
    case DockerOperator::greater:
    case DockerOperator::greater_or_equal:
      return kAbove;
  }
  return kAbove;
}

// Of two nodes that differ in nothing of this, the one that came first is tried first.
bool goes_before(const Node& a, const Node& b) {
  if (a.half != b.half) return a.half > b.half;
  if (a.rank != b.rank) return a.rank < b.rank;
  return a.rank == kBelow ? a.value < b.value : a.value > b.value;
}

using Conditions = std::vector<DockerCondition>;

std::vector<Node> nodes_of(Conditions conditions) {
  std::sort(conditions.begin(), conditions.end(),
            [](const auto& a, const auto& b) { return a.index < b.index; });
  std::vector<Node> nodes;
  for (const DockerCondition& one : conditions) {
    const bool masked = one.op == DockerOperator::masked_equal;
    const std::uint64_t mask = masked ? one.value : ~std::uint64_t{0};
    const std::uint64_t value = masked ? one.value_two & mask : one.value;
    const auto low = [](std::uint64_t word) { return static_cast<std::uint32_t>(word); };
    nodes.push_back({2 * one.index + 1, rank_of(one.op), low(mask >> 32), low(value >> 32)});
    nodes.push_back({2 * one.index, rank_of(one.op), low(mask), low(value)});
  }
  return nodes;
}

struct Branch {
  std::vector<Node> nodes;
  const DockerRule* rule;
};

// Appends the rules of one subtree, whose branches are the same above `level`.
void append_in_order(const std::vector<Branch>& branches, std::size_t level,
                     std::vector<const DockerRule*>& ordered) {
  std::vector<std::vector<Branch>> nodes;
  for (const Branch& branch : branches) {
    if (branch.nodes.size() == level) {
      ordered.push_back(branch.rule);
      continue;
    }
    const auto same = std::find_if(nodes.begin(), nodes.end(), [&](const auto& others) {
      return others.front().nodes[level] == branch.nodes[level];
    });
    if (same == nodes.end()) {
      nodes.push_back({branch});
    } else {
      same->push_back(branch);
    }
  }
  std::stable_sort(nodes.begin(), nodes.end(), [&](const auto& a, const auto& b) {
    return goes_before(a.front().nodes[level], b.front().nodes[level]);
  });
  for (const auto& node : nodes) append_in_order(node, level + 1, ordered);
}

std::vector<const DockerRule*> in_libseccomps_order(const std::vector<DockerRule>& rules) {
  std::vector<Branch> branches;
  branches.reserve(rules.size());
  for (const DockerRule& rule : rules) branches.push_back({nodes_of(rule.conditions), &rule});
  std::vector<const DockerRule*> ordered;
  append_in_order(branches, 0, ordered);
  return ordered;
}

// ---- One condition. ----

// A negative int as C sign-extends it stands for the 32 bits that the kernel sees.
std::uint64_t as_the_kernel_sees(std::uint64_t value, std::uint64_t seen) {
  const bool negative = value >= 0xffffffff80000000;
  return seen == 0xffffffff && negative ? value & seen : value;
}

Comparison comparison_of(DockerOperator op) {
  switch (op) {
    case DockerOperator::not_equal:
      return Comparison::is_not;
    case DockerOperator::less:
      return Comparison::less;
    case DockerOperator::less_or_equal:
      return Comparison::less_or_equal;
    case DockerOperator::equal:
    case DockerOperator::masked_equal:
      return Comparison::is;
    case DockerOperator::greater_or_equal:
      return Comparison::greater_or_equal;
    case DockerOperator::greater:
      return Comparison::greater;
  }
  return Comparison::is;
}

enum class Truth { never, always, depends };

struct Translated {
  Truth truth;
  Condition condition;  // where it depends
};

// Of a comparison with a number that no argument reaches.
Truth truth_beyond(Comparison comparison) {
  const bool never = comparison == Comparison::is || comparison == Comparison::greater ||
                     comparison == Comparison::greater_or_equal;
  return never ? Truth::never : Truth::always;
}

// `seen`: the bits of the argument that the kernel looks at; the others are as good as zero.
Translated translate(const DockerCondition& docker, std::uint64_t seen) {
  const Comparison comparison = comparison_of(docker.op);
  const bool masked = docker.op == DockerOperator::masked_equal;
  // libseccomp drops the bits of the value that are not in the mask.
  const std::uint64_t mask = masked ? docker.value & seen : seen;
  const std::uint64_t named = masked ? docker.value_two & docker.value : docker.value;
  const std::uint64_t value = as_the_kernel_sees(named, seen);
  if (value > seen) return {truth_beyond(comparison), {}};
  if (mask == 0) return {Truth::always, {}};
  const auto width = mask <= 0xffffffff ? ArgumentWidth::bits32 : ArgumentWidth::bits64;
  return {Truth::depends, {docker.index, width, comparison, mask, {value}}};
}

// Nothing where the rule never holds.
std::optional<Rule> translate(const DockerRule& docker) {
  Rule rule{{}, docker.action};
  for (const DockerCondition& one : docker.conditions) {
    Translated translated = translate(one, bits_seen_by_kernel(docker.syscall, one.index));
    if (translated.truth == Truth::never) return std::nullopt;
    if (translated.truth == Truth::depends)
      rule.conditions.push_back(std::move(translated.condition));
  }
  return rule;
}

// ---- The rules of one call. ----

class Call {
 public:
  void add(const DockerRule& rule) {
    if (always_) return;
    if (rule.conditions.empty()) {
      always_ = rule.action;
      rules_.clear();
    } else if (compares_an_argument_twice(rule)) {
      for (const DockerCondition& one : rule.conditions)
        rules_.push_back({rule.syscall, rule.action, {one}});
    } else {
      rules_.push_back(rule);
    }
  }

  // Without its number.
  SyscallGroup group(const Action& default_action) const {
    SyscallGroup group;
    group.otherwise = always_.value_or(default_action);
    for (const DockerRule* docker : in_libseccomps_order(rules_)) {
      if (auto rule = translate(*docker)) group.rules.push_back(std::move(*rule));
    }
    return group;
  }

 private:
  static bool compares_an_argument_twice(const DockerRule& rule) {
    std::array<bool, 6> compared{};
    for (const DockerCondition& one : rule.conditions) {
      if (std::exchange(compared[one.index], true)) return true;
    }
    return false;
  }

  std::optional<Action> always_;
  std::vector<DockerRule> rules_;
};

// ---- The whole. ----

bool lets_pass(const Action& action) {
  return action.kind == ActionKind::allow || action.kind == ActionKind::log ||
         action.kind == ActionKind::trace;
}

// runc's own rule: what is newer than the newest call that the profile's author knew of does not
// exist, so that callers fall back.
SyscallGroup newer_than(int newest) {
  SyscallGroup group;
  group.reason = "newer than the profile";
  group.otherwise = {ActionKind::error, ENOSYS};
  const std::vector<bool> known = known_syscalls();
  for (std::size_t number = static_cast<std::size_t>(newest) + 1; number < known.size(); ++number) {
    if (known[number]) group.numbers.push_back(static_cast<int>(number));
  }
  return group;
}

void add_to(std::vector<SyscallGroup>& groups, int number, SyscallGroup group) {
  const auto same = std::find_if(groups.begin(), groups.end(), [&](const SyscallGroup& other) {
    return other.otherwise == group.otherwise && other.rules == group.rules;
  });
  if (same != groups.end()) {
    same->numbers.push_back(number);
    return;
  }
  group.numbers.push_back(number);
  groups.push_back(std::move(group));
}

}  // namespace

Policy policy_of(const DockerProfile& profile) {
  Policy policy;
  policy.default_action = profile.default_action;
  std::map<int, Call> calls;
  int newest = -1;
  for (const DockerRule& rule : profile.rules) {
    const int number = syscall_number(rule.syscall).value_or(kNotOnThisArchitecture);
    if (number == kNotOnThisArchitecture) continue;
    newest = std::max(newest, number);
    if (rule.action != profile.default_action) calls[number].add(rule);
  }
  for (const auto& [number, call] : calls)
    add_to(policy.groups, number, call.group(profile.default_action));
  if (newest >= 0 && !lets_pass(profile.default_action))
    policy.groups.push_back(newer_than(newest));
  return policy;
}

}  // namespace cove
