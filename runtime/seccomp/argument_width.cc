#include "runtime/seccomp/argument_width.h"

#include <array>
#include <string>

namespace cove {
namespace {

struct Signature {
  std::string_view arguments;  // a letter each: 'i' 32 bits, 's' 16 (umode_t), 'l' all 64
  std::string_view syscalls;   // with a blank before and behind each
};

// By the declarations of Linux 6.12 (include/linux/syscalls.h) and, for what is newer, 6.17. Where
// those say long and the kernel goes on with less, it is less here: the flags of clone, mmap and
// mount, the descriptors of readv and its like, the pid of ptrace, the mode of mbind. Arguments
// behind the last narrow one are left out.
constexpr auto kSignatures = std::to_array<Signature>({
    {"i",
     " accept alarm arch_prctl clock_adjtime clock_getres clock_gettime clock_settime"
     " clone close dup epoll_create epoll_create1 eventfd exit exit_group fchdir"
     " fdatasync fgetxattr flistxattr fremovexattr fstat fstatfs fsync ftruncate"
     " futimesat get_robust_list getgroups getitimer getpeername getpgid getrlimit"
     " getrusage getsid getsockname inotify_init1 io_setup io_uring_setup iopl keyctl"
     " memfd_secret migrate_pages mlockall modify_ldt mq_getsetattr mq_notify"
     " mq_timedreceive openat2 personality pkey_free prctl pread64 preadv"
     " process_vm_readv process_vm_writev pselect6 pwrite64 pwritev read readahead"
     " readv rt_sigaction rt_sigprocmask sched_get_priority_max sched_get_priority_min"
     " sched_getparam sched_getscheduler sched_rr_get_interval sched_setparam select"
     " set_mempolicy setfsgid setfsuid setgid setgroups setitimer setrlimit setuid"
     " signalfd syncfs sysfs timer_create timer_delete timer_getoverrun timer_gettime"
     " timerfd_gettime umask userfaultfd ustat write writev "},
    {"ii",
     " clock_nanosleep dup2 eventfd2 fallocate fanotify_init fcntl flock getpriority"
     " inotify_rm_watch ioctl ioprio_get kexec_file_load kill landlock_restrict_self"
     " listen msgctl msgget pidfd_open prlimit64 process_mrelease rt_sigqueueinfo"
     " sched_getaffinity sched_setaffinity sched_setscheduler seccomp sendfile setns"
     " setpgid setregid setreuid shmctl shutdown timer_settime timerfd_create"
     " timerfd_settime tkill "},
    {"is", " fchmod "},
    {"li",
     " access delete_module fsopen memfd_create pipe2 ppoll ptrace setdomainname"
     " sethostname swapon symlinkat umount2 "},
    {"ls", " chmod creat mkdir "},
    {"iii",
     " close_range dup3 epoll_ctl fchown fsmount getsockopt ioprio_set kcmp membarrier"
     " pidfd_getfd quotactl_fd reboot rt_tgsigqueueinfo semctl semget setpriority"
     " setresgid setresuid socket socketpair tgkill "},
    {"ili",
     " bind bpf connect epoll_pwait2 faccessat finit_module fspick getdents getdents64"
     " getxattrat inotify_add_watch listxattrat lseek mount_setattr open_by_handle_at"
     " open_tree open_tree_attr quotactl recvmsg removexattrat renameat sched_setattr"
     " semop semtimedop sendmsg setxattrat shmat shmget syslog unlinkat wait4 "},
    {"ils", " fchmodat mkdirat "},
    {"lii", " chown lchown poll "},
    {"lis", " mq_open open "},
    {"lli",
     " getrandom ioperm landlock_create_ruleset lsm_list_modules madvise"
     " map_shadow_stack mlock2 msync readlink "},
    {"lsi", " mknod "},
    {"iiii", " io_uring_enter "},
    {"iili", " fanotify_mark io_uring_register landlock_add_rule pidfd_send_signal tee waitid "},
    {"ilii",
     " epoll_pwait epoll_wait faccessat2 lsm_set_self_attr recvmmsg sched_getattr"
     " sendmmsg statx "},
    {"ilis", " openat "},
    {"illi",
     " accept4 cachestat fadvise64 lsm_get_self_attr mq_timedsend msgsnd newfstatat"
     " readlinkat recvfrom signalfd4 sync_file_range utimensat vmsplice "},
    {"ilsi", " fchmodat2 mknodat "},
    {"liii", " futex_requeue perf_event_open rseq "},
    {"llii", " futex_wake "},
    {"llli", " listmount mount pkey_mprotect request_key statmount "},
    {"iiili", " setsockopt "},
    {"iilli", " fsconfig "},
    {"iliii", " fchownat "},
    {"ilili", " linkat move_mount renameat2 "},
    {"illii", " process_madvise "},
    {"illli", " execveat file_getattr file_setattr fsetxattr msgrcv name_to_handle_at "},
    {"liili", " futex_waitv "},
    {"lliii", " mmap "},
    {"lllli", " add_key lsetxattr remap_file_pages setxattr "},
    {"ililli", " copy_file_range splice "},
    {"illili", " sendto "},
    {"illlli", " move_pages preadv2 pwritev2 "},
    {"liilli", " futex "},
    {"llilli", " mbind "},
    {"lllili", " futex_wait "},
});

}  // namespace

std::uint64_t bits_seen_by_kernel(std::string_view syscall, unsigned index) {
  const std::string word = " " + std::string(syscall) + " ";
  for (const Signature& signature : kSignatures) {
    if (signature.syscalls.find(word) == std::string_view::npos) continue;
    if (index >= signature.arguments.size() || signature.arguments[index] == 'l') break;
    return signature.arguments[index] == 'i' ? 0xffffffff : 0xffff;
  }
  return ~std::uint64_t{0};
}

}  // namespace cove
