#include <ostream>

#include "images/commands/locked_store.h"
#include "images/commands/print.h"
#include "images/commands/program.h"
#include "images/store_index/reference.h"

namespace cove {
namespace {

// A sandbox whose result is there already may still be about to leave its layers.
constexpr std::chrono::milliseconds kPatience{300};

enum class InUse { refuse, untag };

Error in_use(const std::string& reference) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "image rm";
  error.where = reference;
  error.what = "a sandbox runs from it";
  error.hint =
      "wait for its end; or --force, which takes the name away now and leaves the rest to `cove "
      "image prune`";
  return error;
}

class Remover {
 public:
  Remover(const Store& store, InUse in_use, std::ostream& notes)
      : store_(store), in_use_(in_use), notes_(notes) {}

  // What was removed: the name, or the digest.
  Result<std::string> remove(const std::string& reference) const {
    const Result<std::string> name = normal_name(reference);
    if (!name) return remove_digest(reference);
    const std::string digest = store_.digest_of_name(*name);
    if (!digest.empty() && store_.names_of_image(digest).size() == 1)
      return remove_all_of(digest, reference);
    const Result<bool> removed = store_.remove_name(*name);
    if (!removed) return fail(removed.error());
    return *removed ? Result<std::string>(reference) : remove_digest(reference);
  }

 private:
  Result<std::string> remove_digest(const std::string& reference) const {
    const Result<ImageFacts> facts = find_image(store_.directory(), reference);
    if (!facts) return fail(facts.error());
    const Result<std::string> removed = remove_all_of(facts->digest, reference);
    return removed ? Result<std::string>(facts->digest) : removed;
  }

  Result<std::string> remove_all_of(const std::string& digest, const std::string& reference) const {
    const Result<std::optional<FileLock>> claim = store_.claim_image(digest, kPatience);
    if (!claim) return fail(claim.error());
    if (!*claim || (*claim)->held()) {
      const auto gone = store_.remove_image(digest);
      return gone ? Result<std::string>(reference) : Result<std::string>(fail(gone.error()));
    }
    if (in_use_ == InUse::refuse) return fail(in_use(reference));
    for (const std::string& name : store_.names_of_image(digest)) {
      if (const auto removed = store_.remove_name(name); !removed) return fail(removed.error());
    }
    notes_ << "note: a sandbox runs from " << short_digest(digest)
           << "; it stays, without a name, until `cove image prune`\n";
    return reference;
  }

  const Store& store_;
  const InUse in_use_;
  std::ostream& notes_;
};

bool is_mistake(const Error& error) {
  return error.code == ErrorCode::image_not_found || error.code == ErrorCode::invalid_argument;
}

Result<void> remove(const std::string& directory, const std::vector<std::string>& references,
                    InUse in_use, const Program& program) {
  const Result<EmptiableStore> locked = open_for_removal(directory, program.err);
  if (!locked) return fail(locked.error());
  const Remover remover(locked->store, in_use, program.err);
  std::vector<Error> mistakes;
  for (const std::string& reference : references) {
    const Result<std::string> removed = remover.remove(reference);
    if (!removed && !is_mistake(removed.error())) return fail(removed.error());
    if (!removed) {
      mistakes.push_back(removed.error());
    } else if (program.format() == OutputFormat::text) {
      program.out << "Removed " << *removed << '\n';
    }
  }
  const Result<std::uint64_t> freed = locked->store.collect_garbage();
  if (!freed) return fail(freed.error());
  if (!mistakes.empty()) return fail(one_error(std::move(mistakes)));
  return {};
}

}  // namespace

void add_rm(Program& program) {
  CLI::App* command = program.app.add_subcommand(
      "rm", "Remove images, and layers and blobs that no other image uses");
  struct Options {
    std::vector<std::string> references;
    bool force = false;
  };
  auto options = std::make_shared<Options>();
  command->add_option("images", options->references, "Names or digests")->required();
  command->add_flag("--force,-f", options->force,
                    "Take its names from an image that a sandbox runs from, and leave it to prune");
  add_quiet_option(*command, program);
  command->callback([&program, options] {
    program.chosen = [&program, options] {
      return remove(program.store, options->references,
                    options->force ? InUse::untag : InUse::refuse, program);
    };
  });
}

}  // namespace cove
