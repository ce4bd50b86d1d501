// Processes: looking into another, disturbing it, outliving it.
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "tests/support/attacks/attacks.h"

namespace cove::payload {
namespace {

struct Range {
  unsigned long first = 0, end = 0;
};

std::vector<Range> mapped(const std::string& pid) {
  std::vector<Range> ranges;
  const std::string text = contents("/proc/" + pid + "/maps");
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    Range range;
    char readable = '-';
    if (std::sscanf(text.c_str() + at, "%lx-%lx %c", &range.first, &range.end, &readable) == 3 &&
        readable == 'r')
      ranges.push_back(range);
    if (text.find('\n', at) == std::string::npos) break;
  }
  return ranges;
}

// A text that is looked for, kept so that it is not found where it is looked for from: its first
// character apart from the rest.
struct Needle {
  char first;
  std::string rest;
  bool is_in(const std::string& text) const {
    for (std::size_t at = text.find(rest); at != std::string::npos; at = text.find(rest, at + 1)) {
      if (at > 0 && text[at - 1] == first) return true;
    }
    return false;
  }
};

// `read_at` reads another process's memory: how many bytes at that address, or -1.
template <typename Read>
void search(const std::string& name, const std::vector<Range>& ranges, const Needle& needle,
            Read read_at) {
  std::string buffer;
  bool found = false;
  ssize_t got = -1;
  for (const Range& range : ranges) {
    buffer.resize(range.end - range.first);
    got = read_at(range.first, buffer.data(), buffer.size());
    if (got < 0 && (errno == EPERM || errno == EACCES)) break;
    if (got > 0) found = found || needle.is_in(buffer);
  }
  const bool refused = got < 0 && (errno == EPERM || errno == EACCES);
  line(name + ": " + (refused ? outcome(errno) : found ? "found" : "not found"));
}

}  // namespace

// search-memory PID TEXT: by /proc/PID/mem and by process_vm_readv. TEXT is given with "%" behind its
// first character, so that it is not in the memory of this process as well.
void search_memory(const Arguments& a) {
  const Needle needle{a[2][0], a[2].substr(2)};
  std::vector<Range> ranges = mapped(a[1]);
  report("maps", ranges.empty() ? -1 : 0);
  // Some address, so that the calls are tried all the same.
  if (ranges.empty()) ranges.push_back({0x400000, 0x401000});
  const int memory = open(("/proc/" + a[1] + "/mem").c_str(), O_RDONLY | O_CLOEXEC);
  if (memory < 0) {
    report("mem", -1);
  } else {
    search("mem", ranges, needle, [&](unsigned long address, char* buffer, std::size_t size) {
      return pread(memory, buffer, size, static_cast<off_t>(address));
    });
    close(memory);
  }
  search("process_vm_readv", ranges, needle,
         [&](unsigned long address, char* buffer, std::size_t size) {
           const iovec local{buffer, size}, remote{reinterpret_cast<void*>(address), size};
           return process_vm_readv(integer(a[1]), &local, 1, &remote, 1, 0);
         });
}

// limit PID cpu|nofile|as SECONDS|COUNT|BYTES: soft and hard. A process without processor time
// left, or without memory, dies of it.
void limit_process(const Arguments& a) {
  const auto resource = a[2] == "cpu" ? RLIMIT_CPU : a[2] == "nofile" ? RLIMIT_NOFILE : RLIMIT_AS;
  const rlimit value{number(a[3]), number(a[3])};
  report("prlimit", prlimit(integer(a[1]), resource, &value, nullptr));
}

// slow-down PID: the least share of one processor that can be asked for.
void slow_down(const Arguments& a) {
  const pid_t pid = integer(a[1]);
  const sched_param none{};
  constexpr int kIoprioWhoProcess = 1, kIoprioIdle = 3 << 13;
  report("sched_setscheduler", sched_setscheduler(pid, SCHED_IDLE, &none));
  report("setpriority", setpriority(PRIO_PROCESS, static_cast<id_t>(pid), 19));
  report("ioprio_set", syscall(SYS_ioprio_set, kIoprioWhoProcess, pid, kIoprioIdle));
}

// kill-by-descriptor PID: the kernel sends the signal that a descriptor's owner is to get. What it
// sends by itself is not held up where kill(2) is.
void kill_by_descriptor(const Arguments& a) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return report("pipe2", -1);
  fcntl(ends[0], F_SETSIG, SIGKILL);
  report("F_SETOWN", fcntl(ends[0], F_SETOWN, integer(a[1])));
  fcntl(ends[0], F_SETFL, O_ASYNC);
  (void)!write(ends[1], "x", 1);
  close(ends[0]);
  close(ends[1]);
}

// signal-storm PID COUNT: every signal that there is, over and over.
void signal_storm(const Arguments& a) {
  const std::uint64_t count = number(a[2]);
  for (std::uint64_t i = 0; i < count; ++i) kill(integer(a[1]), static_cast<int>(1 + i % 64));
  line("signals: " + std::to_string(count));
}

// orphans COUNT: children of children, left for pid 1 to reap.
void make_orphans(const Arguments& a) {
  const std::uint64_t count = number(a[1]);
  for (std::uint64_t i = 0; i < count; ++i) {
    const pid_t pid = fork();
    if (pid == 0) {
      if (fork() == 0) _exit(0);
      _exit(0);
    }
    if (pid > 0) waitpid(pid, nullptr, 0);
  }
  line("orphans: " + a[1]);
}

// subreaper-daemon SECONDS: a daemon whose children come back to itself, not to pid 1, so that no
// parent of it is left to end with.
void make_subreaper_daemon(const Arguments& a) {
  if (fork() > 0) return;
  setsid();
  if (fork() > 0) _exit(0);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
  for (int number = 1; number < 65; ++number) signal(number, SIG_IGN);
  for (int i = 0; i < 4; ++i) {
    if (fork() > 0) continue;
    setsid();
    (void)!fork();
    break;
  }
  for (int fd = 0; fd < 3; ++fd) close(fd);
  sleep_for(real(a[1]));
  _exit(0);
}

// raise-inheritable: all that is permitted becomes inheritable, and ambient.
void raise_inheritable(const Arguments&) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  syscall(SYS_capget, &header, sets.data());
  for (__user_cap_data_struct& set : sets) set.inheritable = set.permitted;
  report("capset", syscall(SYS_capset, &header, sets.data()));
  for (int capability = 0; capability < 64; ++capability)
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
}

// overwrite-runtime: changes the program of the parent, by the link that procfs has to it.
void overwrite_runtime(const Arguments&) {
  const std::string executable = "/proc/" + std::to_string(getppid()) + "/exe";
  const int fd = open(executable.c_str(), O_RDONLY | O_CLOEXEC);
  report("open", fd);
  report("fchmod", fchmod(fd, 0777));
  const std::array<timespec, 2> long_ago{{{1, 0}, {1, 0}}};
  report("futimens", futimens(fd, long_ago.data()));
}

// overwrite-runtime-from-child: the same on this process's own, while it stands.
void overwrite_runtime_from_child(const Arguments& a) {
  const pid_t pid = fork();
  if (pid == 0) {
    overwrite_runtime(a);
    _exit(0);
  }
  waitpid(pid, nullptr, 0);
}

}  // namespace cove::payload
