// cove-image: fills and empties the image store. `cove image ...` and the first use of a transport
// exec it. Exit status 0, or 125 with one line per mistake on standard error.

#include <CLI/CLI.hpp>
#include <iostream>

#include "cove/image.h"
#include "cove/version.h"
#include "images/store/commands.h"

namespace {

constexpr int kOurError = 125;

struct Options {
  std::string store = cove::default_store();
  cove::LoadOptions load;
  std::string reference;
  std::vector<std::string> references;
  std::string output;
  bool repair = false;
  bool json = false;
  bool quiet = false;

  cove::OutputFormat format() const {
    if (json) return cove::OutputFormat::json;
    return quiet ? cove::OutputFormat::quiet : cove::OutputFormat::text;
  }
};

void add_commands(CLI::App& app, Options& options) {
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--store", options.store,
                 "The image store (default: $COVE_ROOT, /var/lib/cove, or below $XDG_DATA_HOME)");

  CLI::App* load =
      app.add_subcommand("load", "Load an image from an archive, a pipe or an OCI layout");
  load->add_option("image", options.load.reference,
                   "FILE, -, docker-archive:FILE[:NAME], oci-archive:FILE[:TAG] or oci:DIR[:TAG]")
      ->required();
  load->add_option("--name", options.load.name, "Name it so, whatever the image brings");
  load->add_flag("--json", options.json, "Print one JSON object");
  load->add_flag("--quiet,-q", options.quiet, "Print nothing");
  load->add_option("--max-bytes", options.load.limits.bytes, "Refuse what unpacks to more")
      ->transform(CLI::AsSizeValue(false));
  load->add_option("--max-entries", options.load.limits.entries,
                   "Refuse more files and directories");
  load->add_option("--max-path-depth", options.load.limits.path_depth,
                   "Refuse paths of more parts");
  load->add_option("--max-path-length", options.load.limits.path_length, "Refuse longer paths")
      ->check(CLI::Range(1, 4095));

  CLI::App* ls = app.add_subcommand("ls", "List the images");
  ls->add_flag("--json", options.json, "Print one JSON list");

  CLI::App* inspect = app.add_subcommand("inspect", "Show one image, as JSON");
  inspect->add_option("image", options.reference, "Name or digest")->required();

  CLI::App* save = app.add_subcommand(
      "save", "Write images as one archive, which Docker, Podman and skopeo read");
  save->add_option("images", options.references, "Names or digests")->required();
  save->add_option("--output,-o", options.output, "The file (default: standard output)");

  CLI::App* tag = app.add_subcommand("tag", "Give an image more names");
  tag->add_option("image", options.reference, "Name or digest")->required();
  tag->add_option("names", options.references, "Names, taken from whatever has them")->required();

  CLI::App* verify = app.add_subcommand(
      "verify", "Compare the store with its digests: every blob, and every file of every layer");
  verify->add_flag("--repair", options.repair, "Mend what can be mended");
  verify->add_flag("--json", options.json, "Print one JSON object");
  verify->add_flag("--quiet,-q", options.quiet, "Print nothing");

  CLI::App* rm =
      app.add_subcommand("rm", "Remove images, and layers and blobs that no other image uses");
  rm->add_option("images", options.references, "Names or digests")->required();
  rm->add_flag("--quiet,-q", options.quiet, "Print nothing");
}

cove::Result<void> run(const CLI::App& app, Options& options) {
  options.load.store = options.store;
  if (app.got_subcommand("load"))
    return cove::load_command(options.load, options.format(), std::cout, std::cerr);
  if (app.got_subcommand("ls")) return cove::ls_command(options.store, options.format(), std::cout);
  if (app.got_subcommand("inspect"))
    return cove::inspect_command(options.store, options.reference, std::cout);
  if (app.got_subcommand("save"))
    return cove::save_command(options.store, options.references, options.output);
  if (app.got_subcommand("tag"))
    return cove::tag_command(options.store, options.reference, options.references);
  if (app.got_subcommand("verify"))
    return cove::verify_command(options.store,
                                options.repair ? cove::Repair::yes : cove::Repair::no,
                                options.format(), std::cout);
  return cove::rm_command(options.store, options.references, options.format(), std::cout,
                          std::cerr);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Cove's image store", "cove-image");
  Options options;
  add_commands(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& mistake) {
    std::cerr << mistake.what() << '\n';
    return kOurError;
  }
  const cove::Result<void> done = run(app, options);
  std::cout.flush();
  if (!done) {
    std::cerr << done.error().message() << '\n';
    return kOurError;
  }
  if (!std::cout) {
    std::cerr << "cannot write to standard output\n";
    return kOurError;
  }
  return 0;
}
