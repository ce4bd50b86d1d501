#include "images/store/load.h"

#include <ostream>

#include "images/commands/print.h"
#include "images/commands/program.h"
#include "images/store/ids.h"

namespace cove {
namespace {

Result<void> load(const LoadOptions& options, OutputFormat format, std::ostream& out,
                  std::ostream& err) {
  const Result<StoreIds> ids = settle_store_ids(options.store);
  if (!ids) return fail(ids.error());
  LoadOptions complete = options;
  complete.ids = *ids;
  const Result<LoadResult> result = load_image(complete);
  if (!result) return fail(result.error());
  if (format == OutputFormat::quiet) return {};
  const std::string name = result->names.empty() ? "" : result->names.front();
  if (format == OutputFormat::json) {
    out << dump({{"name", name},
                 {"names", result->names},
                 {"digest", result->digest},
                 {"layers", result->layers},
                 {"size", result->size},
                 {"already_loaded", result->already_loaded},
                 {"notes", result->notes}})
        << '\n';
    return {};
  }
  for (const std::string& note : result->notes) err << "note: " << note << '\n';
  out << "Loaded " << (name.empty() ? "an image without a name" : name) << " ("
      << short_digest(result->digest) << ", " << plural(result->layers, "layer") << ", "
      << mebibyte_text(result->size) << ")\n";
  return {};
}

}  // namespace

void add_load(Program& program) {
  CLI::App* command =
      program.app.add_subcommand("load", "Load an image from an archive, a pipe or an OCI layout");
  auto options = std::make_shared<LoadOptions>();
  command
      ->add_option("image", options->reference,
                   "FILE, -, docker-archive:FILE[:NAME], oci-archive:FILE[:TAG] or oci:DIR[:TAG]")
      ->required();
  command->add_option("--name", options->name, "Name it so, whatever the image brings");
  add_json_option(*command, program);
  add_quiet_option(*command, program);
  add_limit_options(*command, options->limits);
  command->callback([&program, options] {
    program.chosen = [&program, options] {
      options->store = program.store;
      return load(*options, program.format(), program.out, program.err);
    };
  });
}

}  // namespace cove
