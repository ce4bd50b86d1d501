// What this host can give, and what it lacks.
#pragma once

#include <string>
#include <vector>

#include "cove/facts.h"
#include "cove/result.h"

namespace cove {

class Engine;

// Reads /proc and /sys; starts nothing and changes nothing. A few hundred microseconds.
// `cgroup_parent` as in EngineOptions; `env_allowlist` names the variables to copy from the
// environment.
Result<HostFacts> gather_host_facts(const std::string& cgroup_parent = {},
                                    const std::vector<std::string>& env_allowlist = {});

enum class Severity {
  ok,        // works
  note,      // works, with something to know
  degraded,  // sandboxes run, and something is lost; a spec that requires it is refused
  broken,    // no sandbox can run
};

struct Finding {
  std::string subject;  // "cgroup memory", "user namespaces"
  Severity severity = Severity::ok;
  std::string found;  // what is there
  std::string costs;  // what is lost; empty for ok
  std::string cure;   // what to do; empty for ok
};

// Turns facts into findings: pure, so that a recorded host can be diagnosed anywhere.
std::vector<Finding> diagnose(const HostFacts& host);

// What can be read does not tell all: a container or a service may forbid what the kernel has. Sets
// up a sandbox of the host's tools, up to a command that is not there, and says at which step that
// failed and what to do. Some milliseconds.
Finding try_sandbox(Engine& engine);

std::string_view to_string(Severity severity);

}  // namespace cove
