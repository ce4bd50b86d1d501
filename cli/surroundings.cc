#include "cli/surroundings.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>

namespace cove::cli {
namespace {

constexpr std::size_t kMaxFile = std::size_t{1} << 20;

Result<std::string> read_all(int fd, const std::string& path) {
  std::string text;
  std::array<char, 16384> buffer;
  for (;;) {
    const ssize_t count = read(fd, buffer.data(), buffer.size());
    if (count == 0) return text;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno_error(ErrorCode::invalid_argument, {}, "cannot read " + path));
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > kMaxFile) {
      Error error;
      error.code = ErrorCode::invalid_argument;
      error.what = path + " is larger than 1 MiB";
      return fail(std::move(error));
    }
  }
}

Result<std::string> read_file(const std::string& path) {
  if (path == "-") return read_all(STDIN_FILENO, "the standard input");
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(errno_error(ErrorCode::invalid_argument, {}, "cannot open " + path));
  Result<std::string> text = read_all(fd, path);
  close(fd);
  return text;
}

Result<std::string> working_directory() {
  std::array<char, PATH_MAX> buffer;
  if (getcwd(buffer.data(), buffer.size()) == nullptr) {
    return fail(errno_error(ErrorCode::invalid_argument, {}, "cannot tell the working directory"));
  }
  return std::string(buffer.data());
}

}  // namespace

Surroundings host_surroundings() {
  return {
      .variable = [](const std::string& name) -> std::optional<std::string> {
        const char* value = getenv(name.c_str());
        return value == nullptr ? std::nullopt : std::optional<std::string>(value);
      },
      .read_file = read_file,
      .working_directory = working_directory,
  };
}

Result<std::string> absolute_path(const Surroundings& surroundings, const std::string& path) {
  if (path.starts_with('/')) return path;
  Result<std::string> directory = surroundings.working_directory();
  if (!directory || path == ".") return directory;
  const std::string relative = path.starts_with("./") ? path.substr(2) : path;
  return directory->ends_with('/') ? *directory + relative : *directory + "/" + relative;
}

}  // namespace cove::cli
