// Files for tests: temporary directories, and root filesystems that hold nothing but the probe.
//
//   const RootDirectory root;
//   root.put("/etc/motd", "hello");
//   spec.rootfs = root.path();
//
// Both are removed with their object. Tests of the real kernel only; needs no distribution.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace cove::testing {

// What the environment's `variable` names, else what lies beside this program.
std::string program_path(const char* variable, const char* name);
std::string probe_path();    // $COVE_PROBE
std::string command_path();  // $COVE_COMMAND

// Below $TMPDIR or /tmp, world-readable, as a root filesystem has to be.
class TempDirectory {
 public:
  TempDirectory();
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  ~TempDirectory();

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// bin/probe, etc/passwd with root, alice (1001) and the group of staff, etc/group, an empty srv.
class RootDirectory {
 public:
  RootDirectory();

  const std::string& path() const { return directory_.path(); }
  std::string outside(const std::string& inside) const { return path() + inside; }
  // Parents are made. 0644 unless said otherwise.
  void put(const std::string& inside, const std::string& text, mode_t mode = 0644) const;
  void make_directory(const std::string& inside, mode_t mode = 0755) const;
  void link(const std::string& inside, const std::string& target) const;

  // One for all tests that change nothing in it.
  static const RootDirectory& shared();

 private:
  TempDirectory directory_;
};

// Empty where it cannot be read.
std::string contents_of(const std::string& path);
void put_file(const std::string& path, const std::string& text, mode_t mode = 0644);
bool exists(const std::string& path);
std::vector<std::string> names_in(const std::string& directory);

// Byte i is what the probe's write-stdout writes as its byte i.
std::string pattern(std::uint64_t first, std::uint64_t count);

}  // namespace cove::testing
