#include "tests/support/probe_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace probe {
namespace {

using cove::payload::line;
using cove::payload::names_in;

constexpr std::uint64_t kFnvOffset = 0xcbf29ce484222325, kFnvPrime = 0x100000001b3;

std::string hex(std::uint64_t number) {
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "%llx", static_cast<unsigned long long>(number));
  return text.data();
}

// Of any byte that would break a line.
std::string escaped(const std::string& text) {
  std::string all;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    all += byte > ' ' && byte != '\\' && byte != 0x7f ? std::string(1, c) : "\\x" + hex(byte);
  }
  return all;
}

const char* type_of(mode_t mode) {
  return S_ISREG(mode)    ? "file"
         : S_ISDIR(mode)  ? "directory"
         : S_ISLNK(mode)  ? "link"
         : S_ISFIFO(mode) ? "fifo"
         : S_ISSOCK(mode) ? "socket"
         : S_ISCHR(mode)  ? "character-device"
                          : "block-device";
}

// FNV-1a of the bytes.
std::string checksum(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return "unreadable";
  std::uint64_t sum = kFnvOffset;
  std::vector<unsigned char> buffer(1 << 16);
  for (ssize_t got = 0; (got = read(fd, buffer.data(), buffer.size())) > 0;) {
    for (ssize_t i = 0; i < got; ++i) sum = (sum ^ buffer[static_cast<std::size_t>(i)]) * kFnvPrime;
  }
  close(fd);
  return hex(sum);
}

std::string attributes(const std::string& path) {
  std::vector<char> names(1 << 16), value(1 << 16);
  const ssize_t size = llistxattr(path.c_str(), names.data(), names.size());
  std::set<std::string> all;
  for (ssize_t at = 0; at < size;) {
    const std::string name = &names[static_cast<std::size_t>(at)];
    at += static_cast<ssize_t>(name.size()) + 1;
    const ssize_t length = lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (name.starts_with("user.overlay.") || name.starts_with("trusted.overlay.")) continue;
    std::string text = " " + escaped(name) + "=";
    for (ssize_t i = 0; i < length; ++i)
      text += hex(static_cast<unsigned char>(value[static_cast<std::size_t>(i)])) + ",";
    all.insert(text);
  }
  std::string text;
  for (const std::string& one : all) text += one;
  return text;
}

class Tree {
 public:
  Tree(std::string top, std::set<std::string> except)
      : top_(std::move(top)), except_(std::move(except)) {}

  void describe_below(const std::string& path) {
    for (const std::string& name : names_in(top_ + path + "/")) {
      const std::string below = path + "/" + name;
      if (!except_.contains(below)) describe(below);
    }
  }

 private:
  void describe(const std::string& path) {
    struct stat status {};
    const std::string here = top_ + path;
    if (lstat(here.c_str(), &status) != 0) return line(escaped(path) + " cannot be looked at");
    line(escaped(path) + words(here, path, status) + attributes(here));
    if (S_ISDIR(status.st_mode)) describe_below(path);
  }

  std::string words(const std::string& here, const std::string& path, const struct stat& status) {
    std::array<char, 160> text{};
    std::snprintf(text.data(), text.size(), " %s %o %u:%u %lld.%09ld", type_of(status.st_mode),
                  status.st_mode & 07777, status.st_uid, status.st_gid,
                  static_cast<long long>(status.st_mtim.tv_sec), status.st_mtim.tv_nsec);
    std::string all = text.data();
    if (S_ISREG(status.st_mode)) all += " " + std::to_string(status.st_size) + " " + checksum(here);
    if (S_ISLNK(status.st_mode)) {
      std::vector<char> target(1 << 13);
      const ssize_t size = readlink(here.c_str(), target.data(), target.size());
      all += " -> " + escaped(std::string(target.data(),
                                          static_cast<std::size_t>(std::max<ssize_t>(size, 0))));
    }
    if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode))
      all +=
          " " + std::to_string(major(status.st_rdev)) + ":" + std::to_string(minor(status.st_rdev));
    if (S_ISDIR(status.st_mode) || status.st_nlink < 2) return all;
    const auto [first, is_new] = names_.emplace(std::pair{status.st_dev, status.st_ino}, path);
    return all + " links=" + std::to_string(status.st_nlink) +
           (is_new ? "" : " same-as=" + escaped(first->second));
  }

  std::string top_;
  std::set<std::string> except_;
  std::map<std::pair<dev_t, ino_t>, std::string> names_;
};

}  // namespace

void describe_tree(const cove::payload::Arguments& arguments) {
  const std::string top = arguments[1] == "/" ? "" : arguments[1];
  Tree(top, {arguments.begin() + 2, arguments.end()}).describe_below("");
}

}  // namespace probe
