// cove-image: fills and empties the image store. `cove image ...` and the first use of a transport
// exec it. Exit status 0, or 125 with one line per mistake on standard error.

#include <CLI/CLI.hpp>
#include <iostream>

#include "cove/json.h"
#include "images/commands/print.h"
#include "images/commands/program.h"

namespace {

constexpr int kOurError = 125;

void add_commands(cove::Program& program) {
  program.app.require_subcommand(1);
  program.app.fallthrough();
  program.app.add_option(
      "--store", program.store,
      "The image store (default: $COVE_ROOT, /var/lib/cove, or below $XDG_DATA_HOME)");
  for (const auto add :
       {cove::add_load, cove::add_pull, cove::add_import, cove::add_build, cove::add_login,
        cove::add_logout, cove::add_ls, cove::add_inspect, cove::add_save, cove::add_tag,
        cove::add_verify, cove::add_prune, cove::add_rm})
    add(program);
}

}  // namespace

int main(int argc, char** argv) {
  cove::Program program{std::cout, std::cerr};
  add_commands(program);
  try {
    program.app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return program.app.exit(help);
  } catch (const CLI::ParseError& mistake) {
    std::cerr << mistake.what() << '\n';
    return kOurError;
  }
  const cove::Result<void> done = program.chosen();
  std::cout.flush();
  if (!done) {
    if (program.json && !program.reported) std::cout << cove::to_json(done.error()) << std::endl;
    std::cerr << cove::printable(done.error().message()) << '\n';
    return kOurError;
  }
  if (!std::cout) {
    std::cerr << "cannot write to standard output\n";
    return kOurError;
  }
  return 0;
}
