#include "cli/security_options.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "cli/command_line.h"
#include "cove/capability.h"
#include "cove/json.h"
#include "cove/profile.h"

namespace cove::cli {
namespace {

constexpr const char* kAll = "all";

struct ForeignSecurity {
  std::string_view name;
  const char* what;
  const char* hint;
};

constexpr std::array<ForeignSecurity, 3> kForeign{
    {{"apparmor", "cannot choose an AppArmor profile",
      "leave it out: what confines cove confines its sandboxes too"},
     {"label", "cannot choose an SELinux label",
      "leave it out: what confines cove confines its sandboxes too"},
     {"systempaths", "cannot show all of /proc", "use --require masked_paths=off"}}};

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// "builtin" is Docker's own word; and to Docker every other one is a file.
std::string policy_named(const std::string& value) {
  if (value == "builtin") return "default";
  const bool file = value.ends_with(".json") && value.find('/') == std::string::npos;
  return file ? "./" + value : value;
}

std::vector<std::string> named_before(const SandboxSpec& spec) {
  if (spec.capabilities) return *spec.capabilities;
  if (!spec.profile) return {};
  // A profile that is not there is a mistake that planning tells.
  const Result<std::string> source = profile_source("sandbox", *spec.profile);
  const Result<SandboxSpec> profile = source ? spec_fragment_from_json(*source) : SandboxSpec{};
  return profile && profile->capabilities ? *profile->capabilities : std::vector<std::string>{};
}

// In their own names, "ALL" written out. What is no capability stays for planning to refuse.
std::vector<std::string> written_out(const std::vector<std::string>& names) {
  std::vector<std::string> out;
  for (const std::string& name : names) {
    const Result<std::string> parsed = parse_capability(name);
    if (parsed && *parsed == kAll) {
      for (const std::string_view one : grantable_capabilities()) out.emplace_back(one);
    } else {
      out.push_back(parsed.value_or(name));
    }
  }
  return out;
}

}  // namespace

Result<std::optional<std::string>> parse_security_opt(const std::string& text) {
  const std::size_t separator = text.find_first_of("=:");
  const std::string name = text.substr(0, separator);
  const std::string value = separator == std::string::npos ? "" : text.substr(separator + 1);
  if (name == "seccomp" && !value.empty()) return policy_named(value);
  if (name == "no-new-privileges") {
    if (separator == std::string::npos || value == "true") return std::nullopt;
    return fail(usage_error("", "no-new-privileges always holds", "leave it out"));
  }
  for (const ForeignSecurity& foreign : kForeign) {
    if (name == foreign.name) return fail(usage_error("", foreign.what, foreign.hint));
  }
  return fail(usage_error("", "does not know \"" + text + "\"",
                          "seccomp=NAME, seccomp=FILE, seccomp=unconfined or no-new-privileges"));
}

Result<std::string> parse_capability(const std::string& text) {
  if (auto name = capability_name(text)) return std::move(*name);
  std::string lower = text;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (lower == kAll) return lower;
  const auto known = grantable_capabilities();
  const auto meant = nearest(lower, known);
  return fail(
      usage_error("", "\"" + text + "\" is not a capability",
                  meant ? "did you mean " + std::string(*meant) + "?"
                        : "write a name of capabilities(7), such as NET_BIND_SERVICE, or ALL"));
}

void change_capabilities(SandboxSpec& spec, const CapabilityChanges& changes) {
  if (changes.added.empty() && changes.dropped.empty()) return;
  std::vector<std::string> names;
  const auto keep = [&](const std::vector<std::string>& some, bool also_dropped) {
    for (const std::string& name : some) {
      if (has(names, name) || (!also_dropped && has(changes.dropped, name))) continue;
      names.push_back(name);
    }
  };
  if (has(changes.added, kAll)) {
    keep(written_out({kAll}), false);
  } else {
    if (!has(changes.dropped, kAll)) keep(written_out(named_before(spec)), false);
    keep(changes.added, true);
  }
  spec.capabilities = std::move(names);
}

}  // namespace cove::cli
