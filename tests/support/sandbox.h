// Sandboxes of the tests: a probe in a root directory, run through the library or through the
// `cove` command.
//
//   const SandboxResult result = run(probe("print hello ; exit 3"));
//   EXPECT_EQ(result.exit_code, 3) << shown(result);
//
// run() takes the library; $COVE_TEST_THROUGH=command makes it take `cove run --json --spec FILE`,
// for the same tests. What is only there in one of the two says so by its name.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "cove/engine.h"
#include "tests/support/command.h"
#include "tests/support/files.h"

namespace cove::testing {

// The spec of a probe that runs these commands, words separated by spaces, in the shared root
// directory.
SandboxSpec probe(const std::string& commands);
// The same with words that may hold spaces, and a root directory of the test's own.
SandboxSpec probe(std::vector<std::string> words,
                  const RootDirectory& root = RootDirectory::shared());

SandboxResult run(const SandboxSpec& spec);
SandboxResult run_through_library(const SandboxSpec& spec);
SandboxResult run_through_command(const SandboxSpec& spec);

// The engine of run_through_library: default options, one for the whole process.
Engine& shared_engine();
// One whose cgroups are made below that path of the hierarchies.
Result<Engine> engine_below(const std::string& cgroup_parent);

// `cove run ARGUMENTS... --rootfs ROOT -- /bin/probe COMMANDS`
std::vector<std::string> cove_run(const std::vector<std::string>& arguments,
                                  const std::string& commands,
                                  const RootDirectory& root = RootDirectory::shared());

MountSpec bind_of(const std::string& host_path, const std::string& container_path);
MountSpec read_only_bind_of(const std::string& host_path, const std::string& container_path);

// For failure messages: the whole result, as JSON.
std::string shown(const SandboxResult& result);
std::string output(const SandboxResult& result);

// What the command said on stderr, but for its lines on what this host has cost the run.
std::string remarks_of(const CommandOutcome& outcome);

// Line by line, without the newlines.
std::vector<std::string> lines_of(const std::string& text);
// The rest of the first line that starts with `start`; empty where there is none.
std::string line_after(const std::string& text, const std::string& start);

}  // namespace cove::testing

namespace cove {

// How googletest shows them.
inline void PrintTo(Cause cause, std::ostream* out) { *out << to_string(cause); }
inline void PrintTo(ProcessStatus status, std::ostream* out) { *out << to_string(status); }
inline void PrintTo(ErrorCode code, std::ostream* out) { *out << to_string(code); }
inline void PrintTo(Protection protection, std::ostream* out) { *out << to_string(protection); }

}  // namespace cove
