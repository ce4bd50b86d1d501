#include "cove/error.h"

#include <cerrno>
#include <cstring>

#include "runtime/text/text.h"

namespace cove {
namespace {

// "EPERM (Operation not permitted)". glibc has neither text for a number that is no errno.
std::string errno_text(int number) {
  const char* name = strerrorname_np(number);
  const char* description = strerrordesc_np(number);
  if (!name || !description) return "errno " + std::to_string(number);
  return std::string(name) + " (" + description + ")";
}

std::string one_line(const Error& error) {
  std::string line;
  for (const std::string* part : {&error.step, &error.where}) {
    if (!part->empty()) line += *part + ": ";
  }
  line += error.what;
  if (error.sys_errno != 0) line += ": " + errno_text(error.sys_errno);
  if (!error.hint.empty()) line += " (" + error.hint + ")";
  // Paths and names in it may be an image's: they must neither break the line nor drive a terminal.
  return printable(line);
}

}  // namespace

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::image_not_found:
      return "image_not_found";
    case ErrorCode::image_invalid:
      return "image_invalid";
    case ErrorCode::limit_not_enforceable:
      return "limit_not_enforceable";
    case ErrorCode::isolation_unavailable:
      return "isolation_unavailable";
    case ErrorCode::command_not_found:
      return "command_not_found";
    case ErrorCode::command_not_executable:
      return "command_not_executable";
    case ErrorCode::permission_denied:
      return "permission_denied";
    case ErrorCode::resource_exhausted:
      return "resource_exhausted";
    case ErrorCode::setup_failed:
      return "setup_failed";
    case ErrorCode::sandbox_lost:
      return "sandbox_lost";
    case ErrorCode::network_failed:
      return "network_failed";
    case ErrorCode::internal:
      return "internal";
  }
  return "internal";
}

std::string Error::message() const {
  std::string text = one_line(*this);
  for (const Error& other : more) {
    text += '\n';
    text += other.message();
  }
  return text;
}

Error errno_error(ErrorCode code, std::string step, std::string what) {
  const int saved = errno;
  Error error;
  error.code = code;
  error.step = std::move(step);
  error.sys_errno = saved;
  error.what = std::move(what);
  return error;
}

Error one_error(std::vector<Error> mistakes) {
  Error first = std::move(mistakes.front());
  for (std::size_t i = 1; i < mistakes.size(); ++i) first.more.push_back(std::move(mistakes[i]));
  return first;
}

}  // namespace cove
