// The commands of the probe, the payload of the integration tests (payload.h). kCommands, at the
// end, is the list.
//
// long because: one static program of many commands, a few lines each.
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/payload.h"
#include "tests/support/probe_network.h"
#include "tests/support/probe_tree.h"

extern char** environ;

namespace cove::payload {
namespace {

// ---- ends ----

void exit_with(const Arguments& a) { _exit(integer(a[1])); }

void kill_self(const Arguments& a) {
  kill(getpid(), integer(a[1]));
  pause();
}

void sleep_command(const Arguments& a) { sleep_for(real(a[1])); }

void ignore_signal(const Arguments& a) { signal(integer(a[1]), SIG_IGN); }

int g_exit_code = 0;
std::string g_last_words;

void say_last_words(int) {
  (void)write_all(1, g_last_words.data(), g_last_words.size());
  _exit(g_exit_code);
}

// on-signal NUMBER TEXT CODE
void on_signal(const Arguments& a) {
  g_last_words = a[2] + "\n";
  g_exit_code = integer(a[3]);
  signal(integer(a[1]), say_last_words);
}

// ---- processes ----

// spawn COMMAND...: in a child, while this process goes on.
void spawn(const Arguments& a) {
  const pid_t pid = fork();
  if (pid < 0) return report("fork", -1);
  if (pid > 0) return;
  run(Arguments(a.begin() + 1, a.end()));
  _exit(0);
}

// The same for a child that leaves the session and its parent, as daemons do.
void spawn_daemon(const Arguments& a) {
  if (fork() > 0) return;
  setsid();
  if (fork() > 0) _exit(0);
  for (int fd = 0; fd < 3; ++fd) close(fd);
  run(Arguments(a.begin() + 1, a.end()));
  _exit(0);
}

void wait_for_children(const Arguments&) {
  int status = 0;
  while (waitpid(-1, &status, 0) > 0) {
    line(WIFEXITED(status) ? "child: exit " + std::to_string(WEXITSTATUS(status))
                           : "child: signal " + std::to_string(WTERMSIG(status)));
  }
}

// fork-bomb SECONDS: every process forks as long as it can; the first one reports.
void fork_bomb(const Arguments& a) {
  const double end = now() + real(a[1]);
  const pid_t first = getpid();
  bool refused = false;
  while (now() < end) {
    if (fork() < 0) {
      refused = true;
      sleep_for(0.01);
    }
  }
  if (getpid() != first) _exit(0);
  line(refused ? "fork: refused" : "fork: never refused");
}

// processes COUNT: so many children at once, each waiting; prints how many there could be.
void make_processes(const Arguments& a) {
  const int wanted = integer(a[1]);
  int made = 0;
  while (made < wanted) {
    const pid_t pid = fork();
    if (pid < 0) break;
    if (pid == 0) {
      pause();
      _exit(0);
    }
    ++made;
  }
  line("processes: " + std::to_string(made));
}

void burn(const Arguments& a) {
  const double end = now() + real(a[1]);
  volatile unsigned sink = 0;
  while (now() < end) {
    for (int i = 0; i < 100000; ++i) sink = sink + 1;
  }
}

void execute(const Arguments& a) {
  std::vector<char*> argv;
  for (std::size_t i = 1; i < a.size(); ++i) argv.push_back(const_cast<char*>(a[i].c_str()));
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  report("exec", -1);
}

// ---- memory, disk, output ----

void allocate(const Arguments& a) {
  const std::size_t bytes = number(a[1]);
  char* memory = static_cast<char*>(
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (memory == MAP_FAILED) return report("alloc", -1);
  for (std::size_t i = 0; i < bytes; i += 4096) memory[i] = 1;
  line("alloc: ok");
}

// Byte i of all that is written by write-stdout is 'a' + i % 23: what is missing or twice shows.
void fill_pattern(std::vector<char>& buffer, std::uint64_t position) {
  for (std::size_t i = 0; i < buffer.size(); ++i)
    buffer[i] = static_cast<char>('a' + (position + i) % 23);
}

void write_pattern(int fd, std::uint64_t bytes) {
  std::vector<char> buffer(23 * 4096);  // a multiple of the period, so that it is filled once
  fill_pattern(buffer, 0);
  while (bytes > 0) {
    const std::size_t part =
        static_cast<std::size_t>(std::min<std::uint64_t>(bytes, buffer.size()));
    if (!write_all(fd, buffer.data(), part)) _exit(74);
    bytes -= part;
  }
}

void write_stdout(const Arguments& a) { write_pattern(1, number(a[1])); }
void write_stderr(const Arguments& a) { write_pattern(2, number(a[1])); }

// Every byte value, NUL included.
void write_binary(const Arguments&) {
  std::array<char, 256> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i);
  if (!write_all(1, bytes.data(), bytes.size())) _exit(74);
}

void print(const Arguments& a) { line(a.size() > 1 ? a[1] : ""); }

void print_error(const Arguments& a) {
  const std::string whole = a[1] + "\n";
  if (!write_all(2, whole.data(), whole.size())) _exit(74);
}

// write-file PATH BYTES: as much as there is room for.
void write_file(const Arguments& a) {
  const int fd = open(a[1].c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return report("write-file", -1);
  std::uint64_t left = number(a[2]), written = 0;
  const std::vector<char> block(65536, 'x');
  while (left > 0) {
    const ssize_t done = write(
        fd, block.data(), static_cast<std::size_t>(std::min<std::uint64_t>(left, block.size())));
    if (done < 0) {
      const int failure = errno;
      line("written: " + std::to_string(written));
      errno = failure;
      return report("write-file", -1);
    }
    written += static_cast<std::uint64_t>(done);
    left -= static_cast<std::uint64_t>(done);
  }
  close(fd);
  line("write-file: ok");
}

// ---- input ----

void echo_stdin(const Arguments&) {
  std::array<char, 65536> buffer;
  ssize_t got;
  while ((got = read(0, buffer.data(), buffer.size())) > 0) {
    if (!write_all(1, buffer.data(), static_cast<std::size_t>(got))) _exit(74);
  }
  if (got < 0) report("read", -1);
}

void count_stdin(const Arguments&) {
  std::array<char, 65536> buffer;
  std::uint64_t count = 0;
  ssize_t got;
  while ((got = read(0, buffer.data(), buffer.size())) > 0)
    count += static_cast<std::uint64_t>(got);
  line("stdin: " + std::to_string(count) + " " + outcome(got < 0 ? errno : 0));
}

// ---- files ----

void read_file(const Arguments& a) {
  const int fd = open(a[1].c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return report("read-file", -1);
  std::array<char, 65536> buffer;
  ssize_t got;
  while ((got = read(fd, buffer.data(), buffer.size())) > 0) {
    if (!write_all(1, buffer.data(), static_cast<std::size_t>(got))) _exit(74);
  }
  if (got < 0) report("read-file", -1);
  close(fd);
}

struct OpenFlag {
  const char* name;
  int flag;
};
constexpr std::array<OpenFlag, 9> kOpenFlags{{{"r", O_RDONLY},
                                              {"w", O_WRONLY},
                                              {"rw", O_RDWR},
                                              {"creat", O_CREAT},
                                              {"excl", O_EXCL},
                                              {"trunc", O_TRUNC},
                                              {"append", O_APPEND},
                                              {"tmpfile", O_TMPFILE},
                                              {"path", O_PATH}}};

int open_flags(const std::string& text) {
  int flags = O_CLOEXEC;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    for (const OpenFlag& known : kOpenFlags) {
      if (text.compare(at, comma - at, known.name) == 0) flags |= known.flag;
    }
    at = comma + 1;
  }
  return flags;
}

// open PATH w,creat,excl [MODE]
void open_file(const Arguments& a) {
  const int fd =
      open(a[1].c_str(), open_flags(a[2]), a.size() > 3 ? static_cast<mode_t>(number(a[3])) : 0644);
  report("open", fd);
  if (fd >= 0) close(fd);
}

// put PATH TEXT: an existing or a new file.
void put(const Arguments& a) {
  const int fd = open(a[1].c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return report("put", -1);
  report("put", write(fd, a[2].data(), a[2].size()));
  close(fd);
}

void list(const Arguments& a) {
  struct stat status {};
  if (stat(a[1].c_str(), &status) != 0) return report("list", -1);
  for (const std::string& name : names_in(a[1])) line(name);
}

// stat PATH: "MODE UID GID SIZE"
void stat_file(const Arguments& a) {
  struct stat status {};
  if (lstat(a[1].c_str(), &status) != 0) return report("stat", -1);
  std::array<char, 128> text{};
  std::snprintf(text.data(), text.size(), "stat: %o %u %u %lld", status.st_mode, status.st_uid,
                status.st_gid, static_cast<long long>(status.st_size));
  line(text.data());
}

void chmod_file(const Arguments& a) {
  report("chmod", chmod(a[1].c_str(), static_cast<mode_t>(number(a[2]))));
}
void chown_file(const Arguments& a) {
  report("chown",
         chown(a[1].c_str(), static_cast<uid_t>(number(a[2])), static_cast<gid_t>(number(a[2]))));
}
void make_directory(const Arguments& a) {
  report("mkdir", mkdir(a[1].c_str(), a.size() > 2 ? static_cast<mode_t>(number(a[2])) : 0755));
}
// mknod PATH MODE MAJOR MINOR
void make_node(const Arguments& a) {
  report("mknod",
         mknod(a[1].c_str(), static_cast<mode_t>(number(a[2])),
               makedev(static_cast<unsigned>(number(a[3])), static_cast<unsigned>(number(a[4])))));
}
void make_symlink(const Arguments& a) { report("symlink", symlink(a[1].c_str(), a[2].c_str())); }
void make_link(const Arguments& a) { report("link", link(a[1].c_str(), a[2].c_str())); }
void unlink_file(const Arguments& a) { report("unlink", unlink(a[1].c_str())); }
void rename_file(const Arguments& a) { report("rename", rename(a[1].c_str(), a[2].c_str())); }
void change_directory(const Arguments& a) { report("chdir", chdir(a[1].c_str())); }
void close_fd(const Arguments& a) { close(integer(a[1])); }
void print_link(const Arguments& a) { line("link: " + link_target(a[1])); }

void print_cwd(const Arguments&) {
  std::array<char, 4096> path{};
  if (getcwd(path.data(), path.size()) == nullptr) return report("getcwd", -1);
  line(std::string("cwd: ") + path.data());
}

// attack-tree PATH: tries to write, remove or add to everything below, and says what it could.
void attack(const std::string& path, std::uint64_t& tried) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) return;
  ++tried;
  if (S_ISDIR(status.st_mode)) {
    const std::string added = path + "/probe-was-here";
    if (mkdir(added.c_str(), 0755) == 0) line("could mkdir in " + path);
    for (const std::string& name : names_in(path)) attack(path + "/" + name, tried);
  } else if (S_ISREG(status.st_mode)) {
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd >= 0) line("could write " + path);
    if (chmod(path.c_str(), 0777) == 0) line("could chmod " + path);
    if (unlink(path.c_str()) == 0) line("could unlink " + path);
  }
}

void attack_tree(const Arguments& a) {
  std::uint64_t tried = 0;
  attack(a[1], tried);
  line("tried: " + std::to_string(tried));
}

// ---- what a process is ----

void print_fds(const Arguments&) {
  for (const std::string& name : names_in("/proc/self/fd")) {
    const std::string target = link_target("/proc/self/fd/" + name);
    // The one of the listing itself is closed by now.
    if (target != "(ENOENT)") line("fd " + name + ": " + target);
  }
}

void print_ids(const Arguments&) {
  uid_t r = 0, e = 0, s = 0;
  gid_t gr = 0, ge = 0, gs = 0;
  getresuid(&r, &e, &s);
  getresgid(&gr, &ge, &gs);
  std::string text = "ids: " + std::to_string(r) + " " + std::to_string(e) + " " +
                     std::to_string(s) + " / " + std::to_string(gr) + " " + std::to_string(ge) +
                     " " + std::to_string(gs) + " /";
  std::array<gid_t, 128> groups{};
  const int count = getgroups(static_cast<int>(groups.size()), groups.data());
  for (int i = 0; i < count; ++i) text += " " + std::to_string(groups[static_cast<std::size_t>(i)]);
  line(text);
}

void print_environment(const Arguments&) {
  for (char** variable = environ; *variable != nullptr; ++variable) line(*variable);
}

void print_umask(const Arguments&) {
  const mode_t mask = umask(0);
  umask(mask);
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "umask: %03o", mask);
  line(text.data());
}

