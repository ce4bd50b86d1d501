// The `cove-image` program: what all its commands share, and the command that was chosen. Each
// command has a file of its own, which adds it: its options, and what it does.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <iosfwd>
#include <string>

#include "cove/image.h"
#include "cove/result.h"
#include "images/store/load.h"

namespace cove {

enum class OutputFormat { text, json, quiet };

struct Program {
  std::ostream& out;
  std::ostream& err;  // notes and progress
  CLI::App app{"Cove's image store", "cove-image"};
  std::string store = default_store();
  bool json = false, quiet = false;
  bool reported = false;                   // what failed is in the result, which was printed
  std::function<Result<void>()> chosen{};  // set while the command line is parsed

  OutputFormat format() const {
    if (json) return OutputFormat::json;
    return quiet ? OutputFormat::quiet : OutputFormat::text;
  }
};

void add_build(Program& program);
void add_import(Program& program);
void add_inspect(Program& program);
void add_load(Program& program);
void add_login(Program& program);
void add_logout(Program& program);
void add_pull(Program& program);
void add_ls(Program& program);
void add_prune(Program& program);
void add_rm(Program& program);
void add_save(Program& program);
void add_tag(Program& program);
void add_verify(Program& program);

// Options that several commands have.
void add_json_option(CLI::App& command, Program& program);
void add_quiet_option(CLI::App& command, Program& program);
void add_limit_options(CLI::App& command, UnpackLimits& limits);
void add_registry_options(CLI::App& command, RegistrySettings& registries, FetchSettings& fetch);
// What both ways to load have: --name, --platform, those of registries and of limits.
void add_load_options(CLI::App& command, Program& program, LoadOptions& options);
Result<void> load(Program& program, LoadOptions options);
void add_keep_blobs_option(CLI::App& command, KeepBlobs& keep);

}  // namespace cove
