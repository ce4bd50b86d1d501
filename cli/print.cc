#include "cli/print.h"

#include <unistd.h>

#include <cerrno>
#include <string>

#include "cove/json.h"

namespace cove::cli {
namespace {

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

}  // namespace

bool print(std::string_view text) {
  if (write_all(STDOUT_FILENO, text)) return true;
  complain(errno_error(ErrorCode::internal, {}, "cannot write to standard output"));
  return false;
}

void complain(std::string_view text) {
  std::string lines;
  while (!text.empty()) {
    const std::size_t newline = text.find('\n');
    lines += "cove: " + std::string(text.substr(0, newline)) + "\n";
    text = newline == std::string_view::npos ? std::string_view() : text.substr(newline + 1);
  }
  write_all(STDERR_FILENO, lines);  // at once, so that lines of several processes do not mix
}

int complain(const Error& error) {
  complain(error.message());
  return kExitOurError;
}

int complain_as_json(const Error& error) {
  SandboxResult result;
  result.error = error;
  print(to_json(result) + "\n");
  return exit_status(result);
}

}  // namespace cove::cli
