#include "images/commands/program.h"

namespace cove {

void add_json_option(CLI::App& command, Program& program) {
  command.add_flag("--json", program.json, "Print JSON");
}

void add_quiet_option(CLI::App& command, Program& program) {
  command.add_flag("--quiet,-q", program.quiet, "Print nothing");
}

void add_limit_options(CLI::App& command, UnpackLimits& limits) {
  command.add_option("--max-bytes", limits.bytes, "Refuse what unpacks to more")
      ->transform(CLI::AsSizeValue(false));
  command.add_option("--max-entries", limits.entries, "Refuse more files and directories");
  command.add_option(
      "--max-ratio", limits.ratio,
      "Refuse compressed data above 4 GiB that unpacks to more times its size; 0: do not");
  command.add_option("--max-path-depth", limits.path_depth, "Refuse paths of more parts");
  command.add_option("--max-path-length", limits.path_length, "Refuse longer paths")
      ->check(CLI::Range(1, 4095));
}

void add_keep_blobs_option(CLI::App& command, KeepBlobs& keep) {
  command.add_flag_callback(
      "--no-keep-blobs", [&keep] { keep = KeepBlobs::no; },
      "Keep layers only as they are unpacked: half of the place, but no save, and no repair");
}

}  // namespace cove