struct Resource {
  const char* name;
  __rlimit_resource resource;
};
constexpr std::array<Resource, 6> kResources{{{"core", RLIMIT_CORE},
                                              {"fsize", RLIMIT_FSIZE},
                                              {"nofile", RLIMIT_NOFILE},
                                              {"stack", RLIMIT_STACK},
                                              {"memlock", RLIMIT_MEMLOCK},
                                              {"nproc", RLIMIT_NPROC}}};

std::string limit_text(rlim_t value) {
  return value == RLIM_INFINITY ? "unlimited" : std::to_string(value);
}

void print_rlimits(const Arguments&) {
  for (const Resource& each : kResources) {
    rlimit limit{};
    getrlimit(each.resource, &limit);
    line(std::string(each.name) + ": " + limit_text(limit.rlim_cur) + " " +
         limit_text(limit.rlim_max));
  }
}

void print_session(const Arguments&) {
  line(std::string("session: ") + (getsid(0) == getpid() ? "own" : "shared") + " pid " +
       std::to_string(getpid()) + " parent " + std::to_string(getppid()));
}

// ---- the terminal ----

// Each stream: the terminal that it is, or "none"; then what can be said of the controlling one.
void print_terminal(const Arguments&) {
  for (int fd = 0; fd < 3; ++fd) {
    const char* name = ttyname(fd);
    line("stream " + std::to_string(fd) + ": " + (name != nullptr ? name : "none"));
  }
  const int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
  if (terminal < 0) return report("controlling", -1);
  struct stat status {};
  fstat(1, &status);
  line(std::string("controlling: ok") +
       (tcgetpgrp(terminal) == getpgrp() ? " foreground" : " background") + " owner " +
       std::to_string(status.st_uid));
  close(terminal);
}

