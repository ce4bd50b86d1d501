#include "tests/support/files.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace cove::testing {
namespace {

std::string from_environment(const char* variable, const char* otherwise) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

// A test that cannot make its files can say nothing of Cove.
void must(bool done, const std::string& what) {
  if (!done) throw std::runtime_error("cannot " + what);
}

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n"
    "alice:x:1001:1002:Alice:/home/alice:/bin/sh\n"
    "bob:x:1003:1003:Bob:/nonexistent:/bin/sh\n";
constexpr const char* kGroup =
    "root:x:0:\n"
    "alice:x:1002:\n"
    "staff:x:50:alice\n"
    "audio:x:29:alice,bob\n";

}  // namespace

std::string program_path(const char* variable, const char* name) {
  const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe");
  return from_environment(variable, (own.parent_path() / name).c_str());
}
std::string probe_path() { return program_path("COVE_PROBE", "probe"); }
std::string command_path() { return program_path("COVE_COMMAND", "cove"); }

TempDirectory::TempDirectory() {
  path_ = from_environment("TMPDIR", "/tmp") + "/cove-test-XXXXXX";
  must(mkdtemp(path_.data()) != nullptr, "make " + path_);
  must(chmod(path_.c_str(), 0755) == 0, "chmod " + path_);
}

TempDirectory::~TempDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

RootDirectory::RootDirectory() {
  make_directory("/bin");
  make_directory("/srv");
  std::filesystem::copy_file(probe_path(), outside("/bin/probe"));
  must(chmod(outside("/bin/probe").c_str(), 0755) == 0, "chmod the probe");
  put("/etc/passwd", kPasswd);
  put("/etc/group", kGroup);
}

void RootDirectory::put(const std::string& inside, const std::string& text, mode_t mode) const {
  std::filesystem::create_directories(std::filesystem::path(outside(inside)).parent_path());
  put_file(outside(inside), text, mode);
}

void RootDirectory::make_directory(const std::string& inside, mode_t mode) const {
  std::filesystem::create_directories(outside(inside));
  must(chmod(outside(inside).c_str(), mode) == 0, "chmod " + inside);
}

void RootDirectory::link(const std::string& inside, const std::string& target) const {
  must(symlink(target.c_str(), outside(inside).c_str()) == 0, "link " + inside);
}

const RootDirectory& RootDirectory::shared() {
  static const RootDirectory root;
  return root;
}

std::string contents_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void put_file(const std::string& path, const std::string& text, mode_t mode) {
  {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << text;
    must(file.good(), "write " + path);
  }
  must(chmod(path.c_str(), mode) == 0, "chmod " + path);
}

bool exists(const std::string& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0;
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  DIR* const listing = opendir(directory.c_str());
  if (listing == nullptr) return names;
  while (const dirent* entry = readdir(listing)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  closedir(listing);
  std::sort(names.begin(), names.end());
  return names;
}

std::string pattern(std::uint64_t first, std::uint64_t count) {
  std::string text(count, '\0');
  for (std::uint64_t i = 0; i < count; ++i) text[i] = static_cast<char>('a' + (first + i) % 23);
  return text;
}

}  // namespace cove::testing
