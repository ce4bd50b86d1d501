#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <ostream>

#include "images/build/builder.h"
#include "images/commands/loaded.h"
#include "images/commands/locked_store.h"
#include "images/commands/program.h"
#include "images/store/build_record.h"
#include "images/store/ids.h"
#include "images/store/load.h"
#include "images/store/publish.h"
#include "images/store/source.h"
#include "images/store_index/reference.h"

namespace cove {
namespace {

// As the command line has them.
struct BuildWords {
  std::string directory = ".", dockerfile, target, builder;
  std::vector<std::string> names, args;
  bool no_cache = false, rebuild = false, pull = false;
  UnpackLimits limits;
};

struct Build {
  Builder builder;
  BuildWish wish;
  std::vector<std::string> names;
  std::string digest;  // of what it is made of
};

Error build_mistake(std::string where, std::string what, std::string hint = {}) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "build";
  error.where = std::move(where);
  error.what = std::move(what);
  error.hint = std::move(hint);
  return error;
}

bool is_directory(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}
bool is_file(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

bool is_argument(const std::string& text) {
  const std::string name = text.substr(0, text.find('='));
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  return !name.empty() && std::all_of(name.begin(), name.end(), allowed);
}

// The one that builders take where none is named; the first is what a message tells.
std::string usual_dockerfile(const std::string& context) {
  const std::string dockerfile = context + "/Dockerfile",
                    containerfile = context + "/Containerfile";
  return !is_file(dockerfile) && is_file(containerfile) ? containerfile : dockerfile;
}

// All that is wrong with the words is told at once.
Result<Build> build_from(const BuildWords& words) {
  Build build;
  std::vector<Error> mistakes;
  for (const std::string& text : words.names) {
    Result<std::string> name = normal_name(text);
    if (name) {
      build.names.push_back(std::move(*name));
    } else {
      mistakes.push_back(name.error());
    }
  }
  for (const std::string& argument : words.args) {
    if (!is_argument(argument))
      mistakes.push_back(build_mistake(argument, "is no build argument", "write NAME=VALUE"));
  }
  BuildInput& input = build.wish.input;
  input.context = std::filesystem::weakly_canonical(std::filesystem::absolute(words.directory));
  input.dockerfile = words.dockerfile.empty()
                         ? usual_dockerfile(input.context)
                         : std::filesystem::absolute(words.dockerfile).string();
  if (!is_directory(input.context)) {
    mistakes.push_back(build_mistake(words.directory, "is no directory"));
  }
  if (!is_file(input.dockerfile) && (!words.dockerfile.empty() || is_directory(input.context))) {
    mistakes.push_back(
        build_mistake(input.dockerfile, "is no file", "name the Dockerfile with --file"));
  }
  input.target = words.target;
  input.args = words.args;
  build.wish.cache = words.no_cache ? BuilderCache::none : BuilderCache::use;
  build.wish.base = words.pull ? BaseImages::pull : BaseImages::as_they_are;
  const char* usual = getenv("COVE_BUILDER");
  Result<Builder> builder = choose_builder(words.builder.empty() && usual ? usual : words.builder);
  if (builder) {
    build.builder = std::move(*builder);
  } else {
    mistakes.push_back(builder.error());
  }
  if (!mistakes.empty()) return fail(one_error(std::move(mistakes)));
  return build;
}

// Without a name, so that it goes with us, on the disk where the image will lie.
Result<UniqueFd> unnamed_file(const std::string& store) {
  std::filesystem::path directory = std::filesystem::absolute(store);
  while (directory.has_relative_path() && !is_directory(directory))
    directory = directory.parent_path();
  for (const std::string& place : {directory.string(), std::string("/var/tmp")}) {
    UniqueFd file(open(place.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (file) return file;
  }
  return fail(io_error("make a temporary file", directory));
}

// What the builder says: at once, or, where nothing shall be printed, only if it fails.
class BuilderLog {
 public:
  explicit BuilderLog(OutputFormat format)
      : kept_(format == OutputFormat::quiet ? memfd_create("builder", MFD_CLOEXEC) : -1) {}
  BorrowedFd file() const { return kept_ ? kept_.borrow() : BorrowedFd(2); }
  void show() const {
    off_t from = 0;
    while (kept_ && sendfile(2, kept_.number(), &from, 1 << 20) > 0) {
    }
  }

 private:
  UniqueFd kept_;
};

// As load's standard input, which is of no other use here.
Result<LoadResult> load_archive(BorrowedFd archive, const LoadOptions& options) {
  if (lseek(archive.number(), 0, SEEK_SET) != 0 || dup2(archive.number(), 0) != 0)
    return fail(io_error("rewind", "the built image"));
  Result<LoadResult> loaded = load_image(options);
  if (!loaded && loaded.error().where == "standard input") {
    Error error = loaded.error();
    error.where = "what the builder gave";
    return fail(error);
  }
  return loaded;
}

enum class Remember { no, yes };
// Names it, and writes down what it was made of.
Result<LoadResult> keep(const std::string& directory, const Build& build, const std::string& image,
                        Remember remember) {
  const Result<LockedStore> locked = open_locked(directory, FileLock::Mode::shared);
  if (!locked) return fail(locked.error());
  const Result<ImageRecord> record = read_image_record(locked->store.directory(), image);
  if (!record) return fail(record.error());
  if (auto named = name_image(locked->store, *record, build.names); !named)
    return fail(named.error());
  if (remember == Remember::yes) {
    auto written = locked->store.write_file(build_path(build.digest), build_text(image));
    if (!written) return fail(written.error());
  }
  LoadResult result;
  result.digest = image;
  result.names = build.names;
  result.layers = record->layer_count;
  result.size = record->size;
  return result;
}

Result<LoadResult> build_anew(const Build& build, const BuildWords& words, const Program& program) {
  const Result<UniqueFd> archive = unnamed_file(program.store);
  if (!archive) return fail(archive.error());
  const BuilderLog log(program.format());
  if (auto built = build_into(build.builder, build.wish, *archive, log.file()); !built) {
    log.show();
    return fail(built.error());
  }
  // Files that changed meanwhile may be in the image in either form.
  const Result<std::string> now =
      digest_of(build.wish.input, std::string(to_string(build.builder.kind)));
  // From here on this process may be in a user namespace, where no builder could work.
  const Result<StoreIds> ids = settle_store_ids(program.store);
  if (!ids) return fail(ids.error());
  LoadOptions options;
  options.store = program.store;
  options.reference = "docker-archive:-";
  options.limits = words.limits;
  options.ids = *ids;
  const Result<LoadResult> loaded = load_archive(*archive, options);
  if (!loaded) return loaded;
  Result<LoadResult> kept = keep(program.store, build, loaded->digest,
                                 now && *now == build.digest ? Remember::yes : Remember::no);
  if (kept) kept->notes = loaded->notes;
  return kept;
}

Result<void> build_image(const BuildWords& words, Program& program) {
  Result<Build> build = build_from(words);
  if (!build) return fail(build.error());
  Result<std::string> digest =
      digest_of(build->wish.input, std::string(to_string(build->builder.kind)));
  if (!digest) return fail(digest.error());
  build->digest = std::move(*digest);

  const bool forced = words.no_cache || words.rebuild || words.pull;
  const auto before = forced ? std::nullopt : read_build(program.store, build->digest);
  const bool unchanged = before && complete_image(program.store, *before, KeepBlobs::yes);
  Result<LoadResult> result = unchanged ? keep(program.store, *build, *before, Remember::no)
                                        : build_anew(*build, words, program);
  if (!result) return fail(result.error());
  result->already_loaded = unchanged;
  show_loaded(unchanged ? "Unchanged:" : "Built", *result, program.format(), program.out,
              program.err);
  return {};
}

}  // namespace

void add_build(Program& program) {
  CLI::App* command = program.app.add_subcommand(
      "build", "Build an image from a Dockerfile, by buildah, podman or docker");
  auto words = std::make_shared<BuildWords>();
  const auto repeated = [&](const char* name, std::vector<std::string>& to, const char* text) {
    command->add_option(name, to, text)->allow_extra_args(false);
  };
  command->add_option("directory", words->directory, "The context (default: .)");
  repeated("--tag,-t", words->names, "Name it so; may be repeated");
  command->add_option("--file,-f", words->dockerfile,
                      "The Dockerfile (default: Dockerfile or Containerfile in the context)");
  command->add_option("--target", words->target, "The stage to build (default: the last)");
  repeated("--build-arg", words->args,
           "NAME=VALUE, or NAME for the environment's; may be repeated");
  command->add_option("--builder", words->builder,
                      "buildah, podman or docker (default: $COVE_BUILDER, or what is there)");
  command->add_flag("--rebuild", words->rebuild, "Build also if nothing has changed");
  command->add_flag("--no-cache", words->no_cache, "The same, without the builder's own cache");
  command->add_flag("--pull", words->pull, "The same, with the newest images that FROM names");
  add_json_option(*command, program);
  add_quiet_option(*command, program);
  add_limit_options(*command, words->limits);
  command->callback([&program, words] {
    program.chosen = [&program, words] { return build_image(*words, program); };
  });
}

}  // namespace cove
