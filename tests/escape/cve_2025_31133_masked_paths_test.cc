// CVE-2025-31133 (runc): what is mounted to mask a path was the image's own /dev/null, which was a
// link. CVE-2023-27561, CVE-2023-28642: masks of a /proc that is a link went elsewhere. CVE-2025-52881:
// so did the runtime's own writes to /proc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

TEST(Escape, MaskedFilesOfProcAreEmptyOrUnreadable) {
  const Attack readable("read-file /proc/interrupts");
  EXPECT_THAT(readable.without({Protection::masked_paths}), HasSubstr("CPU0"));
  EXPECT_EQ(readable.inside(), "");
  for (const char* file : {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug",
                           "/proc/latency_stats", "/proc/acpi", "/proc/scsi", "/proc/asound"}) {
    Attack attack(std::string("read-file ") + file + " ; list " + file);
    for (const char* user : {"1000", "root"}) {
      attack.spec.user = user;
      EXPECT_THAT(attack.inside(), MatchesRegex("(read-file: (EISDIR|ENOENT)\n)?(list: ENOENT\n)?"))
          << file << " as " << user;
    }
  }
}
// Settings of the sandbox's own namespaces are its root's to change, but for the cover.
TEST(Escape, SysctlsAreReadOnly) {
  Attack attack("open /proc/sys/kernel/shmmax rw ; open /proc/sys/fs/mqueue/queues_max rw");
  attack.spec.user = "root";
  const std::string uncovered = attack.without({Protection::masked_paths});
  // Newer kernels let a namespace's root.
  EXPECT_THAT(uncovered, AnyOf("open: ok\nopen: ok\n", "open: EACCES\nopen: EACCES\n"));
  if (uncovered == "open: ok\nopen: ok\n") {
    EXPECT_EQ(attack.inside(), "open: EROFS\nopen: EROFS\n");
  } else {
    EXPECT_EQ(attack.inside(), uncovered);
  }
  const std::string mounts = Attack("read-file /proc/self/mountinfo").inside();
  for (const char* path :
       {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}) {
    if (!exists(path)) continue;
    EXPECT_THAT(mounts, HasSubstr(std::string(" ") + path + " ro,nosuid,nodev,noexec")) << path;
  }
}
// core_pattern, modprobe: programs that the kernel runs as the host's root. Ids keep these files from
// being opened, before the cover is asked; that it is there, too, is shown above.
TEST(Escape, NoProgramNameOfTheKernelsCanBeWritten) {
  for (const char* file :
       {"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hostname",
        "/proc/sys/vm/panic_on_oom", "/proc/sys/net/ipv4/ip_forward", "/proc/sysrq-trigger",
        "/sys/kernel/uevent_helper", "/proc/sys/fs/binfmt_misc/register"}) {
    Attack attack(std::string("open ") + file + " w");
    if (geteuid() == 0 && exists(file)) {
      EXPECT_EQ(access(file, W_OK), 0) << file << ": outside root may";
    }
    for (const char* user : {"1000", "root"}) {
      attack.spec.user = user;
      EXPECT_THAT(attack.inside(), MatchesRegex("open: (ENOENT|EACCES|EROFS)\n"))
          << file << " as " << user;
    }
  }
}
TEST(Escape, KernelAddressesAndLogsAreHidden) {
  for (const char* file : {"/dev/kmsg", "/dev/mem", "/dev/port", "/dev/kvm", "/dev/fuse"})
    EXPECT_EQ(Attack(std::string("open ") + file + " r").inside(), "open: ENOENT\n") << file;
  EXPECT_THAT(Attack("open /proc/kmsg r").inside(), AnyOf("open: EPERM\n", "open: EACCES\n"));
  for (const std::string& line : lines_of(Attack("read-file /proc/kallsyms").inside()))
    ASSERT_EQ(line.substr(0, 16), "0000000000000000") << line;
}