void print_window(const Arguments&) {
  winsize size{};
  if (ioctl(1, TIOCGWINSZ, &size) != 0) return report("window", -1);
  line("window: " + std::to_string(size.ws_row) + " " + std::to_string(size.ws_col));
}

// As full-screen programs have it: keys as they come, no echo.
void set_raw(const Arguments&) {
  termios settings{};
  tcgetattr(0, &settings);
  cfmakeraw(&settings);
  report("raw", tcsetattr(0, TCSANOW, &settings));
}

// read-keys COUNT: their numbers.
void read_keys(const Arguments& a) {
  for (std::uint64_t left = number(a[1]); left > 0; --left) {
    unsigned char key = 0;
    const ssize_t got = read(0, &key, 1);
    line(got == 1 ? "key: " + std::to_string(key) : "key: " + outcome(got < 0 ? errno : 0));
  }
}

void print_hostname(const Arguments&) {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  line(std::string("hostname: ") + name.data());
}

void print_interfaces(const Arguments&) {
  struct if_nameindex* const all = if_nameindex();
  if (all == nullptr) return report("interfaces", -1);
  for (auto* each = all; each->if_index != 0; ++each)
    line(std::string("interface: ") + each->if_name);
  if_freenameindex(all);
}

void print_cpus(const Arguments&) {
  std::array<cpu_set_t, 8> allowed{};
  sched_getaffinity(0, sizeof allowed, allowed.data());
  line("cpus: " + std::to_string(CPU_COUNT_S(sizeof allowed, allowed.data())));
}

