#include "tests/support/sandbox.h"

#include <cstdlib>
#include <sstream>
#include <string_view>

#include "cove/json.h"

namespace cove::testing {
namespace {

SandboxResult failed(Error error) {
  SandboxResult result;
  result.error = std::move(error);
  return result;
}

void strip(Error& error, const std::string& prefix) {
  if (error.where.compare(0, prefix.size(), prefix) == 0) error.where.erase(0, prefix.size());
  for (Error& more : error.more) strip(more, prefix);
}

}  // namespace

SandboxSpec probe(const std::string& commands) {
  std::istringstream text(commands);
  std::vector<std::string> words;
  for (std::string word; text >> word;) words.push_back(word);
  return probe(std::move(words));
}

SandboxSpec probe(std::vector<std::string> words, const RootDirectory& root) {
  SandboxSpec spec;
  spec.rootfs = root.path();
  words.insert(words.begin(), "/bin/probe");
  spec.command = std::move(words);
  return spec;
}

Engine& shared_engine() {
  static Engine engine = Engine::create().value();
  return engine;
}

Result<Engine> engine_below(const std::string& cgroup_parent) {
  EngineOptions options;
  options.cgroup_parent = cgroup_parent;
  return Engine::create(std::move(options));
}

SandboxResult run_through_library(const SandboxSpec& spec) { return shared_engine().run(spec); }

SandboxResult run_through_command(const SandboxSpec& spec) {
  const TempDirectory directory;
  put_file(directory / "spec.json", to_json(spec));
  const CommandOutcome outcome =
      run_command({command_path(), "run", "--json", "--spec", directory / "spec.json"});
  auto result = result_from_json(outcome.out);
  if (result) {
    // The command tells in which file the mistake is; the library has no file.
    const std::string prefix = "--spec " + (directory / "spec.json") + ": ";
    if (result->error) strip(*result->error, prefix);
    return std::move(*result);
  }
  Error error = result.error();
  error.what = "cove run ended with " + std::to_string(outcome.status) + ", stdout " + outcome.out +
               ", stderr " + outcome.err + ": " + error.what;
  return failed(std::move(error));
}

SandboxResult run(const SandboxSpec& spec) {
  const char* through = std::getenv("COVE_TEST_THROUGH");
  const bool command = through != nullptr && std::string_view(through) == "command";
  return command ? run_through_command(spec) : run_through_library(spec);
}

std::vector<std::string> cove_run(const std::vector<std::string>& arguments,
                                  const std::string& commands, const RootDirectory& root) {
  std::vector<std::string> argv{command_path(), "run"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  argv.insert(argv.end(), {"--rootfs", root.path(), "--"});
  const std::vector<std::string> words = *probe(commands).command;
  argv.insert(argv.end(), words.begin(), words.end());
  return argv;
}

MountSpec bind_of(const std::string& host_path, const std::string& container_path) {
  MountSpec mount;
  mount.host_path = host_path;
  mount.container_path = container_path;
  return mount;
}

MountSpec read_only_bind_of(const std::string& host_path, const std::string& container_path) {
  MountSpec mount = bind_of(host_path, container_path);
  mount.read_only = true;
  return mount;
}

std::string shown(const SandboxResult& result) {
  SandboxResult shortened = result;
  for (CapturedStream* stream : {&shortened.stdout_stream, &shortened.stderr_stream}) {
    if (stream->bytes.size() > 4096) stream->bytes = stream->bytes.substr(0, 4096) + "...";
  }
  return to_json(shortened, Indent::pretty);
}

std::string output(const SandboxResult& result) { return result.stdout_stream.bytes; }

std::string remarks_of(const CommandOutcome& outcome) {
  std::string remarks;
  for (const std::string& line : lines_of(outcome.err)) {
    if (!line.starts_with("cove: degraded: ")) remarks += line + "\n";
  }
  return remarks;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string line_after(const std::string& text, const std::string& start) {
  for (const std::string& line : lines_of(text)) {
    if (line.compare(0, start.size(), start) == 0) return line.substr(start.size());
  }
  return {};
}

}  // namespace cove::testing
