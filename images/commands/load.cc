#include "images/store/load.h"

#include <chrono>

#include "images/commands/loaded.h"
#include "images/commands/program.h"
#include "images/commands/progress.h"
#include "images/store/ids.h"

namespace cove {
void add_registry_options(CLI::App& command, RegistrySettings& registries, FetchSettings& fetch) {
  registries = registry_settings();
  command.add_option("--cert-dir", registries.cert_dir,
                     "Certificates of the registry: *.crt, NAME.cert and NAME.key");
  command.add_option("--tls-verify", registries.verify_tls,
                     "false: take any certificate, and plain HTTP");
  command
      .add_option("--retry", fetch.retry.attempts,
                  "Attempts at what may work the next time (default 6)")
      ->check(CLI::Range(1, 100));
  command
      .add_option_function<double>(
          "--retry-delay",
          [&fetch](double seconds) {
            fetch.retry.delay =
                std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
          },
          "Seconds before the second attempt, doubled for each further one (default 0.5)")
      ->check(CLI::Range(0.0, 3600.0));
  command
      .add_option_function<unsigned>(
          "--stall-timeout",
          [&fetch](unsigned seconds) { fetch.retry.stall = std::chrono::seconds(seconds); },
          "Seconds without a byte after which an attempt is given up (default 30)")
      ->check(CLI::Range(1, 3600));
}

void add_load_options(CLI::App& command, Program& program, LoadOptions& options) {
  command.add_option("--name", options.name, "Name it so, whatever the image brings");
  command.add_option_function<std::string>(
      "--platform",
      [&options](const std::string& text) {
        const Result<Platform> platform = parse_platform(text);
        if (!platform) throw CLI::ValidationError("--platform", platform.error().message());
        options.platform = *platform;
      },
      "OS/ARCHITECTURE[/VARIANT] (default: this host's)");
  add_json_option(command, program);
  add_quiet_option(command, program);
  add_limit_options(command, options.limits);
  add_keep_blobs_option(command, options.keep_blobs);
  add_registry_options(command, options.registries, options.fetch);
  command
      .add_option("--parallel", options.fetch.parallel, "Layers to download at a time (default 3)")
      ->check(CLI::Range(1, 16));
}

Result<void> load(Program& program, LoadOptions options) {
  options.store = program.store;
  const Result<StoreIds> ids = settle_store_ids(options.store);
  if (!ids) return fail(ids.error());
  options.ids = *ids;
  options.progress = make_progress_sink(program);
  const Result<LoadResult> result = load_image(options);
  options.progress = {};
  if (!result) return fail(result.error());
  show_loaded(result->already_loaded ? "Up to date:" : "Loaded", *result, program.format(),
              program.out, program.err);
  return {};
}

void add_load(Program& program) {
  CLI::App* command = program.app.add_subcommand(
      "load", "Load an image from an archive, a pipe, an OCI layout, a daemon or a registry");
  auto options = std::make_shared<LoadOptions>();
  command
      ->add_option("image", options->reference,
                   "FILE, -, docker-archive:FILE[:NAME], oci-archive:FILE[:TAG], oci:DIR[:TAG], "
                   "docker-daemon:NAME or docker://NAME")
      ->required();
  add_load_options(*command, program, *options);
  command->callback([&program, options] {
    program.chosen = [&program, options] { return load(program, *options); };
  });
}

}  // namespace cove