void open_many(const Arguments& a) {
  const int wanted = integer(a[1]);
  int opened = 0;
  while (opened < wanted && open("/dev/null", O_RDONLY) >= 0) ++opened;
  line("opened: " + std::to_string(opened));
}

// ---- other processes ----

bool is_number(const std::string& text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

void print_processes(const Arguments&) {
  for (const std::string& pid : names_in("/proc")) {
    if (!is_number(pid)) continue;
    std::string name = contents("/proc/" + pid + "/comm");
    if (!name.empty()) name.pop_back();
    line("process " + pid + ": " + name);
  }
}

// search-processes TEXT...: all that /proc says of the other processes, for any of the texts. A
// text is given with a
// "%" after each of its first two characters, so that this command line itself does not have it.
void search_processes(const Arguments& a) {
  const std::string self = std::to_string(getpid());
  std::vector<std::string> needles;
  for (std::size_t i = 1; i < a.size(); ++i) {
    std::string needle = a[i];
    needle.erase(std::remove(needle.begin(), needle.end(), '%'), needle.end());
    needles.push_back(needle);
  }
  int looked_at = 0;
  const auto look = [&](const std::string& where, const std::string& text) {
    ++looked_at;
    for (const std::string& needle : needles) {
      if (text.find(needle) != std::string::npos) line("found: " + needle + " in " + where);
    }
  };
  for (const std::string& pid : names_in("/proc")) {
    if (!is_number(pid) || pid == self) continue;
    const std::string directory = "/proc/" + pid + "/";
    for (const char* file :
         {"cmdline", "environ", "maps", "comm", "status", "stat", "cgroup", "mountinfo", "mounts",
          "wchan", "stack", "auxv", "limits", "io", "sched", "smaps", "numa_maps"}) {
      look(directory + file, contents(directory + file));
    }
    for (const char* file : {"exe", "cwd", "root"})
      look(directory + file, link_target(directory + file));
    for (const std::string& fd : names_in(directory + "fd"))
      look(directory + "fd/" + fd, link_target(directory + "fd/" + fd));
  }
  line("looked at: " + std::to_string(looked_at));
}

// How readable another process is: "environ: EACCES" ...
void pry(const Arguments& a) {
  const std::string directory = "/proc/" + a[1] + "/";
  for (const char* file : {"environ", "maps", "mem", "auxv", "syscall", "stack", "pagemap"}) {
    const int fd = open((directory + file).c_str(), O_RDONLY | O_CLOEXEC);
    char byte = 0;
    line(std::string(file) + ": " + outcome(fd < 0 ? errno : read(fd, &byte, 1) < 0 ? errno : 0));
    if (fd >= 0) close(fd);
  }
  for (const char* link : {"exe", "cwd", "root"}) {
    std::array<char, 4096> target{};
    line(std::string(link) + ": " +
         outcome(readlink((directory + link).c_str(), target.data(), target.size()) < 0 ? errno
                                                                                        : 0));
  }
  const int fds = open((directory + "fd").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  report("fd", fds);
  report("ptrace", ptrace(PTRACE_SEIZE, integer(a[1]), nullptr, nullptr));
}

void kill_process(const Arguments& a) { report("kill", kill(integer(a[1]), integer(a[2]))); }

// ---- the kernel's doors ----

// syscall NAME NUMBER [ARGUMENT...]: raw, all 64 bits; "s:TEXT" is a pointer to TEXT, "z:N" to N
// zero bytes.
void raw_syscall(const Arguments& a) {
  std::array<long, 6> values{};
  std::vector<std::vector<char>> buffers;
  buffers.reserve(6);
  for (std::size_t i = 0; i + 3 < a.size() && i < values.size(); ++i) {
    const std::string& text = a[i + 3];
    if (text.compare(0, 2, "s:") == 0) {
      buffers.emplace_back(text.begin() + 2, text.end());
      buffers.back().push_back('\0');
      values[i] = reinterpret_cast<long>(buffers.back().data());
    } else if (text.compare(0, 2, "z:") == 0) {
      buffers.emplace_back(number(text.substr(2)));
      values[i] = reinterpret_cast<long>(buffers.back().data());
    } else {
      values[i] = static_cast<long>(number(text));
    }
  }
  report(a[1], syscall(static_cast<long>(number(a[2])), values[0], values[1], values[2], values[3],
                       values[4], values[5]));
}

// calls FIRST LAST TIMES: each number so often (0: without end), without arguments; says what the
// last one came to.
void make_calls(const Arguments& a) {
  const long times = integer(a[3]);
  long result = 0;
  for (long done = 0; times == 0 || done < times; ++done) {
    for (long call = integer(a[1]); call <= integer(a[2]); ++call) result = syscall(call);
  }
  report("calls", result);
}

// in-thread COMMAND...: in another thread of this process.
void in_thread(const Arguments& a) {
  Arguments rest(a.begin() + 1, a.end());
  std::thread([&] { run(rest); }).join();
}

// openat2 PATH FLAGS MODE
void open_at2(const Arguments& a) {
  const std::array<std::uint64_t, 3> how{static_cast<std::uint64_t>(open_flags(a[2])), number(a[3]),
                                         0};
  report("openat2", syscall(SYS_openat2, AT_FDCWD, a[1].c_str(), how.data(), sizeof how));
}

// clone FLAGS: a child of its own namespaces, which only exits.
void clone_with(const Arguments& a) {
  const long pid = syscall(SYS_clone, static_cast<long>(number(a[1])) | SIGCHLD, nullptr, nullptr,
                           nullptr, nullptr);
  if (pid == 0) _exit(0);
  report("clone", pid);
  if (pid > 0) waitpid(static_cast<pid_t>(pid), nullptr, 0);
}

void unshare_command(const Arguments& a) {
  report("unshare", syscall(SYS_unshare, static_cast<long>(number(a[1]))));
}

// socket FAMILY [TYPE [PROTOCOL]]: raw, so that high bits reach the kernel's filter.
void open_socket(const Arguments& a) {
  const auto value = [&](std::size_t i, long otherwise) {
    return i < a.size() ? static_cast<long>(number(a[i])) : otherwise;
  };
  const long fd = syscall(SYS_socket, value(1, 0), value(2, SOCK_STREAM), value(3, 0));
  report("socket " + a[1], fd);
  if (fd >= 0) close(static_cast<int>(fd));
}

// connect PATH, "@NAME" for an abstract one.
void connect_to(const Arguments& a) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::min(a[1].size(), sizeof address.sun_path - 1);
  std::memcpy(address.sun_path, a[1].data(), length);
  if (a[1][0] == '@') address.sun_path[0] = '\0';
  report("connect", connect(fd, reinterpret_cast<const sockaddr*>(&address),
                            static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length)));
  close(fd);
}

