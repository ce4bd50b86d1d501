// System calls that glibc 2.36 does not wrap, and the process primitives built on them. Each
// returns -1 and sets errno as the kernel does; nothing here decides anything.
#pragma once

#include <linux/openat2.h>
#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <utility>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

// Sanitizers keep books of stacks and memory that a child on a foreign stack would upset.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COVE_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COVE_SANITIZED
#endif
#endif

namespace cove::kernel {

// clone3(2), behaving like fork: returns 0 in the child. The caller must be single-threaded where
// the child does more than exec: no pthread_atfork handler runs and locks stay as they were.
inline pid_t clone3(const clone_args& args) {
  return static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof args));
}

// Room for a child that runs in its parent's memory.
class Stack {
 public:
  Stack()
      : bottom_(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0)) {}
  Stack(const Stack&) = delete;
  ~Stack() {
    if (*this) munmap(bottom_, kBytes);
  }
  explicit operator bool() const { return bottom_ != MAP_FAILED; }
  std::uint64_t bottom() const { return reinterpret_cast<std::uint64_t>(bottom_); }
  static constexpr std::uint64_t kBytes = 256 * 1024;

 private:
  void* bottom_;
};

// Clones a child that calls `function`, which must exec or _exit, and be noexcept: there is nothing
// on its stack to unwind to. Where it can be, without a copy
// of the memory, as vfork(2) and posix_spawn(3) do: the child runs on `stack` in ours, and we stand
// still meanwhile. What it changes there stays changed.
template <typename Function>
requires(noexcept(std::declval<Function&>()())) pid_t
    clone3_and_call(clone_args args, [[maybe_unused]] const Stack& stack, Function& function) {
  const auto call = [](void* argument) { (*static_cast<Function*>(argument))(); };
  void (*const entry)(void*) = call;
#if defined(__x86_64__) && !defined(COVE_SANITIZED)
  if (stack) {
    args.flags |= CLONE_VM | CLONE_VFORK;
    args.stack = stack.bottom();
    args.stack_size = Stack::kBytes;
    // The child comes back from the system call on an empty stack, so it must not return: it calls
    // `entry` from here, and never comes back.
    register void (*child_entry)(void*) asm("r12") = entry;
    register void* child_argument asm("r13") = &function;
    long result = SYS_clone3;
    asm volatile(
        "syscall\n\t"
        "test %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "xor %%ebp, %%ebp\n\t"
        "mov %%r13, %%rdi\n\t"
        "call *%%r12\n\t"
        "hlt\n"
        "1:"
        : "+a"(result)
        : "D"(&args), "S"(sizeof args), "r"(child_entry), "r"(child_argument)
        : "rcx", "r11", "memory", "cc");
    if (result >= 0) return static_cast<pid_t>(result);
    errno = static_cast<int>(-result);
    return -1;
  }
#endif
  const pid_t pid = clone3(args);
  if (pid == 0) entry(&function);
  return pid;
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

// pidfd_getfd(2), 5.6: a duplicate, close-on-exec. Asks for the rights of ptrace(2).
inline int pidfd_getfd(int pidfd, int fd) {
  return static_cast<int>(syscall(SYS_pidfd_getfd, pidfd, fd, 0));
}

// Waits for the end of a child of this process, also for one that gives no SIGCHLD and is invisible
// to a plain wait.
inline void reap(int pidfd) {
  siginfo_t ignored{};
  while (waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &ignored,
                WEXITED | __WALL) != 0 &&
         errno == EINTR) {
  }
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
