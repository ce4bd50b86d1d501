#include "images/commands/locked_store.h"
#include "images/commands/program.h"
#include "images/store_index/record.h"
#include "images/store_index/reference.h"

namespace cove {
namespace {

Result<void> tag(const std::string& directory, const std::string& reference,
                 const std::vector<std::string>& names) {
  std::vector<std::string> normal;
  std::vector<Error> mistakes;
  for (const std::string& name : names) {
    const Result<std::string> one = normal_name(name);
    if (one) {
      normal.push_back(*one);
    } else {
      mistakes.push_back(one.error());
    }
  }
  if (!mistakes.empty()) return fail(one_error(std::move(mistakes)));
  const Result<LockedStore> locked = open_locked(directory, FileLock::Mode::shared);
  if (!locked) return fail(locked.error());
  const Store& store = locked->store;
  const Result<FileLock> index = store.lock_index();
  if (!index) return fail(index.error());
  const Result<ImageFacts> facts = find_image(store.directory(), reference);
  if (!facts) return fail(facts.error());
  const Result<ImageRecord> record = read_image_record(store.directory(), facts->digest);
  if (!record) return fail(record.error());
  const Result<StoredManifest> manifest = store.manifest_of(facts->digest);
  if (!manifest) return fail(manifest.error());
  return store.put_image(*record, manifest->descriptor, normal);
}

}  // namespace

void add_tag(Program& program) {
  CLI::App* command = program.app.add_subcommand("tag", "Give an image more names");
  struct Options {
    std::string reference;
    std::vector<std::string> names;
  };
  auto options = std::make_shared<Options>();
  command->add_option("image", options->reference, "Name or digest")->required();
  command->add_option("names", options->names, "Names, taken from whatever has them")->required();
  command->callback([&program, options] {
    program.chosen = [&program, options] {
      return tag(program.store, options->reference, options->names);
    };
  });
}

}  // namespace cove