TEST(Escape, Cve202531133TheMaskIsNotTheImagesDevNull) {
  const TempDirectory victim;
  put_file(victim / "file", "of the host");
  const AttackerRoot root;
  root.make_directory("/dev");
  root.link("/dev/null", victim / "file");
  root.link("/dev/zero", "/etc/passwd");
  root.link("/dev/pts", "/proc/sys");
  root.put("/mask/file", "of the image");
  // Who opens it by its path writes to the host's.
  std::ofstream(root.outside("/dev/null")) << "masked";
  ASSERT_EQ(contents_of(victim / "file"), "masked");

  const Attack attack(
      "read-file /proc/interrupts ; read-file /proc/keys ; put /dev/null x ; read-file "
      "/dev/null ; stat /dev/null ; open /dev/zero r",
      root);
  EXPECT_THAT(attack.inside(), MatchesRegex("put: ok\nstat: 20666 [0-9 ]+\nopen: ok\n"));
  EXPECT_EQ(contents_of(victim / "file"), "masked");
}
TEST(Escape, Cve202531133TheImagesDevNullIsExchangedMeanwhile) {
  const AttackerRoot root;
  root.make_directory("/dev");
  root.link("/dev/null", "/proc/sys/kernel/core_pattern");
  root.put("/dev/other", "not a device");
  const Swapper swapper(root.outside("/dev/null"), root.outside("/dev/other"));
  const Attack attack("read-file /proc/keys ; stat /dev/null", root);
  for (int i = attempts(60); i > 0; --i)
    EXPECT_THAT(attack.inside(), MatchesRegex("stat: 20666 [0-9 ]+\n"));
}
TEST(Escape, Cve202531133MasksCannotBeLifted) {
  Attack attack(
      "syscall umount2 166 s:/proc/keys 2 ; remount-writable /proc/sys ; unlink /proc/keys ; "
      "rename /proc/keys /proc/other ; put /proc/keys x ; chmod /proc/keys 0777");
  EXPECT_THAT(
      Attack("syscall mount 165 s:none s:/srv s:tmpfs 1 0 ; put /srv/x x ; remount-writable "
             "/srv ; put /srv/x x ; syscall umount2 166 s:/srv 2")
          .in_naive_container({}, Capabilities::kept),
      ::testing::StartsWith("mount: ok\nput: EROFS\nremount: ok\n"));
  for (const char* user : {"1000", "root"}) {
    attack.spec.user = user;
    for (const std::string& out : {attack.inside(), attack.without({Protection::seccomp})})
      EXPECT_THAT(out, MatchesRegex("umount2: EPERM\nremount: EPERM\nmount_setattr: EPERM\n"
                                    "unlink: (EPERM|EACCES|EBUSY)\n"
                                    "rename: (EPERM|EACCES|EBUSY|ENOENT)\n"
                                    "put: (EROFS|EACCES)\nchmod: EROFS\n"))
          << user;
  }
}

// Cove writes one sysctl of its own. It finds that by its own procfs.
TEST(Escape, Cve202552881OurWritesToProcAreNotRedirected) {
  const TempDirectory victim;
  put_file(victim / "file", "of the host");
  const AttackerRoot root;
  root.make_directory("/proc/sys/user");
  root.link("/proc/sys/user/max_user_namespaces", victim / "file");
  std::ofstream(root.outside("/proc/sys/user/max_user_namespaces")) << "0";  // by its path
  ASSERT_EQ(contents_of(victim / "file"), "0");
  put_file(victim / "file", "of the host");

  EXPECT_EQ(Attack("read-file /proc/sys/user/max_user_namespaces", root).inside(), "0\n");
  EXPECT_EQ(contents_of(victim / "file"), "of the host");
  EXPECT_THAT(Attack("read-file /proc/sys/user/max_user_namespaces", root)
                  .without({Protection::nested_user_namespaces}),
              Not("0\n"));
}

}  // namespace
}  // namespace cove::testing
