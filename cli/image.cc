// cove image: hands over to the `cove-image` executable, which has the code for archives and the
// store that a run has no use for.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/print.h"

namespace cove::cli {
namespace {

constexpr const char* kProgram = "cove-image";

// The directory of the running executable; empty where /proc does not say.
std::string own_directory() {
  std::array<char, PATH_MAX> buffer;
  const ssize_t length = readlink("/proc/self/exe", buffer.data(), buffer.size());
  if (length <= 0) return {};
  const std::string_view path(buffer.data(), static_cast<std::size_t>(length));
  return std::string(path.substr(0, path.rfind('/')));
}

// Where the executable may be, in this order.
std::vector<std::string> candidates() {
  std::vector<std::string> paths;
  if (const char* libexec = getenv("COVE_LIBEXEC"); libexec != nullptr && *libexec != '\0') {
    paths.push_back(std::string(libexec) + "/" + kProgram);
  }
  const std::string own = own_directory();
  if (own.empty()) return paths;
  for (const char* below : {"/", "/images/", "/../images/", "/../libexec/cove/"}) {
    paths.push_back(own + below + kProgram);
  }
  return paths;
}

}  // namespace

int image_command(Words words) {
  std::vector<char*> argv;
  std::string name = kProgram;
  argv.push_back(name.data());
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);

  const std::vector<std::string> paths = candidates();
  std::string looked;
  for (const std::string& path : paths) {
    execv(path.c_str(), argv.data());
    if (errno != ENOENT && errno != ENOTDIR) {
      return complain(errno_error(ErrorCode::internal, "image", "cannot execute " + path));
    }
    looked += (looked.empty() ? "" : ", ") + path;
  }
  Error error;
  error.code = ErrorCode::internal;
  error.step = "image";
  error.what = "there is no " + std::string(kProgram) + " executable; looked at " + looked;
  error.hint = "set COVE_LIBEXEC to the directory that holds it";
  return complain(error);
}

}  // namespace cove::cli
