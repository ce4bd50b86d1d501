// Binds and tmpfs: what of the host is shown, who owns what is written there, and where a target
// may lead.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <thread>

#include "tests/support/host.h"
#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct stat status_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(lstat(path.c_str(), &status), 0) << path;
  return status;
}

SandboxSpec with_mount(const std::string& commands, const MountSpec& mount,
                       const RootDirectory& root = RootDirectory::shared()) {
  SandboxSpec spec = probe(commands);
  spec.rootfs = root.path();
  spec.mounts = {mount};
  return spec;
}

MountSpec tmpfs_on(const std::string& path) {
  MountSpec mount;
  mount.type = MountType::tmpfs;
  mount.container_path = path;
  return mount;
}

void expect_refused(const SandboxResult& result, const std::string& where) {
  EXPECT_EQ(result.cause, Cause::sandbox_error) << shown(result);
  ASSERT_TRUE(result.error);
  EXPECT_EQ(result.error->code, ErrorCode::invalid_argument) << result.error->message();
  EXPECT_EQ(result.error->where, where) << result.error->message();
  EXPECT_EQ(result.error->step, "mount 0") << result.error->message();
  EXPECT_EQ(exit_status(result), 125);
}

class Bind : public ::testing::Test {
 protected:
  void SetUp() override { COVE_NEEDS_IDMAPPED_BINDS(); }
};

