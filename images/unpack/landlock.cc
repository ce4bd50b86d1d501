// restrict_names of confinement.h. The kernel's interface is written down here, since Debian 12's
// header ends with Linux 5.19: Documentation/userspace-api/landlock.rst.
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <cerrno>

#include "images/unpack/confinement.h"
#include "runtime/kernel/syscalls.h"

namespace cove {
namespace {

constexpr int kFirstWithRefer = 2;

constexpr std::uint64_t kTruncate = std::uint64_t{1} << 14U;  // ABI 3, Linux 6.2
constexpr std::uint64_t kIoctlDev = std::uint64_t{1} << 15U;  // ABI 5, Linux 6.10
constexpr std::uint64_t kAllNames = (std::uint64_t{1} << 14U) - 1;

constexpr std::uint64_t kBindTcp = 1, kConnectTcp = 2;               // ABI 4, Linux 6.7
constexpr std::uint64_t kScopeAbstractSocket = 1, kScopeSignal = 2;  // ABI 6, Linux 6.12

struct RulesetAttributes {
  std::uint64_t names, network, scopes;
};

std::uint64_t rights_of(Writes writes, int version) {
  constexpr std::uint64_t kFiles = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG;
  switch (writes) {
    case Writes::nothing:
      return 0;
    case Writes::files:
      return kFiles;
    case Writes::tree:
      return kFiles | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR |
             LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
             LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_FIFO |
             LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER |
             (version >= 3 ? kTruncate : 0U);  // sparse files get their size so
  }
  return 0;
}

int abi() {
  return static_cast<int>(
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION));
}

UniqueFd create_ruleset(int version, Sockets sockets) {
  RulesetAttributes attributes{kAllNames, 0, 0};
  if (version >= 3) attributes.names |= kTruncate;
  if (version >= 4)
    attributes.network = sockets == Sockets::none ? kBindTcp | kConnectTcp : kBindTcp;
  if (version >= 5) attributes.names |= kIoctlDev;
  if (version >= 6) attributes.scopes = kScopeAbstractSocket | kScopeSignal;
  // An older kernel takes a longer structure whose rest is zero.
  return UniqueFd(
      static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0)));
}

bool allow_below(BorrowedFd ruleset, BorrowedFd place, std::uint64_t rights) {
  const landlock_path_beneath_attr rule{rights, place.number()};
  return syscall(SYS_landlock_add_rule, ruleset.number(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) ==
         0;
}

bool allow_reading(BorrowedFd ruleset, const std::string& path) {
  const UniqueFd place(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!place) return errno == ENOENT;
  struct stat status {};
  if (fstat(place.number(), &status) != 0) return false;
  const std::uint64_t directory = S_ISDIR(status.st_mode) ? LANDLOCK_ACCESS_FS_READ_DIR : 0U;
  return allow_below(ruleset, place, LANDLOCK_ACCESS_FS_READ_FILE | directory);
}

}  // namespace

bool has_landlock() { return abi() >= kFirstWithRefer; }

bool restrict_names(const Needs& needs) {
  if (!has_landlock()) return false;
  const UniqueFd ruleset = create_ruleset(abi(), needs.sockets);
  if (!ruleset) return false;
  const std::uint64_t rights = rights_of(needs.writes, abi());
  if (needs.directory && rights != 0 && !allow_below(ruleset, needs.directory, rights))
    return false;
  for (const std::string& path : needs.readable) {
    if (!allow_reading(ruleset, path)) return false;
  }
  return syscall(SYS_landlock_restrict_self, ruleset.number(), 0) == 0;
}

}  // namespace cove
