// What the parsing of a command line may know of the world, passed in so that parsing stays a
// function of its arguments. host_surroundings() is the real world; tests bring their own.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "cove/result.h"

namespace cove::cli {

struct Surroundings {
  // A variable of the caller's environment.
  std::function<std::optional<std::string>(const std::string& name)> variable;
  // A whole file; "-" is the standard input. At most 1 MiB.
  std::function<Result<std::string>(const std::string& path)> read_file;
  // The working directory, for relative paths in mounts.
  std::function<Result<std::string>()> working_directory;
};

Surroundings host_surroundings();

// `path` itself where it is absolute, else below the working directory.
Result<std::string> absolute_path(const Surroundings& surroundings, const std::string& path);

}  // namespace cove::cli
