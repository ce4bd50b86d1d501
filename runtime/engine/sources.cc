#include "runtime/engine/sources.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "runtime/kernel/fd_path.h"

namespace cove {
namespace {

// File systems that are doors into the kernel: a procfs of the host's is every process of the
// host's.
const char* kernel_filesystem(BorrowedFd fd) {
  struct statfs filesystem {};
  if (fstatfs(fd.number(), &filesystem) != 0) return nullptr;
  switch (static_cast<unsigned long>(filesystem.f_type)) {
    case PROC_SUPER_MAGIC:
      return "a procfs";
    case SYSFS_MAGIC:
      return "a sysfs";
    case CGROUP_SUPER_MAGIC:
    case CGROUP2_SUPER_MAGIC:
      return "a cgroup file system";
    case DEBUGFS_MAGIC:
      return "a debugfs";
    case TRACEFS_MAGIC:
      return "a tracefs";
    case SECURITYFS_MAGIC:
      return "a securityfs";
    case BPF_FS_MAGIC:
      return "a bpf file system";
    default:
      return nullptr;
  }
}

// Mount points below `directory`, as mountinfo has them: blanks and backslashes are three octal
// digits.
std::vector<std::string> mounts_below(const std::string& directory) {
  std::vector<std::string> found;
  std::ifstream mountinfo("/proc/self/mountinfo");
  for (std::string line; std::getline(mountinfo, line);) {
    std::istringstream fields(line);
    std::string skipped, escaped, point;
    fields >> skipped >> skipped >> skipped >> skipped >> escaped;
    for (std::size_t i = 0; i < escaped.size(); ++i) {
      const bool octal = escaped[i] == '\\' && i + 3 < escaped.size();
      point +=
          octal ? static_cast<char>(std::stoi(escaped.substr(i + 1, 3), nullptr, 8)) : escaped[i];
      if (octal) i += 3;
    }
    if (point.starts_with(directory + "/")) found.push_back(std::move(point));
  }
  return found;
}

void refuse(SourceFacts& facts, std::string reason) {
  facts.kind = SourceKind::refused;
  facts.reason = std::move(reason);
}

void look_at(BorrowedFd fd, SourceFacts& facts) {
  struct stat status {};
  if (fstat(fd.number(), &status) != 0)
    return refuse(facts, std::string("fstat: ") + std::strerror(errno));
  facts.resolved_path = kernel::path_of(fd);
  facts.owner_uid = status.st_uid;
  facts.owner_gid = status.st_gid;
  facts.device = status.st_dev;
  facts.inode = status.st_ino;
  facts.writable = faccessat(fd.number(), "", W_OK, AT_EMPTY_PATH | AT_EACCESS) == 0;
  if (S_ISDIR(status.st_mode)) {
    facts.kind = SourceKind::directory;
  } else if (S_ISREG(status.st_mode) || S_ISSOCK(status.st_mode)) {
    facts.kind = SourceKind::file;
  } else {
    return refuse(
        facts,
        "it is a device, a fifo or a link; only directories, files and sockets can be mounted");
  }
  if (const char* filesystem = kernel_filesystem(fd))
    refuse(facts, std::string("it lies on ") + filesystem + " of the host's");
  // A bind takes along what is mounted below.
  if (facts.kind == SourceKind::directory && facts.resolved_path != "/") {
    for (const std::string& below : mounts_below(facts.resolved_path)) {
      const UniqueFd mount(open(below.c_str(), O_PATH | O_CLOEXEC));
      const char* filesystem = mount ? kernel_filesystem(mount) : nullptr;
      if (filesystem)
        refuse(facts, std::string(filesystem) + " of the host's is mounted below it, on " + below);
    }
  }
  if (facts.resolved_path == "/")
    refuse(facts, "it is the host's root; use --rootfs / for the host's tools");
}

}  // namespace

OpenedSources open_sources(const SandboxSpec& spec) {
  OpenedSources opened;
  for (const MountSpec& mount : spec.mounts) {
    if (mount.type != MountType::bind) continue;
    SourceFacts facts;
    facts.host_path = mount.host_path;
    UniqueFd fd(open(mount.host_path.c_str(), O_PATH | O_CLOEXEC));
    if (!fd) {
      facts.kind = errno == ENOENT || errno == ENOTDIR ? SourceKind::missing : SourceKind::refused;
      facts.reason = std::strerror(errno);
    } else {
      look_at(fd, facts);
    }
    opened.facts.push_back(std::move(facts));
    opened.fds.push_back(std::move(fd));
  }
  return opened;
}

}  // namespace cove
