#include "images/unpack/confinement.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "runtime/kernel/syscalls.h"

namespace cove {
namespace {

constexpr rlim_t kThreads = 64;

using CapabilitySet = std::unique_ptr<std::remove_pointer_t<cap_t>, int (*)(void*)>;

bool limit(__rlimit_resource resource, rlim_t value) {
  rlimit now{};
  if (getrlimit(resource, &now) != 0) return false;
  const rlim_t lower = std::min(value, now.rlim_max);
  const rlimit wanted{lower, lower};
  return setrlimit(resource, &wanted) == 0;
}

// In ascending order, each once.
std::vector<int> kept_descriptors(const Needs& needs) {
  std::vector<int> kept = needs.keep;
  if (needs.directory) kept.push_back(needs.directory.number());
  std::sort(kept.begin(), kept.end());
  kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
  return kept;
}

// Those that are kept stay, if they have these numbers.
bool replace_standard_descriptors(const std::vector<int>& kept) {
#ifdef COVE_SANITIZED
  constexpr int kLast = STDOUT_FILENO;  // a sanitizer's report has to be seen
#else
  constexpr int kLast = STDERR_FILENO;
#endif
  UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) return false;
  for (int number = STDIN_FILENO; number <= kLast; ++number) {
    const bool keep = std::binary_search(kept.begin(), kept.end(), number);
    if (!keep && null.number() != number && dup2(null.number(), number) < 0) return false;
  }
  if (null.number() <= kLast) null.release();
  return true;
}

}  // namespace

bool has_capability(int capability) {
  const CapabilitySet mine(cap_get_proc(), cap_free);
  cap_flag_value_t value = CAP_CLEAR;
  return mine && cap_get_flag(mine.get(), capability, CAP_EFFECTIVE, &value) == 0 &&
         value == CAP_SET;
}

bool close_other_descriptors(const Needs& needs) {
  const std::vector<int> kept = kept_descriptors(needs);
  if (!replace_standard_descriptors(kept)) return false;
  unsigned next = STDERR_FILENO + 1;
  for (const int number : kept) {
    const auto descriptor = static_cast<unsigned>(number);
    if (descriptor < next) continue;
    if (descriptor > next && kernel::close_range(next, descriptor - 1, 0) != 0) return false;
    next = descriptor + 1;
  }
  return kernel::close_range(next, ~0U, 0) == 0;
}

bool change_root(const Needs& needs) {
  // What is to be read lies elsewhere.
  if (!needs.directory || !needs.readable.empty()) return false;
  if (!has_capability(CAP_SYS_CHROOT)) {
    // Ids have no name in there, and stay what they are for the kernel. Capabilities that are to be
    // kept would be lost.
    const bool keeps =
        std::any_of(needs.capabilities.begin(), needs.capabilities.end(), has_capability);
    if (keeps || unshare(CLONE_NEWUSER) != 0) return false;
  }
  return fchdir(needs.directory.number()) == 0 && chroot(".") == 0;
}

bool drop_privileges(const Needs& needs) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
    return false;
  const std::vector<int>& keep = needs.capabilities;
  // Without CAP_SETPCAP the bounding set stays; no_new_privs makes it worthless.
  const bool bounded = has_capability(CAP_SETPCAP);
  for (int capability = 0; bounded && capability < cap_max_bits(); ++capability) {
    const bool kept = std::find(keep.begin(), keep.end(), capability) != keep.end();
    if (!kept && cap_drop_bound(capability) != 0 && errno != EINVAL) return false;
  }
  const CapabilitySet left(cap_init(), cap_free);
  if (!left) return false;
  for (const int capability : keep) {
    if (!has_capability(capability)) continue;
    const cap_value_t value = capability;
    for (const cap_flag_t flag : {CAP_PERMITTED, CAP_EFFECTIVE}) {
      if (cap_set_flag(left.get(), flag, 1, &value, CAP_SET) != 0) return false;
    }
  }
  return cap_set_proc(left.get()) == 0;
}

void wipe_environment([[maybe_unused]] const Needs& needs) {
#ifndef COVE_SANITIZED  // whose options are there
  if (needs.sockets != Sockets::none) return;
  for (char** variable = environ; variable && *variable; ++variable)
    explicit_bzero(*variable, std::strlen(*variable));
  clearenv();
#endif
}

bool limit_resources(const Needs& needs) {
  const std::vector<int> kept = kept_descriptors(needs);
  const int highest = kept.empty() ? STDERR_FILENO : std::max(kept.back(), STDERR_FILENO);
  bool limited = limit(RLIMIT_NOFILE, static_cast<rlim_t>(highest + 1 + needs.descriptors)) &&
                 limit(RLIMIT_CORE, 0) && limit(RLIMIT_FSIZE, needs.file_bytes);
#ifndef COVE_SANITIZED  // whose shadow memory is larger than any limit
  limited = limited && limit(RLIMIT_DATA, needs.memory_bytes);
#endif
  // A user's other processes would count, too.
  if (needs.user_namespace) limited = limited && limit(RLIMIT_NPROC, kThreads);
  return limited;
}

}  // namespace cove
