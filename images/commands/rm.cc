#include <ostream>

#include "images/commands/program.h"
#include "images/store/ids.h"
#include "images/store/store.h"
#include "images/store_index/reference.h"

namespace cove {
namespace {

Result<void> remove(const std::string& directory, const std::vector<std::string>& references,
                    OutputFormat format, std::ostream& out, std::ostream& err) {
  const Result<StoreIds> ids = settle_store_ids(directory);
  if (!ids) return fail(ids.error());
  const Result<Store> store = Store::open(directory, *ids);
  if (!store) return fail(store.error());
  // A load counts on layers that it found. Whoever removes some waits for it.
  Result<FileLock> content = store->lock_content(FileLock::Mode::exclusive, FileLock::Wait::refuse);
  if (content && !content->held()) {
    err << "waiting for a load that is under way\n" << std::flush;
    content = store->lock_content(FileLock::Mode::exclusive);
  }
  if (!content) return fail(content.error());
  const Result<FileLock> index = store->lock_index();
  if (!index) return fail(index.error());

  std::vector<Error> mistakes;
  for (const std::string& reference : references) {
    const Result<std::string> name = normal_name(reference);
    Result<std::vector<std::string>> gone = std::vector<std::string>();
    if (name) gone = store->remove_image(*name);
    if (!gone) return fail(gone.error());
    std::string removed = reference;
    if (gone->empty()) {
      const Result<ImageFacts> facts = find_image(store->directory(), reference);
      if (!facts) {
        mistakes.push_back(facts.error());
        continue;
      }
      gone = store->remove_image(facts->digest);
      if (!gone) return fail(gone.error());
      removed = facts->digest;
    }
    if (format == OutputFormat::text) out << "Removed " << removed << '\n';
  }
  const Result<std::uint64_t> freed = store->collect_garbage();
  if (!freed) return fail(freed.error());
  if (!mistakes.empty()) return fail(one_error(std::move(mistakes)));
  return {};
}

}  // namespace

void add_rm(Program& program) {
  CLI::App* command = program.app.add_subcommand(
      "rm", "Remove images, and layers and blobs that no other image uses");
  auto references = std::make_shared<std::vector<std::string>>();
  command->add_option("images", *references, "Names or digests")->required();
  add_quiet_option(*command, program);
  command->callback([&program, references] {
    program.chosen = [&program, references] {
      return remove(program.store, *references, program.format(), program.out, program.err);
    };
  });
}

}  // namespace cove
