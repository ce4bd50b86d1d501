#include "images/store/save.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "images/commands/locked_store.h"
#include "images/commands/program.h"
#include "images/store/source.h"

namespace cove {
namespace {

// `file` empty: to standard output, unless that is a terminal.
Result<void> save(const std::string& directory, const std::vector<std::string>& references,
                  const std::string& file) {
  if (file.empty() && isatty(1)) {
    Error error;
    error.code = ErrorCode::invalid_argument;
    error.step = "image save";
    error.what = "standard output is a terminal";
    error.hint = "name a file with --output, or write into a pipe";
    return fail(error);
  }
  const Result<LockedStore> locked = open_locked(directory, FileLock::Mode::shared);
  if (!locked) return fail(locked.error());
  if (file.empty()) return save_images(locked->store, references, BorrowedFd(1), "standard output");

  // Aside first: what has that name stays until there is something better.
  const std::string aside = file + ".cove-" + std::to_string(getpid());
  const UniqueFd out(open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!out) return fail(io_error("create", aside));
  Result<void> done = save_images(locked->store, references, out, aside);
  if (done && fsync(out.number()) != 0) done = fail(io_error("fsync", aside));
  if (done && rename(aside.c_str(), file.c_str()) != 0) done = fail(io_error("rename", file));
  if (!done) unlink(aside.c_str());
  return done;
}

}  // namespace

void add_save(Program& program) {
  CLI::App* command = program.app.add_subcommand(
      "save", "Write images as one archive, which Docker, Podman and skopeo read");
  struct Options {
    std::vector<std::string> references;
    std::string file;
  };
  auto options = std::make_shared<Options>();
  command->add_option("images", options->references, "Names or digests")->required();
  command->add_option("--output,-o", options->file, "The file (default: standard output)");
  command->callback([&program, options] {
    program.chosen = [&program, options] {
      return save(program.store, options->references, options->file);
    };
  });
}

}  // namespace cove
