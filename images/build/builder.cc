#include "images/build/builder.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "runtime/kernel/io.h"
#include "runtime/kernel/random.h"

namespace cove {
namespace {

constexpr std::array<BuilderKind, 3> kBuilders{BuilderKind::buildah, BuilderKind::podman,
                                               BuilderKind::docker};
constexpr int kCannotExecute = 127;

// In $PATH, as execvp finds it; empty where it does not.
std::string find_program(const std::string& name) {
  const char* path = getenv("PATH");
  std::string_view rest = path ? path : "/usr/local/bin:/usr/bin:/bin";
  for (;;) {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    const std::string program = std::string(rest.substr(0, colon)) + "/" + name;
    if (program.starts_with('/') && access(program.c_str(), X_OK) == 0) return program;
    if (colon == rest.size()) return {};
    rest.remove_prefix(colon + 1);
  }
}

Error builder_error(ErrorCode code, std::string what, std::string hint) {
  Error error;
  error.code = code;
  error.step = "build";
  error.what = std::move(what);
  error.hint = std::move(hint);
  return error;
}

[[noreturn]] void execute(const Command& command, BorrowedFd out, BorrowedFd log, pid_t parent) {
  // A builder whose caller was killed is told to end. (It may have died before the prctl.)
  if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent) _exit(kCannotExecute);
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  if (dup2(null, 0) == 0 && dup2(out.number(), 1) == 1 && dup2(log.number(), 2) == 2)
    execv(words.front(), words.data());
  _exit(kCannotExecute);
}

std::string fate(int status) {
  if (WIFSIGNALED(status))
    return std::string("was killed by ") + strsignal(WTERMSIG(status));  // NOLINT
  if (WEXITSTATUS(status) == kCannotExecute) return "could not be executed";
  return "failed with exit status " + std::to_string(WEXITSTATUS(status));
}

// Runs it to its end.
Result<void> run(const Command& command, BorrowedFd out, BorrowedFd log) {
  const pid_t self = getpid();
  // Copies: both may be below 3, where dup2 would overwrite one before it is used.
  const UniqueFd own_out(fcntl(out.number(), F_DUPFD_CLOEXEC, 3));
  const UniqueFd own_log(fcntl(log.number(), F_DUPFD_CLOEXEC, 3));
  const pid_t pid = own_out && own_log ? fork() : -1;
  if (pid < 0) return fail(errno_error(ErrorCode::resource_exhausted, "build", "fork"));
  if (pid == 0) execute(command, own_out, own_log, self);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return fail(errno_error(ErrorCode::internal, "build", "wait"));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return fail(builder_error(ErrorCode::setup_failed,
                            command[0] + " " + command[1] + " " + fate(status),
                            "what it says stands above"));
}

// What it writes, without the line's end.
Result<std::string> first_line(const Command& command, BorrowedFd log) {
  kernel::Pipe pipe = kernel::make_pipe();
  if (!pipe) return fail(errno_error(ErrorCode::resource_exhausted, "build", "pipe"));
  // One id: it fits into the pipe.
  if (Result<void> done = run(command, pipe.writing, log); !done) return fail(done.error());
  pipe.writing.reset();
  std::array<char, 256> line{};
  const ssize_t got = read(pipe.reading.number(), line.data(), line.size());
  const std::string_view text(line.data(), got < 0 ? 0 : static_cast<std::size_t>(got));
  const std::string first(text.substr(0, text.find('\n')));
  if (!first.empty()) return first;
  return fail(builder_error(ErrorCode::setup_failed, command[0] + " does not know what it built",
                            "what it says stands above"));
}

// One that no other build uses.
std::string temporary_name() { return "localhost/cove-build:" + kernel::random_hex(16); }

}  // namespace

std::string_view to_string(BuilderKind kind) {
  switch (kind) {
    case BuilderKind::buildah:
      return "buildah";
    case BuilderKind::podman:
      return "podman";
    case BuilderKind::docker:
      return "docker";
  }
  return "";
}

Result<Builder> choose_builder(const std::string& asked) {
  bool known = asked.empty();
  for (const BuilderKind kind : kBuilders) {
    if (!asked.empty() && asked != to_string(kind)) continue;
    known = true;
    if (std::string program = find_program(std::string(to_string(kind))); !program.empty())
      return Builder{kind, std::move(program)};
  }
  if (!known)
    return fail(builder_error(ErrorCode::invalid_argument, "\"" + asked + "\" is no builder",
                              "there is: buildah, podman, docker"));
  const std::string package = asked == "docker" ? "docker.io" : asked;
  if (!asked.empty())
    return fail(builder_error(ErrorCode::command_not_found, asked + " is not installed",
                              "Debian has it in package " + package));
  return fail(builder_error(ErrorCode::command_not_found,
                            "there is no program that builds images from a Dockerfile",
                            "install package buildah, podman or docker.io"));
}

Command build_command(const Builder& builder, const BuildWish& wish, const std::string& name) {
  const bool docker = builder.kind == BuilderKind::docker;
  Command command{builder.program, "build", "--tag=" + name, "--file=" + wish.input.dockerfile};
  if (!wish.input.target.empty()) command.push_back("--target=" + wish.input.target);
  for (const std::string& argument : wish.input.args) command.push_back("--build-arg=" + argument);
  if (docker) command.emplace_back("--force-rm");  // as the others do of their own accord
  if (wish.cache == BuilderCache::none) command.emplace_back("--no-cache");
  if (wish.base == BaseImages::pull) command.emplace_back(docker ? "--pull" : "--pull=always");
  command.emplace_back("--");
  command.push_back(wish.input.context);
  return command;
}

Command id_command(const Builder& builder, const std::string& name) {
  return {builder.program, "images", "--quiet", "--no-trunc", "--", name};
}

Command save_command(const Builder& builder, const std::string& image) {
  if (builder.kind == BuilderKind::buildah)
    return {builder.program, "push", "--quiet", "--", image, "docker-archive:/dev/stdout"};
  return {builder.program, "save", "--", image};
}

Command remove_command(const Builder& builder, const std::string& name) {
  // Buildah keeps the parents of its own accord, unless they are nobody's.
  if (builder.kind == BuilderKind::buildah) return {builder.program, "rmi", "--", name};
  return {builder.program, "rmi", "--no-prune", "--", name};
}

Result<void> build_into(const Builder& builder, const BuildWish& wish, BorrowedFd archive,
                        BorrowedFd log) {
  const std::string name = temporary_name();
  if (Result<void> built = run(build_command(builder, wish, name), log, log); !built) return built;
  // By its id, so that the archive says nothing of the name.
  const Result<std::string> image = first_line(id_command(builder, name), log);
  Result<void> saved =
      image ? run(save_command(builder, *image), archive, log) : Result<void>(fail(image.error()));
  const UniqueFd nowhere(open("/dev/null", O_WRONLY | O_CLOEXEC));
  Result<void> removed = run(remove_command(builder, name), nowhere, log);
  return saved ? removed : saved;
}

}  // namespace cove