TEST_F(Bind, ShowsADirectoryAndTakesWhatIsWritten) {
  const TempDirectory source;
  put_file(source / "in", "from outside");
  const SandboxResult result =
      run(with_mount("read-file /data/in ; put /data/out from-inside ; mkdir /data/new",
                     bind_of(source.path(), "/data")));
  EXPECT_EQ(output(result), "from outsideput: ok\nmkdir: ok\n") << shown(result);
  EXPECT_EQ(contents_of(source / "out"), "from-inside");
  EXPECT_THAT(names_in(source.path()), ElementsAre("in", "new", "out"));
}
TEST_F(Bind, WhatIsWrittenBelongsToTheOwnerOfTheDirectory) {
  COVE_NEEDS_PRIVILEGE();
  for (const uid_t owner : {0u, 1000u, 12345u}) {
    const TempDirectory source;
    ASSERT_EQ(chown(source.path().c_str(), owner, owner + 1), 0);
    const SandboxResult result =
        run(with_mount("put /data/file x ; mkdir /data/directory ; symlink x /data/link ; stat "
                       "/data/file ; stat /data",
                       bind_of(source.path(), "/data")));
    EXPECT_EQ(lines_of(output(result)).at(0), "put: ok") << shown(result);
    for (const char* name : {"file", "directory", "link"}) {
      EXPECT_EQ(status_of(source / name).st_uid, owner) << name;
      EXPECT_EQ(status_of(source / name).st_gid, owner + 1) << name;
    }
    EXPECT_THAT(output(result), HasSubstr("stat: 100644 1000 1000 1\n"));
  }
}
TEST_F(Bind, TheOwnersPrivateFilesCanBeReadAndOthersCannot) {
  COVE_NEEDS_PRIVILEGE();
  const TempDirectory source;
  ASSERT_EQ(chown(source.path().c_str(), 12345, 12345), 0);
  put_file(source / "own", "own", 0600);
  ASSERT_EQ(chown((source / "own").c_str(), 12345, 12345), 0);
  put_file(source / "roots", "roots", 0600);
  put_file(source / "thousands", "thousands", 0600);
  ASSERT_EQ(chown((source / "thousands").c_str(), 1000, 1000), 0);
  for (const char* user : {"1000", "root", "alice"}) {
    SandboxSpec spec = with_mount(
        "read-file /data/own ; read-file /data/roots ; read-file /data/thousands ; chmod "
        "/data/roots 0777",
        bind_of(source.path(), "/data"));
    spec.user = user;
    // The owner is whoever the program runs as; ids that nobody inside has cannot be changed
    // (EOVERFLOW).
    EXPECT_THAT(output(run(spec)),
                ::testing::MatchesRegex(
                    "ownread-file: EACCES\nread-file: EACCES\nchmod: (EPERM|EOVERFLOW)\n"))
        << user;
  }
}
TEST_F(Bind, AnotherUserInsideIsNotTheOwner) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const TempDirectory source;
  ASSERT_EQ(chmod(source.path().c_str(), 0777), 0);
  const SandboxResult result =
      run(with_mount("put /data/file x ; spawn exit 0 ; wait", bind_of(source.path(), "/data")));
  EXPECT_THAT(output(result), HasSubstr("put: ok"));
  EXPECT_EQ(status_of(source / "file").st_uid, 0u);
}
TEST_F(Bind, ReadOnlyRefusesEveryWrite) {
  const TempDirectory source;
  put_file(source / "file", "original", 0666);
  ASSERT_EQ(mkdir((source / "directory").c_str(), 0777), 0);
  for (const char* user : {"1000", "root"}) {
    SandboxSpec spec = with_mount(
        "put /data/file x ; put /data/new x ; mkdir /data/new ; unlink /data/file ; chmod "
        "/data/file 0777 ; rename /data/file /data/other ; put /data/directory/new x ; read-file "
        "/data/file",
        read_only_bind_of(source.path(), "/data"));
    spec.user = user;
    EXPECT_EQ(output(run(spec)),
              "put: EROFS\nput: EROFS\nmkdir: EROFS\nunlink: EROFS\nchmod: EROFS\nrename: "
              "EROFS\nput: EROFS\noriginal")
        << user;
  }
  EXPECT_EQ(contents_of(source / "file"), "original");
  EXPECT_THAT(names_in(source.path()), ElementsAre("directory", "file"));
}
TEST_F(Bind, OfAFile) {
  const TempDirectory source;
  put_file(source / "file", "content", 0644);
  EXPECT_EQ(output(run(with_mount("read-file /etc/deep/given ; put /etc/deep/given changed",
                                  bind_of(source / "file", "/etc/deep/given")))),
            "contentput: ok\n");
  EXPECT_EQ(contents_of(source / "file"), "changed");
}
TEST_F(Bind, OfAFileOverAFileOfTheImage) {
  const TempDirectory source;
  put_file(source / "file", "replaced", 0644);
  EXPECT_EQ(output(run(with_mount("read-file /etc/group",
                                  read_only_bind_of(source / "file", "/etc/group")))),
            "replaced");
}
TEST_F(Bind, OfAFileOverOneThatWeMake) {
  const TempDirectory source;
  put_file(source / "hosts", "10.0.0.1 given\n", 0644);
  EXPECT_EQ(output(run(with_mount("read-file /etc/hosts",
                                  read_only_bind_of(source / "hosts", "/etc/hosts")))),
            "10.0.0.1 given\n");
}
TEST_F(Bind, ADirectoryOnAFileIsAnErrorThatNamesTheMount) {
  const TempDirectory source;
  const SandboxResult result = run(with_mount("exit 0", bind_of(source.path(), "/etc/passwd")));
  EXPECT_EQ(result.cause, Cause::sandbox_error) << shown(result);
  ASSERT_TRUE(result.error);
  EXPECT_EQ(result.error->code, ErrorCode::setup_failed);
  EXPECT_THAT(result.error->message(), HasSubstr("/etc/passwd"));
  EXPECT_THAT(result.error->step, HasSubstr("mount"));
}
TEST(BindRefusal, OfAMissingSourceIsRefusedByItsPath) {
  expect_refused(run(with_mount("exit 0", bind_of("/no/such/source", "/data"))),
                 "$.mounts[0].host_path");
  EXPECT_FALSE(exists("/no"));
}
TEST(BindRefusal, OfTheHostsProcIsRefused) {
  for (const char* path : {"/proc", "/proc/self", "/proc/1/root/proc", "/proc/self/fd", "/proc/sys",
                           "/sys", "/sys/fs/cgroup"}) {
    if (std::string(path) == "/sys/fs/cgroup" && !exists("/sys/fs/cgroup/cgroup.procs"))
      continue;  // a tmpfs on hybrid hosts
    expect_refused(run(with_mount("exit 0", bind_of(path, "/data"))), "$.mounts[0].host_path");
    expect_refused(run(with_mount("exit 0", read_only_bind_of(path, "/data"))),
                   "$.mounts[0].host_path");
  }
}
TEST(BindRefusal, OfADirectoryThatHoldsTheHostsProcDoesNotShowIt) {
  // A recursive bind of what lies above would bring it in by the back door.
  const SandboxResult result = run(with_mount("list /data", read_only_bind_of("/", "/data")));
  expect_refused(result, "$.mounts[0].host_path");
}
TEST(BindRefusal, OfACgroupHierarchyIsRefused) {
  const std::string& mount_point = host_facts().cgroup.v2_mount_point;
  if (mount_point.empty()) GTEST_SKIP() << "needs cgroup-v2 hierarchy";
  expect_refused(run(with_mount("exit 0", bind_of(mount_point, "/data"))), "$.mounts[0].host_path");
}
TEST(BindRefusal, OfADeviceOrFifoIsRefused) {
  const TempDirectory source;
  ASSERT_EQ(mkfifo((source / "fifo").c_str(), 0666), 0);
  expect_refused(run(with_mount("exit 0", bind_of(source / "fifo", "/data"))),
                 "$.mounts[0].host_path");
  expect_refused(run(with_mount("exit 0", bind_of("/dev/null", "/data"))), "$.mounts[0].host_path");
}
TEST(BindRefusal, OverThePlacesOfTheKernelIsRefused) {
  const TempDirectory source;
  for (const char* target :
       {"/", "/proc", "/proc/self", "/sys", "/sys/fs/cgroup", "/dev", "/dev/shm", "/dev/fd",
        "relative", "/a/../b", "/./proc", "//proc", "/proc/"}) {
    const SandboxResult result = run(with_mount("exit 0", bind_of(source.path(), target)));
    ASSERT_TRUE(result.error) << target << shown(result);
    EXPECT_EQ(result.error->code, ErrorCode::invalid_argument) << target;
    EXPECT_EQ(result.error->where, "$.mounts[0].container_path") << target;
  }
}
TEST_F(Bind, ASocketOfTheHostCanBeGiven) {
  const TempDirectory source;
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, (source / "socket").c_str());
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  const SandboxResult result =
      run(with_mount("connect /run/service.sock", bind_of(source / "socket", "/run/service.sock")));
  close(listener);
  EXPECT_EQ(output(result), "connect: ok\n") << shown(result);
}
TEST_F(Bind, AWritableOneGoesWithAFilterThatRefusesSeccomp) {
  const TempDirectory source;
  SandboxSpec spec =
      with_mount("put /data/file x ; chmod /data/file 04755", bind_of(source.path(), "/data"));
  spec.seccomp = "strict";
  const SandboxResult result = run(spec);
  EXPECT_EQ(output(result), "put: ok\nchmod: EPERM\n") << shown(result);
}
TEST_F(Bind, AWorkdirOnItIsUsedAsItIs) {
  const TempDirectory source;
  put_file(source / "file", "x");
  SandboxSpec spec = with_mount("getcwd ; list .", bind_of(source.path(), "/work"));
  spec.workdir = "/work";
  const mode_t mode = status_of(source.path()).st_mode;
  EXPECT_EQ(output(run(spec)), "cwd: /work\nfile\n");
  EXPECT_EQ(status_of(source.path()).st_mode, mode);
}
TEST_F(Bind, AWorkdirThatIsMissingOnItIsNotMade) {
  const TempDirectory source;
  SandboxSpec spec = with_mount("getcwd", bind_of(source.path(), "/work"));
  spec.workdir = "/work/missing";
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::sandbox_error) << shown(result);
  EXPECT_EQ(result.error->step, "workdir");
  EXPECT_THAT(names_in(source.path()), IsEmpty());
}
TEST(BindRefusal, ThatTheCallerMayNotWriteIsRefusedUnlessReadOnly) {
  if (geteuid() == 0) return;  // root may write anything
  expect_refused(run(with_mount("exit 0", bind_of("/usr", "/data"))), "$.mounts[0].host_path");
}

