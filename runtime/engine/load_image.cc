#include "runtime/engine/load_image.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "cove/json.h"
#include "runtime/kernel/fd.h"
#include "runtime/kernel/io.h"

extern char** environ;

namespace cove {
namespace {

#ifndef COVE_LIBEXEC_DIR
#define COVE_LIBEXEC_DIR "/usr/local/libexec/cove"
#endif

constexpr std::size_t kMostMessage = 64 * 1024;

std::string own_directory() {
  std::array<char, PATH_MAX> path{};
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
  const std::string self(path.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  return self.substr(0, self.find_last_of('/'));
}

std::string read_all(BorrowedFd fd) {
  std::string text;
  std::array<char, 4096> buffer;  // NOLINT: filled by read
  for (ssize_t got; (got = read(fd.number(), buffer.data(), buffer.size())) > 0 ||
                    (got < 0 && errno == EINTR);) {
    if (got > 0 && text.size() < kMostMessage)
      text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// Of the JSON object that `cove-image load --json` prints.
Result<std::string> digest_in(const std::string& printed) {
  const nlohmann::json document = nlohmann::json::parse(printed, nullptr, false);
  if (document.is_object() && document.contains("digest") && document["digest"].is_string())
    return document["digest"].get<std::string>();
  Error error;
  error.step = "load";
  error.what = "cove-image gave no digest";
  return fail(error);
}

// What it prints in its place, or the words of one that was killed or could not begin.
Error failure(const std::string& reference, const std::string& printed,
              const std::string& complaint) {
  const std::string step = "load " + reference;
  if (Result<Error> told = error_from_json(printed)) {
    told->step = told->step.empty() ? step : step + ": " + told->step;
    return std::move(*told);
  }
  Error error;
  error.code = ErrorCode::image_invalid;
  error.step = step;
  error.what = complaint.empty() ? "cove-image failed without a word" : complaint;
  return error;
}

std::vector<std::string> usual_places() {
  std::vector<std::string> places;
  if (const char* given = std::getenv("COVE_LIBEXEC")) places.emplace_back(given);
  const std::string own = own_directory();
  for (const char* below : {"", "/images", "/runtime", "/../libexec/cove"})
    places.push_back(own + below);
  places.emplace_back(COVE_LIBEXEC_DIR);
  return places;
}

}  // namespace

Result<std::string> find_executable(const std::string& name, const std::string& libexec) {
  std::string tried;
  for (const std::string& place :
       libexec.empty() ? usual_places() : std::vector<std::string>{libexec}) {
    std::string path = place + "/" + name;
    if (access(path.c_str(), X_OK) == 0) return path;
    tried += (tried.empty() ? "" : ", ") + place;
  }
  return fail(Error{ErrorCode::internal,
                    "find " + name,
                    0,
                    "it is not installed there",
                    tried,
                    libexec.empty()
                        ? "set COVE_LIBEXEC to the directory that has it"
                        : "EngineOptions::libexec has to name the directory that has it",
                    {}});
}

Result<std::string> load_image(const std::string& store, const std::string& reference,
                               const std::string& libexec) {
  auto program = find_executable("cove-image", libexec);
  if (!program) return fail(program.error());
  kernel::Pipe complaints = kernel::make_pipe();
  if (!complaints) return fail(errno_error(ErrorCode::resource_exhausted, "load", "pipe"));

  // What it complains about comes through the pipe while it runs; its result is read at its end.
  const UniqueFd result(memfd_create("result", MFD_CLOEXEC));
  if (!result) return fail(errno_error(ErrorCode::resource_exhausted, "load", "memfd_create"));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, result.number(), 1);
  posix_spawn_file_actions_adddup2(&actions, complaints.writing.number(), 2);
  std::vector<std::string> words{*program,  "load", "--quiet", "--json",
                                 "--store", store,  "--",      reference};
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, program->c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    errno = error;
    return fail(errno_error(ErrorCode::setup_failed, "load", "start " + *program));
  }
  complaints.writing.reset();
  const std::string complaint = read_all(complaints.reading);
  lseek(result.number(), 0, SEEK_SET);
  const std::string printed = read_all(result);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return digest_in(printed);
  return fail(failure(reference, printed, complaint));
}

}  // namespace cove
