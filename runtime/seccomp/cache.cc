#include "runtime/seccomp/cache.h"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>

#include "runtime/kernel/io.h"
#include "runtime/seccomp/compile.h"
#include "runtime/seccomp/read_file.h"

namespace cove {
namespace {

// An entry: this line, the source's and the program's sizes, the source, the program, a hash of all
// before it. Numbers lie in the machine's own order, since a program is of use on its own
// architecture only.
std::string build_line() {
  const scmp_version* version = seccomp_version();
  std::array<char, 128> line{};
  std::snprintf(line.data(), line.size(), "cove seccomp %d libseccomp %u.%u.%u arch %08x\n",
                kCompilerVersion, version->major, version->minor, version->micro,
                seccomp_arch_native());
  return line.data();
}

struct Sizes {
  std::uint64_t source;
  std::uint64_t program;
};

template <typename T>
std::string_view bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string head(std::string_view source, std::size_t program_bytes) {
  const Sizes sizes{source.size(), program_bytes};
  std::string text = build_line();
  text += bytes_of(sizes);
  text += source;
  return text;
}

std::string entry(std::string_view source, std::span<const sock_filter> program) {
  std::string text = head(source, program.size_bytes());
  text.append(reinterpret_cast<const char*>(program.data()), program.size_bytes());
  const std::uint64_t hash = content_hash(text);
  text += bytes_of(hash);
  return text;
}

// A cached program is obeyed without a look at its policy, so nobody else may have had a hand in
// it.
bool only_ours(BorrowedFd file) {
  struct stat status {};
  return fstat(file.number(), &status) == 0 && status.st_uid == geteuid() &&
         (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

std::optional<std::vector<sock_filter>> program_of(std::string_view text, std::string_view source) {
  constexpr std::size_t kHash = sizeof(std::uint64_t);
  const std::size_t before = head(source, 0).size();
  if (text.size() <= before + kHash) return std::nullopt;
  const std::size_t program_bytes = text.size() - before - kHash;
  if (program_bytes % sizeof(sock_filter) != 0) return std::nullopt;
  const std::size_t count = program_bytes / sizeof(sock_filter);
  if (count > BPF_MAXINSNS) return std::nullopt;

  std::vector<sock_filter> program(count);
  std::memcpy(program.data(), text.data() + before, program_bytes);
  if (entry(source, program) != text) return std::nullopt;
  return program;
}

}  // namespace

std::uint64_t content_hash(std::string_view bytes) {
  std::uint64_t hash = 14695981039346656037u;
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211u;
  return hash;
}

std::string hexadecimal(std::uint64_t number) {
  std::array<char, 17> digits{};
  std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(number));
  return digits.data();
}

std::string cache_entry_name(std::string_view source) {
  return "seccomp-" + hexadecimal(content_hash(source)) + ".filter";
}

std::optional<std::vector<sock_filter>> read_cached(BorrowedFd directory, std::string_view source) {
  const UniqueFd file(openat(directory.number(), cache_entry_name(source).c_str(),
                             O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file || !only_ours(file)) return std::nullopt;
  const std::size_t largest = head(source, 0).size() + BPF_MAXINSNS * sizeof(sock_filter) + 8;
  const Result<std::string> text = read_regular_file(file, largest);
  return text ? program_of(*text, source) : std::nullopt;
}

void write_cached(BorrowedFd directory, std::string_view source,
                  std::span<const sock_filter> program) {
  std::uint64_t random = 0;
  if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random) return;
  const std::string name = cache_entry_name(source);
  const std::string temporary = "." + name + "." + hexadecimal(random);
  const UniqueFd file(openat(directory.number(), temporary.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return;
  const bool kept =
      kernel::write_all(file, entry(source, program)) &&
      renameat(directory.number(), temporary.c_str(), directory.number(), name.c_str()) == 0;
  if (!kept) unlinkat(directory.number(), temporary.c_str(), 0);
}

}  // namespace cove