// loopback: a byte over TCP to itself.
void loopback(const Arguments&) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener, any, length) != 0 || listen(listener, 1) != 0 ||
      getsockname(listener, any, &length) != 0)
    return report("loopback", -1);
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  report("loopback", connect(client, any, length));
}

// The session keyring's keys, as /proc/keys or keyctl would say: asks for one that the caller made.
void request_key(const Arguments& a) {
  report("request-key", syscall(SYS_request_key, "user", a[1].c_str(), nullptr, 0));
}

void capabilities(const Arguments&) {
  std::string bounding = "bounding:", ambient = "ambient:";
  for (int capability = 0; capability <= 63; ++capability) {
    if (prctl(PR_CAPBSET_READ, capability) == 1) bounding += " " + std::to_string(capability);
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) == 1)
      ambient += " " + std::to_string(capability);
  }
  line(bounding);
  line(ambient);
}

// ignored: means nothing, but stands in the command line.
void mark(const Arguments&) {}

// ready PATH: makes the file, for someone outside who waits for it.
void ready(const Arguments& a) { close(open(a[1].c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)); }

constexpr Command kCommands[] = {
    {"add-route", 0, probe::add_route},
    {"alloc", 1, allocate},
    {"attack-tree", 1, attack_tree},
    {"burn", 1, burn},
    {"calls", 3, make_calls},
    {"caps", 0, capabilities},
    {"chdir", 1, change_directory},
    {"chmod", 2, chmod_file},
    {"chown", 2, chown_file},
    {"clone", 1, clone_with},
    {"close", 1, close_fd},
    {"connect", 1, connect_to},
    {"count-stdin", 0, count_stdin},
    {"cpus", 0, print_cpus},
    {"echo-stdin", 0, echo_stdin},
    {"env", 0, print_environment},
    {"exec", 1, execute},
    {"exit", 1, exit_with},
    {"fds", 0, print_fds},
    {"fork-bomb", 1, fork_bomb},
    {"getcwd", 0, print_cwd},
    {"hostname", 0, print_hostname},
    {"ids", 0, print_ids},
    {"ignore-signal", 1, ignore_signal},
    {"in-thread", 1, in_thread},
    {"interface-down", 1, probe::interface_down},
    {"interfaces", 0, print_interfaces},
    {"kill", 2, kill_process},
    {"kill-self", 1, kill_self},
    {"link", 2, make_link},
    {"list", 1, list},
    {"loopback", 0, loopback},
    {"mark", 0, mark},
    {"mkdir", 1, make_directory},
    {"mknod", 4, make_node},
    {"on-signal", 3, on_signal},
    {"open", 2, open_file},
    {"open-many", 1, open_many},
    {"openat2", 3, open_at2},
    {"patience", 1, probe::patience},
    {"print", 0, print},
    {"print-error", 1, print_error},
    {"processes", 1, make_processes},
    {"pry", 1, pry},
    {"raw", 0, set_raw},
    {"read-keys", 1, read_keys},
    {"ps", 0, print_processes},
    {"put", 2, put},
    {"read-file", 1, read_file},
    {"readlink", 1, print_link},
    {"ready", 1, ready},
    {"rename", 2, rename_file},
    {"request-key", 1, request_key},
    {"resolve", 1, probe::resolve},
    {"rlimits", 0, print_rlimits},
    {"search-processes", 1, search_processes},
    {"session", 0, print_session},
    {"sleep", 1, sleep_command},
    {"socket", 1, open_socket},
    {"spawn", 1, spawn},
    {"spawn-daemon", 1, spawn_daemon},
    {"stat", 1, stat_file},
    {"terminal", 0, print_terminal},
    {"symlink", 2, make_symlink},
    {"syscall", 2, raw_syscall},
    {"tcp", 2, probe::tcp},
    {"tcp-listen", 1, probe::tcp_listen},
    {"tree", 1, probe::describe_tree},
    {"udp", 2, probe::udp},
    {"umask", 0, print_umask},
    {"unlink", 1, unlink_file},
    {"unshare", 1, unshare_command},
    {"wait", 0, wait_for_children},
    {"window", 0, print_window},
    {"write-binary", 0, write_binary},
    {"write-file", 2, write_file},
    {"write-stderr", 1, write_stderr},
    {"write-stdout", 1, write_stdout},
};

}  // namespace

std::span<const Command> probe_commands() { return kCommands; }

}  // namespace cove::payload
