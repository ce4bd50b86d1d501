#include "runtime/seccomp/filter.h"

#include <fcntl.h>

#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>

#include "profiles/embedded.h"
#include "runtime/kernel/fd.h"
#include "runtime/seccomp/cache.h"
#include "runtime/seccomp/compile.h"
#include "runtime/seccomp/policy.h"
#include "runtime/seccomp/read_file.h"

namespace cove {
namespace {

constexpr std::size_t kLargestSource = 1 << 20;

Filter named(std::string name, std::vector<sock_filter> program) {
  const std::string_view bytes(reinterpret_cast<const char*>(program.data()),
                               program.size() * sizeof(sock_filter));
  std::string digest = hexadecimal(content_hash(bytes));
  return Filter{std::move(name), std::move(program), std::move(digest)};
}

Result<Filter> built_in(const std::string& name) {
  std::string known;
  for (const EmbeddedProfile& profile : embedded_profiles()) {
    if (profile.kind != "seccomp") continue;
    if (profile.name == name) {
      return named(name, {profile.program.begin(), profile.program.end()});
    }
    known += (known.empty() ? "" : ", ") + std::string(profile.name);
  }
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "seccomp";
  error.what = "there is no system call filter named \"" + name + "\"";
  error.hint = name == "unconfined"
                   ? "to run without a filter say \"require\": {\"seccomp\": \"off\"}"
                   : "the names are " + known + "; a file is written with a slash, ./" +
                         (name.empty() ? "policy.json" : name);
  return fail(error);
}

Result<std::string> read_source(const std::string& path) {
  if (path.find('\0') != std::string::npos) {
    Error error;
    error.code = ErrorCode::invalid_argument;
    error.step = "seccomp";
    error.what = "has a NUL byte in its name";  // open(2) would read another file than was named
    return fail(error);
  }
  // O_NONBLOCK: a FIFO must not hold the launch before it is refused.
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (file) return read_regular_file(file, kLargestSource);
  const bool denied = errno == EACCES || errno == EPERM;
  return fail(errno_error(denied ? ErrorCode::permission_denied : ErrorCode::invalid_argument,
                          "seccomp", "open the policy"));
}

Result<std::vector<sock_filter>> program_for(const std::string& source,
                                             const Circumstances& circumstances, BorrowedFd cache) {
  const std::string key = cache_key(source, circumstances);
  if (cache) {
    if (auto cached = read_cached(cache, key)) return std::move(*cached);
  }
  const Result<Policy> policy = parse_policy(source, circumstances);
  if (!policy) return fail(policy.error());
  Result<std::vector<sock_filter>> program = compile(*policy);
  if (program && cache) write_cached(cache, key, *program);
  return program;
}

// Names the file in an error, before the place inside it.
Error in_file(Error error, const std::string& path) {
  error.where = error.where.empty() ? path : path + " " + error.where;
  for (Error& other : error.more) other = in_file(std::move(other), path);
  return error;
}

Result<Filter> from_file(const std::string& path, const Circumstances& circumstances,
                         BorrowedFd cache) {
  const Result<std::string> source = read_source(path);
  if (!source) return fail(in_file(source.error(), path));
  Result<std::vector<sock_filter>> program = program_for(*source, circumstances, cache);
  if (!program) return fail(in_file(program.error(), path));
  return named(path, std::move(*program));
}

}  // namespace

std::string cache_key(std::string_view source, const Circumstances& circumstances) {
  std::string key(source);
  key += "\nkernel " + std::to_string(circumstances.kernel_version) + "." +
         std::to_string(circumstances.kernel_patchlevel) + " capabilities";
  for (const std::string& capability : circumstances.capabilities) key += " " + capability;
  return key;
}

Result<Filter> find_filter(const std::string& name_or_path, int cache_directory_fd,
                           const Circumstances& circumstances) {
  if (name_or_path.find('/') == std::string::npos) return built_in(name_or_path);
  return from_file(name_or_path, circumstances, BorrowedFd(cache_directory_fd));
}

}  // namespace cove
