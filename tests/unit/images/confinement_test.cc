// Each protection by itself, against what it is there for: an attempt fails under it, and succeeds in
// a process that differs in nothing else.
#include "images/unpack/confinement.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>

#include "images/unpack/confined.h"
#include "images/unpack/layer.h"
#include "tests/unit/images/archives.h"

namespace cove {
namespace {

using testing::ScratchDirectory;

constexpr int kNotProtected = 250;

// What an attempt comes to: 0, or the errno.
using Attempt = std::function<int()>;
using Protection = std::function<bool()>;

int errno_unless(bool succeeded) { return succeeded ? 0 : errno; }
bool unprotected() { return true; }

// In a process of its own: what the attempt says, or the signal that ended it, negative.
int outcome(const Protection& protect, const Attempt& attempt) {
  const pid_t pid = fork();
  if (pid == 0) _exit(protect() ? attempt() : kNotProtected);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int opening(const std::string& path, int flags) {
  return errno_unless(open(path.c_str(), flags | O_CLOEXEC, 0600) >= 0);
}

// A process that does nothing, until it goes with its owner.
class Victim {
 public:
  Victim() : pid_(fork()) {
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    for (;;) pause();
  }
  Victim(const Victim&) = delete;
  ~Victim() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

// A directory that the work may use, beside one that it may not.
class Confining : public ::testing::Test {
 protected:
  Confining() {
    for (const char* name : {"layer", "layer/below", "outside"})
      mkdir((scratch_ / name).c_str(), 0755);
    testing::write_file(scratch_ / "outside/secret", "secret");
    testing::write_file(scratch_ / "layer/file", "x");
    directory_.reset(open((scratch_ / "layer").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    needs_.directory = directory_;
    needs_.writes = Writes::tree;
  }
  Protection names() const {
    return [this] { return drop_privileges(needs_) && restrict_names(needs_); };
  }
  Protection calls() const {
    return [this] { return drop_privileges(needs_) && filter_calls(needs_); };
  }
  Protection resources() const {
    return [this] {
      signal(SIGXFSZ, SIG_IGN);
      return limit_resources(needs_);
    };
  }

  ScratchDirectory scratch_;
  UniqueFd directory_;
  Needs needs_;
};

TEST_F(Confining, ClosesDescriptorsThatTheWorkHasNoUseFor) {
  const std::string secret = scratch_ / "outside/secret", layer = scratch_ / "layer/file";
  const UniqueFd inherited(open(secret.c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd kept(open(layer.c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd another(open(secret.c_str(), O_RDONLY | O_CLOEXEC));
  needs_.keep = {kept.number()};
  const auto reading = [](const UniqueFd& file) {
    char byte = 0;
    return [&file, byte]() mutable { return errno_unless(pread(file.number(), &byte, 1, 0) == 1); };
  };
  const auto close_others = [this] { return close_other_descriptors(needs_); };
  for (const UniqueFd* file : {&inherited, &another}) {
    EXPECT_EQ(outcome(unprotected, reading(*file)), 0);
    EXPECT_EQ(outcome(close_others, reading(*file)), EBADF);
  }
  EXPECT_EQ(outcome(close_others, reading(kept)), 0);
  EXPECT_EQ(outcome(close_others, [&] { return errno_unless(fchdir(directory_.number()) == 0); }),
            0);
  EXPECT_EQ(outcome(close_others, [] { return errno_unless(write(2, "x", 1) == 1); }), 0)
      << "/dev/null, as what is printed there tells nobody anything";
}

TEST_F(Confining, LandlockLeavesTheDirectoryAlone) {
  if (!has_landlock()) GTEST_SKIP() << "needs kernel 5.19: Landlock";
  const std::string secret = scratch_ / "outside/secret", fresh = scratch_ / "outside/new",
                    inside = scratch_ / "layer/file", out = scratch_ / "outside/link";
  const std::vector<std::pair<const char*, Attempt>> refused{
      {"read a file", [&] { return opening(secret, O_RDONLY); }},
      {"write a file", [&] { return opening(secret, O_WRONLY); }},
      {"read /etc/passwd", [] { return opening("/etc/passwd", O_RDONLY); }},
      {"make a file",
       [&] {
         const int error = opening(fresh, O_WRONLY | O_CREAT);
         unlink(fresh.c_str());
         return error;
       }},
      {"read one of the layer", [&] { return opening(inside, O_RDONLY); }},
      {"list the store", [&] { return opening(scratch_.path(), O_RDONLY | O_DIRECTORY); }},
      {"start a program", [] {
         execl("/bin/true", "true", nullptr);
         return errno;
       }}};
  for (const auto& [name, attempt] : refused) {
    SCOPED_TRACE(name);
    EXPECT_EQ(outcome(unprotected, attempt), 0);
    EXPECT_EQ(outcome(names(), attempt), EACCES);
  }
  const Attempt link_out = [&] { return errno_unless(link(inside.c_str(), out.c_str()) == 0); };
  EXPECT_EQ(outcome(names(), link_out), EACCES);
  EXPECT_EQ(outcome(unprotected, link_out), 0);
}

TEST_F(Confining, LandlockLetsALayerBeMade) {
  if (!has_landlock()) GTEST_SKIP() << "needs kernel 5.19: Landlock";
  const auto made = [&] {
    const int top = directory_.number();
    const int file = openat(top, "new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const bool ok = file >= 0 && write(file, "x", 1) == 1 && ftruncate(file, 5) == 0 &&
                    linkat(top, "new", top, "below/link", 0) == 0 &&
                    symlinkat("x", top, "s") == 0 && mkfifoat(top, "fifo", 0600) == 0 &&
                    mkdirat(top, "d", 0700) == 0 && mknodat(top, "whiteout", S_IFCHR, 0) == 0 &&
                    renameat(top, "d", top, "below/d") == 0 &&
                    unlinkat(top, "below/d", AT_REMOVEDIR) == 0 && unlinkat(top, "s", 0) == 0 &&
                    openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0;
    return errno_unless(ok);
  };
  EXPECT_EQ(outcome(names(), made), 0);
  needs_.writes = Writes::files;
  const auto directory = [&] {
    return errno_unless(mkdirat(directory_.number(), "d2", 0700) == 0);
  };
  const auto file = [&] { return opening(scratch_ / "layer/another", O_WRONLY | O_CREAT); };
  EXPECT_EQ(outcome(names(), directory), EACCES);
  EXPECT_EQ(outcome(names(), file), 0);
  needs_.writes = Writes::nothing;
  EXPECT_EQ(outcome(names(), file), EACCES);
  needs_.readable = {scratch_ / "outside", scratch_ / "missing"};
  EXPECT_EQ(outcome(names(), [&] { return opening(scratch_ / "outside/secret", O_RDONLY); }), 0);
}

// Where the kernel has it: scopes came with Linux 6.12, ports with 6.7.
TEST_F(Confining, LandlockKeepsFromProcessesAndSockets) {
  const long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, 1);
  if (abi < 6) GTEST_SKIP() << "needs kernel 6.12: Landlock's scopes";
  const Victim victim;
  const UniqueFd listening(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un abstract{};
  abstract.sun_family = AF_UNIX;
  const std::string name = scratch_ / "abstract";
  std::memcpy(&abstract.sun_path[1], name.data(), name.size());
  ASSERT_EQ(bind(listening.number(), reinterpret_cast<sockaddr*>(&abstract), sizeof abstract), 0);
  ASSERT_EQ(listen(listening.number(), 8), 0);
  const UniqueFd port(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in loopback{};
  loopback.sin_family = AF_INET;
  loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof loopback;
  ASSERT_EQ(bind(port.number(), reinterpret_cast<sockaddr*>(&loopback), size), 0);
  ASSERT_EQ(listen(port.number(), 8), 0);
  ASSERT_EQ(getsockname(port.number(), reinterpret_cast<sockaddr*>(&loopback), &size), 0);
  const auto connecting = [](const auto& address, int family) {
    return [&address, family] {
      const UniqueFd own(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
      return errno_unless(
          connect(own.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    };
  };
  const Attempt signalling = [&] { return errno_unless(kill(victim.pid(), SIGCONT) == 0); };
  const Attempt tracing = [&] {
    return errno_unless(ptrace(PTRACE_SEIZE, victim.pid(), 0, 0) == 0);
  };
  const std::vector<std::tuple<const char*, Attempt, int>> refused{
      {"abstract socket", connecting(abstract, AF_UNIX), EPERM},
      {"port", connecting(loopback, AF_INET), EACCES},
      {"signal", signalling, EPERM},
      {"trace", tracing, EPERM}};
  for (const auto& [what, attempt, error] : refused) {
    SCOPED_TRACE(what);
    EXPECT_EQ(outcome(unprotected, attempt), 0);
    EXPECT_EQ(outcome(names(), attempt), error);
  }
  needs_.sockets = Sockets::outgoing;
  EXPECT_EQ(outcome(names(), connecting(loopback, AF_INET)), 0);
}

TEST_F(Confining, TheDirectoryIsTheRoot) {
  const auto in_root = [this] { return change_root(needs_) && drop_privileges(needs_); };
  if (outcome(in_root, [] { return 0; }) != 0)
    GTEST_SKIP() << "needs privilege: CAP_SYS_CHROOT or a user namespace";
  const std::string secret = scratch_ / "outside/secret";
  // What Landlock leaves to everybody.
  const Attempt changing_modes = [&] { return errno_unless(chmod(secret.c_str(), 0644) == 0); };
  const Attempt looking = [&] { return errno_unless(access(secret.c_str(), F_OK) == 0); };
  for (const Attempt& attempt : {changing_modes, looking}) {
    EXPECT_EQ(outcome(unprotected, attempt), 0);
    EXPECT_EQ(outcome(in_root, attempt), ENOENT);
  }
  EXPECT_EQ(outcome(in_root, [] { return opening("/../file", O_RDONLY); }), 0);
}

TEST_F(Confining, TheFilterEndsWhoCallsForMore) {
  if (!filters_calls_in_this_build()) GTEST_SKIP() << "needs a build without sanitizers";
  const Victim victim;
  const std::string file = scratch_ / "layer/file";
  const std::vector<std::pair<const char*, Attempt>> ended{
      {"socket", [] { return errno_unless(socket(AF_INET, SOCK_STREAM, 0) >= 0); }},
      {"local socket", [] { return errno_unless(socket(AF_UNIX, SOCK_STREAM, 0) >= 0); }},
      {"start a program",
       [] {
         execl("/bin/true", "true", nullptr);
         return errno;
       }},
      {"fork",
       [] {
         const pid_t pid = fork();
         if (pid == 0) _exit(0);
         return errno_unless(pid > 0);
       }},
      {"trace", [&] { return errno_unless(ptrace(PTRACE_SEIZE, victim.pid(), 0, 0) == 0); }},
      {"kill", [&] { return errno_unless(kill(victim.pid(), SIGCONT) == 0); }},
      {"kill a thread",
       [&] { return errno_unless(syscall(SYS_tgkill, victim.pid(), victim.pid(), SIGCONT) == 0); }},
      {"leave the directory", [] { return errno_unless(chdir("/") == 0); }},
      {"memory without a limit",
       [] { return errno_unless(syscall(SYS_memfd_create, "x", 0) >= 0); }}};
  for (const auto& [name, attempt] : ended) {
    SCOPED_TRACE(name);
    EXPECT_EQ(outcome(unprotected, attempt), 0);
    EXPECT_EQ(outcome(calls(), attempt), -SIGSYS);
  }
}

// What asks for rights that the control may not have: it fails there, and ends nobody.
TEST_F(Confining, TheFilterEndsWhoCallsForPrivileges) {
  if (!filters_calls_in_this_build()) GTEST_SKIP() << "needs a build without sanitizers";
  const auto call = [](long number, long first = 0, long second = 0) {
    return [=] { return errno_unless(syscall(number, first, second, 0, 0, 0) >= 0); };
  };
  const std::vector<std::pair<const char*, Attempt>> ended{
      {"mount", call(SYS_mount)},
      {"new mount", call(SYS_fsopen)},
      {"unshare", call(SYS_unshare, CLONE_NEWUSER)},
      {"enter a namespace", call(SYS_setns, -1)},
      {"namespace by a thread",
       call(SYS_clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_NEWNET)},
      {"program in the kernel", call(SYS_bpf, -1)},
      {"ring", call(SYS_io_uring_setup)},
      {"key", call(SYS_add_key)},
      {"file by handle", call(SYS_open_by_handle_at, -1)},
      {"memory of others", call(SYS_process_vm_readv, 1)},
      {"descriptor of others", call(SYS_pidfd_getfd, -1)},
      {"user", call(SYS_setresuid, -1, -1)},
      {"another root", [] { return errno_unless(chroot("/") == 0); }},
      {"node",
       [this] { return errno_unless(mknodat(directory_.number(), "n", S_IFBLK, 0x0800) == 0); }},
      {"device",
       [this] { return errno_unless(mknodat(directory_.number(), "m", S_IFCHR, 0x0103) == 0); }},
#ifdef __x86_64__
      {"x32", call(0x40000000 | SYS_getpid)},
#endif
  };
  for (const auto& [name, attempt] : ended) {
    SCOPED_TRACE(name);
    const int without = outcome([this] { return drop_privileges(needs_); }, attempt);
    EXPECT_TRUE(without >= 0 && without != kNotProtected) << without;
    EXPECT_EQ(outcome(calls(), attempt), -SIGSYS);
  }
}

TEST_F(Confining, TheFilterRefusesCodeAndSharedMemory) {
  if (!filters_calls_in_this_build()) GTEST_SKIP() << "needs a build without sanitizers";
  const auto mapping = [](int protection, int flags) {
    return [=] {
      return errno_unless(mmap(nullptr, 4096, protection, flags | MAP_ANONYMOUS, -1, 0) !=
                          MAP_FAILED);
    };
  };
  const Attempt making_code = [] {
    void* page = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return errno_unless(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
  };
  for (const Attempt& attempt :
       {Attempt(mapping(PROT_READ | PROT_EXEC, MAP_PRIVATE)),
        Attempt(mapping(PROT_READ | PROT_WRITE, MAP_SHARED)), making_code}) {
    EXPECT_EQ(outcome(unprotected, attempt), 0);
    EXPECT_EQ(outcome(calls(), attempt), EACCES);
  }
  EXPECT_EQ(outcome(calls(), mapping(PROT_READ | PROT_WRITE, MAP_PRIVATE)), 0);
}

TEST_F(Confining, TheFilterLetsThreadsRunAndAbortsBeSeen) {
  EXPECT_EQ(outcome(calls(),
                    [] {
                      int seen = EINVAL;
                      std::thread([&seen] { seen = 0; }).join();
                      return seen;
                    }),
            0);
  EXPECT_EQ(outcome(calls(), []() -> int { abort(); }), -SIGABRT);
}

TEST_F(Confining, MemoryFilesAndDescriptorsHaveLimits) {
  needs_.file_bytes = 1000;
  const std::string path = scratch_ / "layer/big";
  const Attempt allocating = [] {
    constexpr std::size_t kFour = std::size_t{4} << 30U;
    return errno_unless(mmap(nullptr, kFour, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED);
  };
  const Attempt writing = [&] {
    const UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    return errno_unless(pwrite(file.number(), "x", 1, 1000) == 1);
  };
  const Attempt opening_many = [] {
    for (int i = 0; i < 200; ++i) {
      if (dup(0) < 0) return errno;
    }
    return 0;
  };
  EXPECT_EQ(outcome(unprotected, allocating), 0);
  if (filters_calls_in_this_build()) EXPECT_EQ(outcome(resources(), allocating), ENOMEM);
  EXPECT_EQ(outcome(unprotected, writing), 0);
  EXPECT_EQ(outcome(resources(), writing), EFBIG);
  EXPECT_EQ(outcome(unprotected, opening_many), 0);
  EXPECT_EQ(outcome(resources(), opening_many), EMFILE);
  EXPECT_EQ(outcome(resources(),
                    [] {
                      rlimit core{};
                      return errno_unless(getrlimit(RLIMIT_CORE, &core) == 0) +
                             static_cast<int>(core.rlim_max);
                    }),
            0);
}

TEST_F(Confining, NobodyOfTheSameUserMayLookIntoIt) {
  const auto dumpable = [] { return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0); };
  EXPECT_EQ(outcome(unprotected, dumpable), 1);
  EXPECT_EQ(outcome([this] { return drop_privileges(needs_); }, dumpable), 0);
}

TEST_F(Confining, PasswordsOfTheEnvironmentAreGone) {
  if (!filters_calls_in_this_build()) GTEST_SKIP() << "needs a build without sanitizers";
  setenv("COVE_TEST_PASSWORD", "hunter2-in-the-environment", 1);
  const char* value = getenv("COVE_TEST_PASSWORD");
  const auto seen = [value] {
    return std::strcmp(value, "hunter2-in-the-environment") == 0 ? 0 : ENOENT;
  };
  EXPECT_EQ(outcome(unprotected, seen), 0);
  EXPECT_EQ(outcome(
                [] {
                  wipe_environment({});
                  return getenv("PATH") == nullptr;
                },
                seen),
            ENOENT);
  unsetenv("COVE_TEST_PASSWORD");
}

TEST_F(Confining, OnlyNamedCapabilitiesAreLeft) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  needs_.capabilities = {CAP_CHOWN};
  const Attempt held = [] {
    for (int capability = 0; capability < cap_max_bits(); ++capability) {
      const bool wanted = capability == CAP_CHOWN;
      if (has_capability(capability) != wanted || (cap_get_bound(capability) == 1) != wanted)
        return EPERM;
    }
    return errno_unless(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
  };
  EXPECT_EQ(outcome(unprotected, held), EPERM);
  EXPECT_EQ(outcome([this] { return drop_privileges(needs_); }, held), 0);
}

// ---- All of them together, as a work that has been taken over would meet them. ----

Result<Records> told(int error) { return Records{std::to_string(error)}; }

class TakenOver : public Confining {
 protected:
  Result<Records> confined(const Attempt& attempt) {
    Result<ConfinedProcess> process =
        ConfinedProcess::start(needs_, [&] { return told(attempt()); });
    if (!process) return fail(process.error());
    Result<Records> records = process->finish();
    missing_ = process->missing();
    return records;
  }
  void expect_ended(const Attempt& attempt) {
    const Result<Records> records = confined(attempt);
    ASSERT_FALSE(records) << records->front();
    EXPECT_EQ(records.error().code, ErrorCode::sandbox_lost);
    EXPECT_NE(records.error().what.find("system call"), std::string::npos)
        << records.error().message();
  }
  std::vector<std::string> missing_;
};

TEST_F(TakenOver, GetsNowhere) {
  const pid_t loader = getpid();
  const UniqueFd inherited(open((scratch_ / "outside/secret").c_str(), O_RDONLY | O_CLOEXEC));
  const std::vector<std::pair<const char*, Attempt>> refused{
      {"/etc/shadow", [] { return opening("/etc/shadow", O_RDONLY); }},
      {"the store", [&] { return opening(scratch_ / "outside/secret", O_RDONLY); }},
      {"above",
       [this] {
         return errno_unless(openat(directory_.number(), "../outside/secret", O_RDONLY) >= 0);
       }},
      {"a descriptor of the loader", [&] {
         char byte = 0;
         return errno_unless(pread(inherited.number(), &byte, 1, 0) == 1);
       }}};
  for (const auto& [name, attempt] : refused) {
    SCOPED_TRACE(name);
    const Result<Records> records = confined(attempt);
    ASSERT_TRUE(records) << records.error().message();
    EXPECT_NE(records->front(), "0");
    EXPECT_EQ(missing_, std::vector<std::string>{});
  }
  EXPECT_EQ(
      *confined([this] { return errno_unless(mkdirat(directory_.number(), "mine", 0755) == 0); }),
      Records{"0"})
      << "what it is there for";
  if (!filters_calls_in_this_build()) GTEST_SKIP() << "needs a build without sanitizers";
  expect_ended([loader] { return errno_unless(kill(loader, SIGKILL) == 0); });
  expect_ended([loader] { return errno_unless(ptrace(PTRACE_SEIZE, loader, 0, 0) == 0); });
  expect_ended([] { return errno_unless(socket(AF_UNIX, SOCK_STREAM, 0) >= 0); });
  expect_ended([] {
    execl("/bin/true", "true", nullptr);
    return errno;
  });
}

TEST_F(TakenOver, IsToldThatItGetsNoMoreMemory) {
  if (!filters_calls_in_this_build()) GTEST_SKIP() << "needs a build without sanitizers";
  const Result<Records> records = confined([] {
    std::vector<std::string> held;
    for (int i = 0; i < 4096; ++i) held.emplace_back(std::size_t{1} << 20U, 'x');
    return 0;
  });
  ASSERT_FALSE(records);
  EXPECT_EQ(records.error().code, ErrorCode::resource_exhausted);
  EXPECT_NE(records.error().what.find("memory"), std::string::npos) << records.error().message();
}

// The largest window that is taken; what is compressed may be small.
std::string with_window_of_128_mebibytes(const std::string& bytes) {
  const std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(),
                                                                        ZSTD_freeCCtx);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, 27);
  std::string compressed(ZSTD_compressBound(bytes.size()), '\0');
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  ZSTD_outBuffer out{compressed.data(), compressed.size(), 0};
  // In two steps, so that the size is not known when the window is chosen.
  ZSTD_compressStream2(context.get(), &out, &in, ZSTD_e_flush);
  EXPECT_EQ(ZSTD_compressStream2(context.get(), &out, &in, ZSTD_e_end), 0U);
  compressed.resize(out.pos);
  return compressed;
}

TEST_F(TakenOver, HasMemoryForTheLargestZstdWindowAndSaysWhereThatIsNotEnough) {
  if (!filters_calls_in_this_build()) GTEST_SKIP() << "needs a build without sanitizers";
  testing::write_file(scratch_ / "blob",
                      with_window_of_128_mebibytes(testing::tar({testing::file("f", "content")})));
  const UniqueFd blob(open((scratch_ / "blob").c_str(), O_RDONLY | O_CLOEXEC));
  needs_.keep = {blob.number()};
  const auto unpacked = [&]() -> Result<Records> {
    lseek(blob.number(), 0, SEEK_SET);
    Result<ConfinedProcess> process = ConfinedProcess::start(needs_, [&]() -> Result<Records> {
      const auto result = unpack_layer(blob, {}, directory_, {}, Ownership::caller);
      if (!result) return fail(result.error());
      return Records{result->diff_id};
    });
    if (!process) return fail(process.error());
    return process->finish();
  };
  const Result<Records> whole = unpacked();
  ASSERT_TRUE(whole) << whole.error().message();
  EXPECT_EQ(testing::read_file(scratch_ / "layer/f"), "content");
  needs_.memory_bytes = std::uint64_t{100} << 20U;
  const Result<Records> refused = unpacked();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::resource_exhausted);
  EXPECT_NE(refused.error().what.find("memory"), std::string::npos) << refused.error().message();
}

// A container may refuse these calls, and an older kernel not have them.
void refuse_calls(std::initializer_list<long> numbers, int error) {
  std::vector<sock_filter> program{{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)}};
  for (const long number : numbers) {
    program.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<std::uint32_t>(number)});
    program.push_back(
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)});
  }
  program.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0);
}

TEST_F(TakenOver, IsConfinedByTheRestWhereTheHostRefusesAPart) {
  if (!filters_calls_in_this_build()) GTEST_SKIP() << "needs a build without sanitizers";
  const auto missing_under = [this](std::initializer_list<long> refused) {
    return outcome(
        [refused] {
          refuse_calls(refused, EPERM);
          return true;
        },
        [this] {
          const Result<Records> records = confined([] { return opening("/etc/shadow", O_RDONLY); });
          if (!records) return 100;
          return static_cast<int>(missing_.size()) + (records->front() == "0" ? 10 : 0);
        });
  };
  EXPECT_EQ(missing_under({}), 0);
  EXPECT_EQ(missing_under({SYS_seccomp}), 1);
  EXPECT_EQ(missing_under({SYS_landlock_create_ruleset, SYS_chroot}) % 10, 1);
  EXPECT_EQ(missing_under({SYS_landlock_create_ruleset, SYS_chroot, SYS_seccomp}) % 10, 2);
  EXPECT_EQ(missing_under({SYS_chroot}), 0) << "Landlock does";
}

}  // namespace
}  // namespace cove
