#include "images/store/verify.h"

#include <ostream>

#include "images/commands/locked_store.h"
#include "images/commands/print.h"
#include "images/commands/program.h"

namespace cove {
namespace {

using nlohmann::ordered_json;

// Damage is printed as it was found, and is an error unless all of it was repaired.
Result<void> verify(Program& program, Repair repair) {
  std::ostream& out = program.out;
  const OutputFormat format = program.format();
  const Result<LockedStore> locked = open_locked(
      program.store, repair == Repair::yes ? FileLock::Mode::exclusive : FileLock::Mode::shared);
  if (!locked) return fail(locked.error());
  const Result<Verified> verified = verify_store(locked->store, repair);
  if (!verified) return fail(verified.error());

  std::uint64_t left = 0;
  ordered_json damage = ordered_json::array();
  for (const Damage& one : verified->damage) {
    left += one.repaired ? 0 : 1;
    damage.push_back({{"image", one.image},
                      {"where", one.where},
                      {"what", one.what},
                      {"repaired", one.repaired}});
    if (format == OutputFormat::text)
      out << one.where << ": " << one.what << (one.repaired ? " (repaired)" : "") << '\n';
  }
  if (format == OutputFormat::json) {
    out << dump({{"images", verified->images},
                 {"layers", verified->layers},
                 {"blobs", verified->blobs},
                 {"damage", damage},
                 {"unverifiable", verified->unverifiable}})
        << '\n';
  } else if (format == OutputFormat::text) {
    for (const std::string& layer : verified->unverifiable)
      out << layer << ": cannot be compared or repaired, since its blob was not kept\n";
    out << "Verified " << plural(verified->images, "image") << ": "
        << plural(verified->layers, "layer") << ", " << plural(verified->blobs, "blob") << '\n';
  }
  program.reported = true;
  if (left == 0) return {};
  Error error = invalid_image(locked->store.directory(), plural(left, "part") + " damaged");
  error.hint = repair == Repair::no ? "verify --repair mends what can be mended"
               : verified->in_use   ? "repair again when the sandbox has ended"
                                    : "load the images again, from where they came";
  return fail(error);
}

}  // namespace

void add_verify(Program& program) {
  CLI::App* command = program.app.add_subcommand(
      "verify", "Compare the store with its digests: every blob, and every file of every layer");
  auto repair = std::make_shared<bool>(false);
  command->add_flag("--repair", *repair, "Mend what can be mended");
  add_json_option(*command, program);
  add_quiet_option(*command, program);
  command->callback([&program, repair] {
    program.chosen = [&program, repair] {
      return verify(program, *repair ? Repair::yes : Repair::no);
    };
  });
}

}  // namespace cove
