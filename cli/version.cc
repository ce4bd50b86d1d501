// cove version
#include "cove/version.h"

#include <string>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "cove/spec.h"

namespace cove::cli {
namespace {

constexpr OptionText kOptions[] = {
    {"json", 0, "", "Options", "as a JSON object: {\"version\": ..., \"spec_version\": ...}"},
    {"help", 'h', "", "Options", "print this"},
};

constexpr const char* kUsage = R"(Usage: cove version [--json]

Prints the version of cove, and of the sandbox description (--spec) that it reads.

)";

constexpr const char* kExamples = R"(
Examples:
  cove version
  cove version --json | jq -r .version
)";

}  // namespace

int version_command(Words words) {
  CommandLine line = parse_command_line(kOptions, words);
  bool json = false;
  for (const GivenOption& given : line.options) {
    if (kOptions[given.index].name == "help") {
      return print(kUsage + describe_options(kOptions) + kExamples) ? 0 : kExitOurError;
    }
    json = given.value == "true";
  }
  for (const std::string& word : line.operands) {
    line.mistakes.push_back(usage_error(word, "is one word too many", "cove version [--json]"));
  }
  if (!line.mistakes.empty()) return complain(join(std::move(line.mistakes)));

  const std::string spec_version = std::to_string(kSpecVersion);
  const std::string text =
      json ? "{\"version\":\"" + std::string(version()) + "\",\"spec_version\":" + spec_version +
                 "}\n"
           : "cove " + std::string(version()) + " (spec version " + spec_version + ")\n";
  return print(text) ? 0 : kExitOurError;
}

}  // namespace cove::cli
