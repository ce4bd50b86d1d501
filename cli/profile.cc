// cove profile: the named sandboxes and system call filters that are built in.
#include "cove/profile.h"

#include <algorithm>
#include <string>
#include <vector>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/print.h"

namespace cove::cli {
namespace {

constexpr OptionText kOptions[] = {{"help", 'h', "", "Options", "print this"}};

constexpr const char* kUsage = R"(Usage: cove profile ls
       cove profile show KIND/NAME

Lists the profiles that are built in, or prints one as it was written, with a reason for each rule.
KIND is "sandbox" (for --profile) or "seccomp" (for --security-opt seccomp=NAME).

)";

constexpr const char* kExamples = R"(
Examples:
  cove profile ls
  cove profile show sandbox/strict
  cove profile show seccomp/default > mine.json    # a start for --security-opt seccomp=./mine.json
)";

constexpr const char* kForm = "cove profile ls, or cove profile show KIND/NAME";

int list() {
  const std::vector<ProfileInfo> profiles = list_profiles();
  std::size_t width = 0;
  for (const ProfileInfo& profile : profiles) {
    width = std::max(width, profile.kind.size() + 1 + profile.name.size() + 2);
  }
  std::string text;
  for (const ProfileInfo& profile : profiles) {
    std::string name = profile.kind + "/" + profile.name;
    name.resize(width, ' ');
    text += name + profile.description + '\n';
  }
  return print(text) ? 0 : kExitOurError;
}

int show(const std::string& word) {
  const std::size_t slash = word.find('/');
  if (slash == std::string::npos) {
    return complain(
        usage_error(word, "is not KIND/NAME", "sandbox/" + word + " or seccomp/" + word + "?"));
  }
  const std::string_view name(word);
  Result<std::string> source = profile_source(name.substr(0, slash), name.substr(slash + 1));
  if (!source) return complain(source.error());
  if (!source->ends_with('\n')) *source += '\n';
  return print(*source) ? 0 : kExitOurError;
}

}  // namespace

int profile_command(Words words) {
  CommandLine line = parse_command_line(kOptions, words);
  if (!line.options.empty()) {
    return print(kUsage + describe_options(kOptions) + kExamples) ? 0 : kExitOurError;
  }
  if (!line.mistakes.empty()) return complain(join(std::move(line.mistakes)));
  const std::vector<std::string>& operands = line.operands;
  if (operands.size() == 1 && operands[0] == "ls") return list();
  if (operands.size() == 2 && operands[0] == "show") return show(operands[1]);
  return complain(usage_error("profile", "says neither ls nor show KIND/NAME", kForm));
}

}  // namespace cove::cli