// ---- links ----

TEST_F(Bind, ALinkAsSourceIsResolvedOnce) {
  const TempDirectory source;
  ASSERT_EQ(mkdir((source / "real").c_str(), 0755), 0);
  put_file(source / "real/file", "real");
  ASSERT_EQ(symlink("real", (source / "link").c_str()), 0);
  EXPECT_EQ(
      output(run(with_mount("read-file /data/file", read_only_bind_of(source / "link", "/data")))),
      "real");
}
TEST_F(Bind, ATargetThroughALinkOfTheImageStaysInTheRoot) {
  const TempDirectory source;
  put_file(source / "file", "bound");
  struct Case {
    const char* link;
    const char* target;
  };
  for (const Case& each :
       {Case{"/etc", "/etc/x"}, Case{"../../..", "/x"}, Case{"../../../../etc", "/etc/x"},
        Case{"/proc/self/root", ""}, Case{"/srv/../../../..", "/x"}}) {
    const RootDirectory root;
    root.link("/link", each.link);
    const SandboxResult result =
        run(with_mount(std::string("read-file /link/x/file ; read-file ") + each.target + "/file",
                       read_only_bind_of(source.path(), "/link/x"), root));
    if (*each.target != '\0') {
      EXPECT_EQ(output(result), "boundbound") << each.link << shown(result);
    } else {
      EXPECT_EQ(result.cause, Cause::sandbox_error) << shown(result);
    }
    EXPECT_FALSE(exists("/etc/x"));
    EXPECT_FALSE(exists("/x"));
    EXPECT_FALSE(exists(root.outside("/etc/x"))) << "the image itself was written to";
  }
}
TEST_F(Bind, ATargetThatIsALinkIsFollowedInTheRoot) {
  const TempDirectory source;
  put_file(source / "file", "bound");
  const RootDirectory root;
  root.make_directory("/srv/place");
  root.link("/link", "/srv/place");
  EXPECT_EQ(output(run(with_mount("read-file /srv/place/file",
                                  read_only_bind_of(source.path(), "/link"), root))),
            "bound");
}
TEST_F(Bind, ALoopOfLinksIsAnError) {
  const TempDirectory source;
  const RootDirectory root;
  root.link("/a", "/b");
  root.link("/b", "/a");
  const SandboxResult result = run(with_mount("exit 0", bind_of(source.path(), "/a/x"), root));
  EXPECT_EQ(result.cause, Cause::sandbox_error) << shown(result);
  EXPECT_EQ(result.error->sys_errno, ELOOP);
}

