// The commands of `cove`, one file each. main.cc holds the table that names them.
#pragma once

#include <span>
#include <string>

namespace cove::cli {

// What stands behind the command's name; returns the exit status of the process.
using Words = std::span<const std::string>;

int run_command(Words words);
int plan_command(Words words);
int doctor_command(Words words);
int profile_command(Words words);
int image_command(Words words);
int version_command(Words words);

}  // namespace cove::cli
