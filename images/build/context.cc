#include "images/build/context.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "images/build/ignore.h"
#include "images/layout/sha256.h"
#include "images/store_index/files.h"
#include "images/unpack/shown_name.h"
#include "images/unpack/xattrs.h"
#include "runtime/kernel/directory.h"

namespace cove {
namespace {

constexpr std::size_t kPiece = 256 * 1024;
constexpr std::size_t kIgnoreCap = 1024 * 1024;
constexpr std::uint64_t kResolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
constexpr std::string_view kLabel = "security.selinux";
constexpr int kVersion = 1;  // of what is hashed: others give other digests

Error context_error(const char* action, const std::string& path) {
  const bool denied = errno == EACCES || errno == EPERM;
  const bool missing = errno == ENOENT || errno == ENOTDIR;
  Error error = errno_error(denied    ? ErrorCode::permission_denied
                            : missing ? ErrorCode::image_not_found
                                      : ErrorCode::setup_failed,
                            "build", action);
  error.where = shown_name(path);
  return error;
}

class Digester {
 public:
  explicit Digester(IgnoredFiles ignored) : ignored_(std::move(ignored)) {}

  Result<void> add_below(BorrowedFd directory, const std::string& path);
  std::string finish() { return hash_.finish(); }

 private:
  Result<void> add(BorrowedFd directory, const std::string& name, const std::string& path);
  Result<void> add_opened(BorrowedFd file, const std::string& path, bool ignored);
  Result<void> add_content(BorrowedFd file, const std::string& path);
  // Each word behind its length, so that two never read as one.
  void word(std::string_view text) {
    hash_.update(std::to_string(text.size()) + ":");
    hash_.update(text);
  }

  IgnoredFiles ignored_;
  Sha256 hash_;
};

Result<void> Digester::add_content(BorrowedFd file, const std::string& path) {
  Sha256 content;
  std::vector<char> buffer(kPiece);
  for (;;) {
    const ssize_t got = read(file.number(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(context_error("read", path));
    if (got == 0) break;
    content.update({buffer.data(), static_cast<std::size_t>(got)});
  }
  word(content.finish());
  return {};
}

Result<void> Digester::add_opened(BorrowedFd file, const std::string& path, bool ignored) {
  struct stat status {};
  if (fstat(file.number(), &status) != 0) return fail(context_error("look at", path));
  if (!ignored) {
    word(path);
    word(std::to_string(status.st_mode));
    for (const auto& [name, value] : read_xattrs(file)) {
      if (name == kLabel) continue;
      word(name);
      word(value);
    }
  }
  if (S_ISDIR(status.st_mode)) return add_below(file, path);
  return S_ISREG(status.st_mode) ? add_content(file, path) : Result<void>();
}

Result<void> Digester::add(BorrowedFd directory, const std::string& name, const std::string& path) {
  const bool ignored = ignored_.holds(path);
  if (ignored && !ignored_.has_exceptions()) return {};
  struct stat status {};
  if (fstatat(directory.number(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return fail(context_error("look at", path));
  if (ignored && !S_ISDIR(status.st_mode)) return {};
  if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) {
    const UniqueFd file = open_beneath(directory, name.c_str(),
                                       O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, kResolve);
    if (!file) return fail(context_error("open", path));
    return add_opened(file, path, ignored);
  }
  word(path);
  word(std::to_string(status.st_mode));
  if (!S_ISLNK(status.st_mode)) return {};
  std::vector<char> target(PATH_MAX);
  const ssize_t size =
      readlinkat(directory.number(), name.c_str(), target.data(), target.size() - 1);
  if (size < 0) return fail(context_error("read the link", path));
  word({target.data(), static_cast<std::size_t>(size)});
  return {};
}

Result<void> Digester::add_below(BorrowedFd directory, const std::string& path) {
  std::optional<std::vector<std::string>> names = names_in(directory);
  if (!names) return fail(context_error("list", path));
  std::sort(names->begin(), names->end());
  for (const std::string& name : *names) {
    const std::string below = path.empty() ? name : path + "/" + name;
    if (Result<void> added = add(directory, name, below); !added) return added;
  }
  word("");  // the end of the directory
  return {};
}

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

Result<std::string> text_of(const std::string& path, std::size_t cap) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return fail(context_error("open", path));
  return read_regular(file, cap, Oversize::refuse, path);
}

// None where a builder might read another file than .dockerignore, and so ignore less.
Result<IgnoredFiles> ignored_by(const BuildInput& input) {
  const std::string usual = input.context + "/.dockerignore";
  for (const std::string& other :
       {input.context + "/.containerignore", input.dockerfile + ".dockerignore",
        input.dockerfile + ".containerignore"}) {
    if (exists(other)) return IgnoredFiles();
  }
  if (!exists(usual)) return IgnoredFiles();
  const Result<std::string> text = text_of(usual, kIgnoreCap);
  if (!text) return fail(text.error());
  return IgnoredFiles(*text);
}

// "NAME" with the value that the builder will find.
std::string whole_argument(const std::string& argument) {
  if (argument.find('=') != std::string::npos) return argument;
  const char* value = getenv(argument.c_str());
  return value ? argument + "=" + value : argument;
}

}  // namespace

Result<std::string> digest_of(const BuildInput& input, const std::string& builder) {
  Result<IgnoredFiles> ignored = ignored_by(input);
  if (!ignored) return fail(ignored.error());
  const UniqueFd context(open(input.context.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!context) return fail(context_error("open", input.context));
  Digester files(std::move(*ignored));
  if (Result<void> added = files.add_below(context, ""); !added) return fail(added.error());
  const Result<std::string> dockerfile = text_of(input.dockerfile, kIgnoreCap);
  if (!dockerfile) return fail(dockerfile.error());
  // What the ignore file says matters by what is left; but it may be copied itself.
  std::vector<std::string> args;
  for (const std::string& argument : input.args) args.push_back(whole_argument(argument));
  const nlohmann::json words{kVersion,       builder,
                             files.finish(), sha256_of(*dockerfile),
                             input.target,   nlohmann::json(args)};
  return sha256_of(words.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace cove
