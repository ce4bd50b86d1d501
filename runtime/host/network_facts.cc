#include "runtime/host/network_facts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "runtime/kernel/fd.h"

namespace cove {
namespace {

constexpr const char* kTun = "/dev/net/tun";
constexpr std::size_t kLargestResolvConf = 64 * 1024;

// Words by which cure_for_pasta knows its reasons again.
constexpr const char* kNotInstalled = "it is not installed";
constexpr const char* kNoTun = "/dev/net/tun, the kernel's tap driver, is not there";
constexpr const char* kTunClosed = "/dev/net/tun may not be opened";

bool is_executable_file(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0;
}

// As execvp(3) would, but for directories relative to wherever the caller is.
std::string find_in_path(const char* name) {
  const char* given = std::getenv("PATH");
  std::string path(given ? given : "");
  for (path += ":/usr/local/bin:/usr/bin:/bin"; !path.empty();) {
    const std::size_t end = std::min(path.find(':'), path.size());
    const std::string candidate = path.substr(0, end) + "/" + name;
    if (candidate.starts_with('/') && end > 0 && is_executable_file(candidate)) return candidate;
    path.erase(0, end + 1);
  }
  return {};
}

// Where there are many ids, pasta runs as one that is nobody on the host.
bool tun_usable(const struct stat& status, const HostFacts& facts) {
  constexpr mode_t kByOthers = S_IROTH | S_IWOTH;
  if (facts.privileged || facts.subordinate_ids) return (status.st_mode & kByOthers) == kByOthers;
  return faccessat(AT_FDCWD, kTun, R_OK | W_OK, AT_EACCESS) == 0;
}

std::string read_resolv_conf() {
  const UniqueFd file(open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  std::string text;
  if (!file) return text;
  std::array<char, 4096> buffer;  // NOLINT: filled by read
  while (text.size() <= kLargestResolvConf) {
    const ssize_t count = read(file.number(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return text.size() <= kLargestResolvConf ? text : std::string();
}

}  // namespace

void judge_pasta(const PastaTexts& texts, HostFacts& facts) {
  facts.pasta.clear();
  facts.pasta_reason = texts.executable.empty() ? kNotInstalled
                       : !texts.tun             ? kNoTun
                       : !texts.tun_usable      ? kTunClosed
                                                : "";
  if (facts.pasta_reason.empty()) facts.pasta = texts.executable;
}

void gather_network_facts(HostFacts& facts) {
  PastaTexts texts;
  texts.executable = find_in_path("pasta");
  struct stat status {};
  texts.tun = stat(kTun, &status) == 0 && S_ISCHR(status.st_mode);
  texts.tun_usable = texts.tun && tun_usable(status, facts);
  judge_pasta(texts, facts);
  facts.resolv_conf = read_resolv_conf();
}

std::string cure_for_pasta(std::string_view reason) {
  if (reason == kNoTun) return "modprobe tun";
  if (reason == kTunClosed) return "chmod 0666 /dev/net/tun, as distributions have it";
  return "install it: apt install passt";
}

}  // namespace cove
