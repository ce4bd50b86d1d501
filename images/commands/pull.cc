#include "images/commands/program.h"
#include "images/store_index/reference.h"

namespace cove {

void add_pull(Program& program) {
  CLI::App* command = program.app.add_subcommand("pull", "Fetch an image from a registry");
  auto options = std::make_shared<LoadOptions>();
  command
      ->add_option("image", options->reference,
                   "NAME[:TAG] or NAME@sha256:DIGEST, as Docker resolves names")
      ->required();
  add_load_options(*command, program, *options);
  command->callback([&program, options] {
    program.chosen = [&program, options] {
      if (!is_transport(options->reference)) options->reference = "docker://" + options->reference;
      return load(program, *options);
    };
  });
}

}  // namespace cove