// ---- several ----

TEST_F(Bind, AChildIsMadeAfterItsParentWhateverTheOrder) {
  const TempDirectory parent, child;
  ASSERT_EQ(mkdir((parent / "below").c_str(), 0755), 0);
  put_file(parent / "file", "parent");
  put_file(child / "file", "child");
  SandboxSpec spec = probe("read-file /data/file ; read-file /data/below/file");
  for (const bool parent_first : {true, false}) {
    spec.mounts = {read_only_bind_of(parent.path(), "/data"), bind_of(child.path(), "/data/below")};
    if (!parent_first) std::swap(spec.mounts[0], spec.mounts[1]);
    const SandboxResult result = run(spec);
    EXPECT_EQ(output(result), "parentchild") << shown(result);
  }
}
// A directory that is a mount of its own, and shared, as every mount is where systemd runs.
class SharedDirectory {
 public:
  SharedDirectory() {
    mounted_ = mount(path().c_str(), path().c_str(), nullptr, MS_BIND, nullptr) == 0 &&
               mount(nullptr, path().c_str(), nullptr, MS_SHARED, nullptr) == 0;
  }
  SharedDirectory(const SharedDirectory&) = delete;
  ~SharedDirectory() {
    while (umount2(path().c_str(), MNT_DETACH) == 0) {
    }
  }
  const std::string& path() const { return directory_.path(); }
  bool mounted() const { return mounted_; }

 private:
  const TempDirectory directory_;
  bool mounted_ = false;
};

