// The `cove` executable: finds the command, and hands it the rest of the words.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/own_executable.h"
#include "cli/print.h"

namespace {

using cove::cli::Words;

struct Command {
  std::string_view name;
  std::string_view summary;
  int (*run)(Words words);
};

constexpr std::array kCommands = std::to_array<Command>({
    {"run", "run a command in a new sandbox", cove::cli::run_command},
    {"plan", "print what run would do", cove::cli::plan_command},
    {"image", "load, list and remove images", cove::cli::image_command},
    {"profile", "list and print named sandboxes and filters", cove::cli::profile_command},
    {"doctor", "say what this host can hold, and the cure", cove::cli::doctor_command},
    {"version", "print the version", cove::cli::version_command},
});

int help() {
  std::string text =
      "Usage: cove COMMAND [options] ...\n\n"
      "Runs commands from container images in Linux sandboxes, without a daemon.\n\nCommands:\n";
  for (const Command& command : kCommands) {
    std::string name(command.name);
    name.resize(10, ' ');
    text += "  " + name + std::string(command.summary) + "\n";
  }
  text +=
      "\nExamples:\n"
      "  cove image load docker-archive:python.tar --name python-demo\n"
      "  cove run python-demo python3 -c 'print(6 * 7)'\n"
      "  cove run --json --timeout 5 python-demo python3 main.py\n"
      "\nMore: cove help COMMAND, or cove COMMAND --help.\n";
  return cove::cli::print(text) ? 0 : cove::cli::kExitOurError;
}

int unknown_command(const std::string& word) {
  std::array<std::string_view, kCommands.size()> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = kCommands[i].name;
  const auto meant = cove::cli::nearest(word, names);
  return cove::cli::complain(cove::cli::usage_error(
      word, "unknown command",
      meant ? "did you mean " + std::string(*meant) + "?" : "see cove --help"));
}

int dispatch(Words words) {
  if (words.empty()) {
    help();
    return cove::cli::kExitOurError;
  }
  const std::string& word = words[0];
  if (word == "--version") return cove::cli::version_command({});
  if (word == "--help" || word == "-h" || word == "help") {
    if (words.size() == 1 || words[1] == "help" || words[1].starts_with('-')) return help();
    const std::vector<std::string> command = {words[1], "--help"};
    return dispatch(command);
  }
  for (const Command& command : kCommands) {
    if (command.name == word) return command.run(words.subspan(1));
  }
  return unknown_command(word);
}

// A caller may have closed 0, 1 or 2; the first descriptors that we open would take their places,
// and the program's output would go into them.
bool take_streams() {
  for (;;) {
    const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0) return false;
    if (fd <= STDERR_FILENO) continue;
    close(fd);
    return true;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (!take_streams()) return cove::cli::kExitOurError;
  // Before any word of the caller's, who may be an image, is looked at.
  if (!cove::cli::executable_is_in_own_root()) {
    return cove::cli::complain(
        cove::Error{cove::ErrorCode::permission_denied,
                    "",
                    0,
                    "this executable was not started by its path",
                    "",
                    "a sandbox does not get to run the cove that runs it; put one into the image",
                    {}});
  }
  const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  return dispatch(words);
}
