#include "images/store/prune.h"

#include <ostream>

#include "images/commands/age.h"
#include "images/commands/locked_store.h"
#include "images/commands/print.h"
#include "images/commands/program.h"

namespace cove {
namespace {

using nlohmann::ordered_json;

ordered_json json_of(const std::vector<PrunedImage>& images) {
  ordered_json list = ordered_json::array();
  for (const PrunedImage& image : images)
    list.push_back({{"digest", image.digest}, {"names", image.names}});
  return list;
}

std::string shown(const PrunedImage& image) {
  std::string names;
  for (const std::string& name : image.names) names += (names.empty() ? "" : ", ") + name;
  const std::string digest = short_digest(image.digest);
  return names.empty() ? digest : names + " (" + digest + ")";
}

void print(const Pruned& pruned, const PruneOptions& options, std::ostream& out) {
  for (const PrunedImage& image : pruned.removed)
    out << (options.dry_run ? "Would remove " : "Removed ") << shown(image) << '\n';
  for (const PrunedImage& image : pruned.in_use)
    out << "Kept " << shown(image) << ": a sandbox runs from it\n";
  out << (options.dry_run ? "Would free " : "Freed ") << mebibyte_text(pruned.freed) << ", "
      << mebibyte_text(pruned.left) << (options.dry_run ? " would be left\n" : " are left\n");
}

Result<void> run_prune(const PruneOptions& options, const Program& program) {
  const Result<EmptiableStore> locked = open_for_removal(program.store, program.err);
  if (!locked) return fail(locked.error());
  const Result<Pruned> pruned = prune(locked->store, options);
  if (!pruned) return fail(pruned.error());
  if (program.format() == OutputFormat::text) print(*pruned, options, program.out);
  if (program.format() != OutputFormat::json) return {};
  program.out << dump({{"removed", json_of(pruned->removed)},
                       {"in_use", json_of(pruned->in_use)},
                       {"freed", pruned->freed},
                       {"left", pruned->left},
                       {"dry_run", options.dry_run}})
              << '\n';
  return {};
}

}  // namespace

void add_prune(Program& program) {
  CLI::App* command = program.app.add_subcommand(
      "prune", "Remove images without a name, and content that no image uses");
  struct Words {
    PruneOptions options;
    std::string older_than, keep_storage;
  };
  auto words = std::make_shared<Words>();
  command->add_flag("--all,-a", words->options.all, "Every image that no sandbox runs from");
  command->add_option("--older-than", words->older_than,
                      "Images that were not used for so long: 7d, 36h, 2w");
  command->add_option("--keep-storage", words->keep_storage,
                      "The least recently used images, until the store is at most so large: 10g");
  command->add_flag("--dry-run", words->options.dry_run, "Only tell what would go");
  add_json_option(*command, program);
  add_quiet_option(*command, program);
  command->callback([&program, words] {
    program.chosen = [&program, words]() -> Result<void> {
      std::vector<Error> mistakes;
      const auto older_than = parse_age(words->older_than);
      if (!words->older_than.empty() && !older_than) mistakes.push_back(older_than.error());
      const auto keep_storage = parse_bytes(words->keep_storage);
      if (!words->keep_storage.empty() && !keep_storage) mistakes.push_back(keep_storage.error());
      if (!mistakes.empty()) return fail(one_error(std::move(mistakes)));
      if (older_than) words->options.older_than = *older_than;
      if (keep_storage) words->options.keep_storage = *keep_storage;
      return run_prune(words->options, program);
    };
  });
}

}  // namespace cove
