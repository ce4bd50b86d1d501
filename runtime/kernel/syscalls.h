// System calls that glibc 2.36 does not wrap, and the process primitives built on them. Each
// returns -1 and sets errno as the kernel does; nothing here decides anything.
#pragma once

#include <linux/openat2.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

namespace cove::kernel {

// clone3(2), behaving like fork: returns 0 in the child. The caller must be single-threaded where
// the child does more than exec: no pthread_atfork handler runs and locks stay as they were.
inline pid_t clone3(const clone_args& args) {
  return static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof args));
}

// openat2(2). `resolve`: RESOLVE_IN_ROOT and friends.
inline int openat2(int directory, const char* path, std::uint64_t flags, std::uint64_t resolve,
                   std::uint64_t mode = 0) {
  open_how how{};
  how.flags = flags;
  how.mode = mode;
  how.resolve = resolve;
  return static_cast<int>(syscall(SYS_openat2, directory, path, &how, sizeof how));
}

inline int pivot_root(const char* new_root, const char* put_old) {
  return static_cast<int>(syscall(SYS_pivot_root, new_root, put_old));
}

inline int pidfd_send_signal(int pidfd, int signal) {
  return static_cast<int>(syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}

// close_range(2), 5.9. The numbers are inclusive.
inline int close_range(unsigned first, unsigned last, unsigned flags) {
  return static_cast<int>(syscall(SYS_close_range, first, last, flags));
}

// rt_sigaction(2) with SIG_DFL. glibc's sigaction refuses the two signals that it keeps for itself
// (32 and 33); a caller may well hand them down ignored, and exec keeps that.
inline int reset_signal(int signal) {
  struct {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)();
    std::uint64_t mask;
  } const action{};  // SIG_DFL is null
  return static_cast<int>(syscall(SYS_rt_sigaction, signal, &action, nullptr, sizeof action.mask));
}

// Every signal to its default; those that cannot be handled are so already.
inline void reset_signals() {
  constexpr int kLast = 64;
  for (int signal = 1; signal <= kLast; ++signal) reset_signal(signal);
}

}  // namespace cove::kernel
