#include "images/store/import.h"

#include <array>
#include <optional>

#include "images/commands/loaded.h"
#include "images/commands/program.h"
#include "images/store/ids.h"
#include "images/store_index/reference.h"

namespace cove {
namespace {

// As the command line has them.
struct ImportWords {
  std::string source, name;
  std::optional<std::string> command, entrypoint, workdir, user;
  std::vector<std::string> env, label, changes;
  UnpackLimits limits;
};

using Setter = Result<void> (*)(ImageSettings&, std::string_view);

Result<void> set_command(ImageSettings& settings, std::string_view text) {
  Result<std::vector<std::string>> command = command_from(text);
  if (!command) return fail(command.error());
  settings.config.command = std::move(*command);
  return {};
}
Result<void> set_entrypoint(ImageSettings& settings, std::string_view text) {
  Result<std::vector<std::string>> command = command_from(text);
  if (!command) return fail(command.error());
  settings.config.entrypoint = std::move(*command);
  return {};
}

// All that is wrong with the words is told at once.
Result<ImportOptions> options_from(const ImportWords& words) {
  ImportOptions options;
  options.limits = words.limits;
  std::vector<Error> mistakes;
  const auto set = [&](Setter setter, const auto& texts) {
    for (const std::string& text : texts) {
      Result<void> done = setter(options.settings, text);
      if (!done) mistakes.push_back(done.error());
    }
  };
  const auto set_one = [&](Setter setter, const std::optional<std::string>& text) {
    if (text) set(setter, std::array{*text});
  };
  // Options of their own win over what --change says.
  set(apply_instruction, words.changes);
  set_one(set_command, words.command);
  set_one(set_entrypoint, words.entrypoint);
  set(set_env, words.env);
  set(set_label, words.label);
  set_one(set_workdir, words.workdir);
  set_one(set_user, words.user);
  if (!words.name.empty()) {
    Result<std::string> name = normal_name(words.name);
    if (name) {
      options.names.push_back(std::move(*name));
    } else {
      mistakes.push_back(name.error());
    }
  }
  if (!mistakes.empty()) return fail(one_error(std::move(mistakes)));
  return options;
}

Result<void> import(const ImportWords& words, Program& program) {
  Result<ImportOptions> options = options_from(words);
  if (!options) return fail(options.error());
  options->store = program.store;
  // Before the ids are settled: a directory is read with the ids that its files have for this user.
  Result<RootFilesystem> root = open_root(words.source, options->store, options->limits);
  if (!root) return fail(root.error());
  Result<StoreIds> ids = settle_store_ids(options->store);
  if (!ids) return fail(ids.error());
  options->ids = std::move(*ids);
  const Result<LoadResult> result = import_image(*options, std::move(*root));
  if (!result) return fail(result.error());
  show_loaded("Imported", *result, program.format(), program.out, program.err);
  return {};
}

}  // namespace

void add_import(Program& program) {
  CLI::App* command = program.app.add_subcommand(
      "import", "Make an image of a root filesystem: a directory or a tar archive");
  auto words = std::make_shared<ImportWords>();
  command->add_option("source", words->source, "DIRECTORY, FILE (tar; plain, gzip or zstd) or -")
      ->required();
  command->add_option("name,--name", words->name, "Name it so");
  command->add_option("--cmd", words->command,
                      "The default command: one program, or a JSON list of words");
  command->add_option("--entrypoint", words->entrypoint,
                      "What the command is given to, written likewise");
  command->add_option("--workdir,-w", words->workdir, "The directory in which the command starts");
  command->add_option("--user,-u", words->user, "USER or USER:GROUP, by name or number");
  const auto repeated = [&](const char* name, std::vector<std::string>& to, const char* text) {
    command->add_option(name, to, text)->allow_extra_args(false);
  };
  repeated("--env,-e", words->env, "NAME=VALUE; may be repeated");
  repeated("--label", words->label, "NAME=VALUE; may be repeated");
  repeated("--change,-c", words->changes,
           "An instruction of a Dockerfile: 'CMD [\"sh\"]'; may be repeated");
  add_json_option(*command, program);
  add_quiet_option(*command, program);
  add_limit_options(*command, words->limits);
  command->callback([&program, words] {
    program.chosen = [&program, words] { return import(*words, program); };
  });
}

}  // namespace cove
