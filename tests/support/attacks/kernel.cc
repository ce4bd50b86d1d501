// The kernel's other doors: 32-bit calls, io_uring, terminals.
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "tests/support/attacks/attacks.h"

namespace cove::payload {
namespace {

#if defined(__x86_64__)
// A 32-bit call has room for addresses of 32 bits.
class LowMemory {
 public:
  LowMemory()
      : start_(static_cast<char*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0))) {}
  std::uint32_t add(const void* bytes, std::size_t count) {
    char* const at = start_ + used_;
    std::memcpy(at, bytes, count);
    used_ += (count + 15) / 16 * 16;
    return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(at));
  }

 private:
  static constexpr std::size_t kBytes = 65536;
  char* start_;
  std::size_t used_ = 0;
};

// "7", "s:TEXT" for its address, "w:1,2,3" for the address of these words.
std::uint32_t low_value(const std::string& text, LowMemory& memory) {
  if (text.compare(0, 2, "s:") == 0) return memory.add(text.c_str() + 2, text.size() - 1);
  if (text.compare(0, 2, "w:") != 0) return static_cast<std::uint32_t>(number(text));
  std::vector<std::uint32_t> words;
  for (std::size_t at = 2; at < text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    words.push_back(static_cast<std::uint32_t>(number(text.substr(at, comma - at))));
    at = comma + 1;
  }
  return memory.add(words.data(), words.size() * sizeof(std::uint32_t));
}

long int80(std::uint32_t call, const std::array<std::uint32_t, 3>& values) {
  long result = 0;
  asm volatile("int $0x80"
               : "=a"(result)
               : "a"(call), "b"(values[0]), "c"(values[1]), "d"(values[2])
               : "memory", "r8", "r9", "r10", "r11");
  return static_cast<std::int32_t>(result);
}
#endif

// The one ring of io_uring that is needed here: one call in, one answer out.
class Ring {
 public:
  Ring() {
    fd_ = static_cast<int>(syscall(SYS_io_uring_setup, 1, &params_));
    if (fd_ < 0) return;
    submissions_ =
        map(params_.sq_off.array + params_.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
    completions_ =
        map(params_.cq_off.cqes + params_.cq_entries * sizeof(io_uring_cqe), IORING_OFF_CQ_RING);
    entries_ = map(params_.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES);
  }
  bool made() const { return fd_ >= 0; }
  // The call's result, negative errno for a failure.
  int call(const io_uring_sqe& entry) {
    *reinterpret_cast<io_uring_sqe*>(entries_) = entry;
    *reinterpret_cast<unsigned*>(submissions_ + params_.sq_off.array) = 0;
    auto* const tail = reinterpret_cast<std::atomic<unsigned>*>(submissions_ + params_.sq_off.tail);
    tail->fetch_add(1);
    if (syscall(SYS_io_uring_enter, fd_, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0) < 0)
      return -errno;
    return reinterpret_cast<const io_uring_cqe*>(completions_ + params_.cq_off.cqes)->res;
  }

 private:
  char* map(std::size_t bytes, std::uint64_t offset) const {
    return static_cast<char*>(
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, static_cast<off_t>(offset)));
  }
  io_uring_params params_{};
  int fd_ = -1;
  char *submissions_ = nullptr, *completions_ = nullptr, *entries_ = nullptr;
};

}  // namespace

// int80 NAME NUMBER [ARGUMENT...]: a system call of i386, from a process of x86-64. In a child, since
// a kernel without such calls sends SIGSEGV.
void call_by_int80(const Arguments& a) {
#if defined(__x86_64__)
  const pid_t pid = fork();
  if (pid == 0) {
    LowMemory memory;
    std::array<std::uint32_t, 3> values{};
    for (std::size_t i = 0; i < values.size() && i + 3 < a.size(); ++i)
      values[i] = low_value(a[i + 3], memory);
    const long result = int80(static_cast<std::uint32_t>(number(a[2])), values);
    errno = result < 0 ? static_cast<int>(-result) : 0;
    report(a[1], result < 0 ? -1 : 0);
    _exit(0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  if (WIFSIGNALED(status)) line(a[1] + ": signal " + std::to_string(WTERMSIG(status)));
#else
  line(a[1] + ": no such architecture");
#endif
}

// create-by-io-uring PATH MODE: a file, by a call that no filter sees.
void create_by_io_uring(const Arguments& a) {
  Ring ring;
  report("io_uring_setup", ring.made() ? 0 : -1);
  if (!ring.made()) return;
  io_uring_sqe entry{};
  entry.opcode = IORING_OP_OPENAT;
  entry.fd = AT_FDCWD;
  entry.addr = reinterpret_cast<std::uintptr_t>(a[1].c_str());
  entry.open_flags = O_WRONLY | O_CREAT | O_CLOEXEC;
  entry.len = static_cast<unsigned>(number(a[2]));
  const int result = ring.call(entry);
  errno = -result;
  report("io_uring openat", result < 0 ? -1 : 0);
}

// push-characters REQUEST: TIOCSTI or TIOCLINUX by its number, all 64 bits, on a terminal that this
// process makes and takes. What was pushed is then read, as a shell would.
void push_characters(const Arguments& a) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0) return report("posix_openpt", -1);
  unlockpt(master);
  std::array<char, 64> name{};
  ptsname_r(master, name.data(), name.size());
  setsid();
  const int terminal = open(name.data(), O_RDWR | O_CLOEXEC);  // it is the session's now
  if (terminal < 0) return report("open", -1);
  const std::array<char, 2> text{'x', '\n'};
  long result = 0;
  for (const char& character : text)
    result = syscall(SYS_ioctl, terminal, static_cast<long>(number(a[1])), &character);
  report("ioctl", result);
  if (result != 0) return;
  std::array<char, 8> line_read{};
  const ssize_t got = read(terminal, line_read.data(), line_read.size());
  line("the terminal's next reader gets: " +
       std::string(line_read.data(), got > 0 ? static_cast<std::size_t>(got) - 1 : 0));
}

}  // namespace cove::payload
