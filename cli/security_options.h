// --security-opt, --cap-add and --cap-drop, as Docker has them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cove/result.h"
#include "cove/spec.h"

namespace cove::cli {

// The policy that seccomp= names; nothing for what always holds (no-new-privileges). What Cove does
// not set (AppArmor, SELinux), and what cannot be given up, is a mistake.
Result<std::optional<std::string>> parse_security_opt(const std::string& text);

// What was given, in the names of cove/capability.h or "all".
struct CapabilityChanges {
  std::vector<std::string> added, dropped;
};

// Of --cap-add or --cap-drop.
Result<std::string> parse_capability(const std::string& text);

// Changes what the spec or its profile names, by Docker's rules: what is added is held even if it is
// dropped too; "all" is dropped first, and is added without what is dropped.
void change_capabilities(SandboxSpec& spec, const CapabilityChanges& changes);

}  // namespace cove::cli
