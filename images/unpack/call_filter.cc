// filter_calls of confinement.h: the system calls of decompressing, untarring and writing, as
// strace(1) shows them, and what the C library calls for memory, threads and its own death.
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <initializer_list>
#include <utility>

#include "images/unpack/confinement.h"
#include "runtime/kernel/syscalls.h"
#include "runtime/seccomp/assembler.h"

namespace cove {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif

// Numbers from here on are of later kernels than this was written for: a C library may ask for one,
// and does without.
constexpr std::uint32_t kFirstUnknown = 451;
constexpr std::uint32_t kX32 = 0x40000000;

// The low half of an argument: all that the kernel looks at in those that are compared here.
struct Check {
  unsigned argument;
  std::uint32_t mask, value;
};

class AllowList {
 public:
  AllowList() {
    const auto native = code_.label();
    code_.load(offsetof(seccomp_data, arch));
    code_.jump_if(BPF_JEQ, kArchitecture, native, std::nullopt);
    code_.answer(SECCOMP_RET_KILL_PROCESS);
    code_.place(native);
    load_number();
  }

  void allow(std::initializer_list<long> calls) {
    for (const long call : calls) answer(call, SECCOMP_RET_ALLOW);
  }
  void refuse(long call, int error) {
    answer(call, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error));
  }
  // Where all checks hold; else what is said of the call further on.
  void allow_where(long call, std::initializer_list<Check> checks) {
    const auto other_call = code_.label();
    code_.jump_if(BPF_JEQ, static_cast<std::uint32_t>(call), std::nullopt, other_call);
    const auto unmet = code_.label();
    for (const Check& check : checks) {
      code_.load(offsetof(seccomp_data, args) + check.argument * sizeof(std::uint64_t));
      code_.emit(BPF_ALU | BPF_AND | BPF_K, check.mask);
      code_.jump_if(BPF_JEQ, check.value, std::nullopt, unmet);
    }
    code_.answer(SECCOMP_RET_ALLOW);
    code_.place(unmet);
    load_number();
    code_.place(other_call);
  }

  std::vector<sock_filter> finish() {
    const auto known = code_.label(), kill = code_.label();
    code_.jump_if(BPF_JGE, kX32, kill, std::nullopt);
    code_.jump_if(BPF_JGE, kFirstUnknown, std::nullopt, known);
    code_.answer(SECCOMP_RET_ERRNO | ENOSYS);
    code_.place(known);
    code_.place(kill);
    code_.answer(SECCOMP_RET_KILL_PROCESS);
    return code_.finish().value_or(std::vector<sock_filter>());
  }

 private:
  void load_number() { code_.load(offsetof(seccomp_data, nr)); }
  void answer(long call, std::uint32_t action) {
    const auto other_call = code_.label();
    code_.jump_if(BPF_JEQ, static_cast<std::uint32_t>(call), std::nullopt, other_call);
    code_.answer(action);
    code_.place(other_call);
  }

  Assembler code_;
};

void allow_memory_and_threads(AllowList& list, std::uint32_t own_pid) {
  list.allow({SYS_futex, SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise});
  // Private memory is counted by RLIMIT_DATA, shared memory by nothing. No code is made or loaded.
  list.allow_where(SYS_mmap, {{2, PROT_EXEC, 0}, {3, MAP_TYPE, MAP_PRIVATE}});
  list.refuse(SYS_mmap, EACCES);
  list.allow_where(SYS_mprotect, {{2, PROT_EXEC, 0}});
  list.refuse(SYS_mprotect, EACCES);
  // A thread, and no process. The flags of clone3 are in memory, where a filter does not look.
  constexpr std::uint32_t kThread = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
  constexpr std::uint32_t kNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                        CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
  list.allow_where(SYS_clone, {{0, kThread | kNamespaces, kThread}});
  list.refuse(SYS_clone3, ENOSYS);
  list.allow({SYS_set_robust_list, SYS_rseq, SYS_exit, SYS_exit_group, SYS_rt_sigaction,
              SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack, SYS_restart_syscall,
              SYS_sched_yield, SYS_getpid, SYS_gettid, SYS_getrandom, SYS_clock_gettime,
              SYS_gettimeofday});
  list.allow_where(SYS_tgkill, {{0, ~0U, own_pid}});  // abort(3)
  list.refuse(SYS_sched_getaffinity, EPERM);          // malloc counts processors, and takes two
  list.refuse(SYS_prlimit64, EPERM);
  list.refuse(SYS_prctl, EINVAL);  // names of threads and of memory
}

void allow_reading_and_writing(AllowList& list) {
  list.allow({SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_lseek,
              SYS_close, SYS_fstat, SYS_newfstatat, SYS_ftruncate, SYS_fsync, SYS_fdatasync});
  for (const unsigned command : {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC})
    list.allow_where(SYS_fcntl, {{1, ~0U, command}});
  list.refuse(SYS_ioctl, ENOTTY);
}

// Where a name leads is not seen here: that is for Landlock and the root.
void allow_names(AllowList& list, const Needs& needs) {
  if (needs.writes == Writes::nothing && needs.readable.empty()) {
    list.refuse(SYS_openat, EACCES);  // a library that looks for a file of its own
  } else {
    list.allow({SYS_openat});
  }
  if (!needs.readable.empty())
    list.allow({SYS_openat2, SYS_getdents64, SYS_readlinkat, SYS_flistxattr, SYS_fgetxattr});
  if (needs.writes != Writes::tree) return;
  list.allow({SYS_openat2, SYS_getdents64, SYS_mkdirat, SYS_symlinkat, SYS_readlinkat, SYS_unlinkat,
              SYS_renameat, SYS_fchmod, SYS_fchmodat, SYS_fchown, SYS_fchownat, SYS_utimensat,
              SYS_fsetxattr});
  list.allow_where(SYS_linkat, {{4, ~0U, 0}});
  list.allow_where(SYS_mknodat, {{2, S_IFMT, S_IFIFO}});
  list.allow_where(SYS_mknodat, {{2, S_IFMT, S_IFCHR}, {3, ~0U, 0}});  // a whiteout
}

}  // namespace

std::vector<sock_filter> call_filter(const Needs& needs, std::int32_t own_pid) {
  AllowList list;
  // First what is called most.
  allow_reading_and_writing(list);
  allow_names(list, needs);
  allow_memory_and_threads(list, static_cast<std::uint32_t>(own_pid));
  return list.finish();
}

bool filters_calls_in_this_build() {
#ifdef COVE_SANITIZED
  return false;
#else
  return true;
#endif
}

bool filter_calls(const Needs& needs) {
  if (!filters_calls_in_this_build() || needs.sockets != Sockets::none) return true;
  std::vector<sock_filter> program = call_filter(needs, getpid());
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
}

}  // namespace cove