TEST_F(Bind, WhatIsMountedInsideDoesNotAppearOnTheHostNorTheOtherWayRound) {
  COVE_NEEDS_CAP_SYS_ADMIN();
  const SharedDirectory parent;
  const TempDirectory child;
  ASSERT_TRUE(parent.mounted());
  for (const char* name : {"/below", "/late"})
    ASSERT_EQ(mkdir((parent.path() + name).c_str(), 0755), 0);
  put_file(child / "file", "child");
  std::array<int, 2> gate{};
  ASSERT_EQ(pipe2(gate.data(), O_CLOEXEC), 0);

  SandboxSpec spec =
      probe("read-file /data/below/file ; put /data/started x ; count-stdin ; list /data/late");
  spec.mounts = {bind_of(parent.path(), "/data"), bind_of(child.path(), "/data/below")};
  spec.stdin_source = StdinInherit{};
  Streams streams;
  streams.stdin_fd = gate[0];
  auto sandbox = shared_engine().launch(spec, streams);
  ASSERT_TRUE(sandbox) << sandbox.error().message();
  const double end = seconds_now() + 5 * slowness();
  while (access((parent.path() + "/started").c_str(), F_OK) != 0 && seconds_now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));

  EXPECT_THAT(names_in(parent.path() + "/below"), IsEmpty());  // the host's
  const std::string late = parent.path() + "/late";
  ASSERT_EQ(mount("tmpfs", late.c_str(), "tmpfs", 0, nullptr), 0);
  put_file(late + "/secret", "of the host");
  close(gate[1]);
  const SandboxResult result = sandbox->wait();
  close(gate[0]);
  EXPECT_THAT(output(result), HasSubstr("child"));
  EXPECT_THAT(output(result), Not(HasSubstr("secret"))) << shown(result);
  EXPECT_EQ(umount2(late.c_str(), MNT_DETACH), 0);
}
TEST_F(Bind, ATargetThatIsMissingOnTheHostsDirectoryIsMadeThereAsItsOwner) {
  const TempDirectory parent, child;
  SandboxSpec spec = probe("put /data/below/file x");
  spec.mounts = {bind_of(parent.path(), "/data"), bind_of(child.path(), "/data/below")};
  const SandboxResult result = run(spec);
  if (result.cause == Cause::exited) {
    EXPECT_EQ(output(result), "put: ok\n");
    EXPECT_EQ(status_of(parent / "below").st_uid, status_of(parent.path()).st_uid);
  } else {
    EXPECT_THAT(result.error->message(), HasSubstr("/data/below"));
  }
}
TEST(Mounts, TheSameTargetTwiceIsRefused) {
  const TempDirectory source;
  SandboxSpec spec = probe("exit 0");
  spec.mounts = {bind_of(source.path(), "/data"), bind_of(source.path(), "/data/")};
  const SandboxResult result = run(spec);
  ASSERT_TRUE(result.error) << shown(result);
  EXPECT_EQ(result.error->where, "$.mounts[1].container_path");
}
TEST_F(Bind, FiftyAtOnce) {
  const TempDirectory source;
  put_file(source / "file", "x");
  SandboxSpec spec = probe("list /many");
  for (int i = 10; i < 60; ++i)
    spec.mounts.push_back(read_only_bind_of(source.path(), "/many/" + std::to_string(i)));
  EXPECT_EQ(lines_of(output(run(spec))).size(), 50u);
}
TEST(Mounts, ATmpfsIsWritableAndGoneAfterwards) {
  SandboxSpec spec =
      with_mount("list /scratch ; put /scratch/file x ; stat /scratch", tmpfs_on("/scratch"));
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(output(run(spec)), ::testing::MatchesRegex("put: ok\nstat: 41777 .*\n"));
  }
}
TEST(Mounts, ATmpfsOnTmpTakesItsPlace) {
  MountSpec mount = tmpfs_on("/tmp");
  mount.size = mebibytes(1);
  const SandboxResult result =
      run(with_mount("write-file /tmp/big 2097152 ; write-file /workspace/big 2097152", mount));
  EXPECT_EQ(output(result), "written: 1048576\nwrite-file: ENOSPC\nwrite-file: ok\n")
      << shown(result);
}
TEST_F(Bind, OfTheCommandLineAreTheSame) {
  const TempDirectory source;
  put_file(source / "file", "given");
  const CommandOutcome outcome = run_command(
      cove_run({"-v", source.path() + ":/data:ro", "--tmpfs", "/scratch:size=1m"},
               "read-file /data/file ; put /data/file x ; write-file /scratch/x 2097152"));
  EXPECT_EQ(outcome.out, "givenput: EROFS\nwritten: 1048576\nwrite-file: ENOSPC\n") << outcome.err;
}

}  // namespace
}  // namespace cove::testing
