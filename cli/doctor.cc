// cove doctor: what this host can hold, what it lacks, and the cure.
#include <algorithm>
#include <string>
#include <vector>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "cove/engine.h"
#include "cove/host.h"
#include "cove/json.h"

namespace cove::cli {
namespace {

constexpr OptionText kOptions[] = {
    {"json", 0, "", "Options",
     "facts and findings as one JSON object: {\"host\": ..., \"findings\": ...}"},
    {"cgroup-parent", 0, "PATH", "Options", "look at the groups below this one"},
    {"help", 'h', "", "Options", "print this"},
};

constexpr const char* kUsage = R"(Usage: cove doctor [options]

Says what of a sandbox this host can hold, for the caller as it is: each subject as ok, note,
degraded (sandboxes run, and something is lost) or broken (no sandbox can run). The last subject is a
sandbox that was set up, and taken down again.

)";

constexpr const char* kExamples = R"(
Examples:
  cove doctor
  cove doctor --json | jq -r '.findings[] | select(.severity != "ok") | .cure'

Exit status: 0, or 1 where something is broken.
)";

// "degraded  cgroup memory   found", and below it what that costs and what to do.
std::string describe(const std::vector<Finding>& findings) {
  constexpr std::size_t kMarkWidth = 10;
  std::size_t subject_width = 0;
  for (const Finding& finding : findings) {
    subject_width = std::max(subject_width, finding.subject.size() + 2);
  }
  std::string text;
  for (const Finding& finding : findings) {
    std::string mark(to_string(finding.severity));
    mark.resize(kMarkWidth, ' ');
    std::string subject = finding.subject;
    subject.resize(subject_width, ' ');
    text += mark + subject + finding.found + '\n';
    const std::string indent(kMarkWidth, ' ');
    if (!finding.costs.empty()) text += indent + "costs: " + finding.costs + '\n';
    if (!finding.cure.empty()) text += indent + "cure:  " + finding.cure + '\n';
  }
  return text;
}

bool is_broken(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& finding) { return finding.severity == Severity::broken; });
}

Finding try_sandbox(const std::string& cgroup_parent) {
  EngineOptions options;
  options.launch_from = LaunchFrom::this_process;
  options.cgroup_parent = cgroup_parent;
  auto engine = Engine::create(options);
  if (engine) return cove::try_sandbox(*engine);
  return {"sandbox", Severity::broken, engine.error().what, "no sandbox can run",
          engine.error().hint};
}

}  // namespace

int doctor_command(Words words) {
  CommandLine line = parse_command_line(kOptions, words);
  bool json = false;
  std::string cgroup_parent;
  for (const GivenOption& given : line.options) {
    const std::string_view name = kOptions[given.index].name;
    if (name == "help")
      return print(kUsage + describe_options(kOptions) + kExamples) ? 0 : kExitOurError;
    if (name == "json") json = given.value == "true";
    if (name == "cgroup-parent") cgroup_parent = given.value;
  }
  for (const std::string& word : line.operands) {
    line.mistakes.push_back(usage_error(word, "is one word too many", "cove doctor [--json]"));
  }
  if (!line.mistakes.empty()) return complain(join(std::move(line.mistakes)));

  const Result<HostFacts> host = gather_host_facts(cgroup_parent);
  if (!host) return complain(host.error());
  std::vector<Finding> findings = diagnose(*host);
  if (!is_broken(findings)) findings.push_back(try_sandbox(cgroup_parent));
  const std::string text =
      json ? "{\"host\":" + to_json(*host) + ",\"findings\":" + to_json(findings) + "}\n"
           : describe(findings);
  if (!print(text)) return kExitOurError;
  return is_broken(findings) ? 1 : 0;
}

}  // namespace cove::cli
