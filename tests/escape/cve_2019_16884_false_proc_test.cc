// CVE-2019-16884 (runc), CVE-2019-18837 (crun): with a volume on /proc, what the runtime wrote there
// (labels) went into files of the volume. CVE-2019-19921: the same with a /proc that is exchanged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::MatchesRegex;

// A directory that looks like a procfs.
class FalseProc {
 public:
  FalseProc() {
    for (const char* name : {"self", "self/attr", "2", "1"})
      EXPECT_EQ(mkdir((directory_ / name).c_str(), 0755), 0);
    put_file(directory_ / "self/comm", "false\n");
    put_file(directory_ / "self/attr/exec", "");
  }
  const std::string& path() const { return directory_.path(); }
  bool is_untouched() const { return contents_of(directory_ / "self/attr/exec").empty(); }

 private:
  const TempDirectory directory_;
};

TEST(Escape, Cve201916884AVolumeOverProcIsRefused) {
  const FalseProc fake;
  // 0x1000: MS_BIND.
  Attack naive("syscall mount 165 s:" + fake.path() +
               " s:/proc 0 0x1000 0 ; put /proc/self/attr/exec label");
  naive.spec.rootfs = "/";  // in which that directory is
  EXPECT_EQ(naive.in_naive_container({}, Capabilities::kept), "mount: ok\nput: ok\n");
  EXPECT_FALSE(fake.is_untouched());

  const FalseProc other;
  for (const char* place : {"/proc", "/proc/self", "/proc/self/attr", "//proc", "/proc/"}) {
    SandboxSpec spec = Attack("put /proc/self/attr/exec label").spec;
    spec.mounts = {bind_of(other.path(), place)};
    const SandboxResult result = run(spec);
    EXPECT_EQ(refusal(result), "invalid_argument, spec, 0") << place;
    EXPECT_EQ(result.error->where, "$.mounts[0].container_path") << place;
  }
  EXPECT_TRUE(other.is_untouched());
}

TEST(Escape, Cve201916884ALinkOfTheImageDoesNotLeadAVolumeThere) {
  COVE_NEEDS_IDMAPPED_BINDS();
  const FalseProc fake;
  for (const char* place :
       {"/proc", "/proc/self", "/dev", "/dev/shm", "/proc/sys", "/proc/acpi", "/proc/fs"}) {
    const AttackerRoot root;
    root.link("/link", place);
    SandboxSpec spec = Attack("read-file /proc/self/comm", root).spec;
    spec.mounts = {read_only_bind_of(fake.path(), "/link")};
    EXPECT_THAT(refusal(run(spec)),
                MatchesRegex("(image_invalid, mount [0-9]+ on /link, EXDEV|"
                             "setup_failed, mount [0-9]+ on /link, (ELOOP|ENOENT))"))
        << place;
  }
}

// Procfs is looked up by descriptor, never by what the image has at /proc.
TEST(Escape, Cve201919921ProcOfTheImageIsNotTrusted) {
  const FalseProc fake;
  const AttackerRoot linked;
  ASSERT_EQ(rmdir(linked.outside("/proc").c_str()), 0);
  linked.link("/proc", fake.path());
  EXPECT_EQ(contents_of(linked.outside("/proc/self/comm")), "false\n");  // who trusts it
  EXPECT_THAT(refusal(run(Attack("read-file /proc/self/comm", linked).spec)),
              MatchesRegex("setup_failed, mount [0-9]+ on /proc, ELOOP"));
  EXPECT_TRUE(fake.is_untouched());

  const AttackerRoot filled;
  filled.put("/proc/self/comm", "false\n");
  filled.put("/proc/sys/user/max_user_namespaces", "1000");
  EXPECT_EQ(
      Attack("read-file /proc/self/comm ; read-file /proc/sys/user/max_user_namespaces", filled)
          .inside(),
      "attacker\n0\n");
  EXPECT_EQ(contents_of(filled.outside("/proc/sys/user/max_user_namespaces")), "1000");
}

TEST(Escape, Cve201919921ProcOfTheImageMayBeExchangedMeanwhile) {
  const FalseProc fake;
  const AttackerRoot root;
  root.link("/other", fake.path());
  const Swapper swapper(root.outside("/proc"), root.outside("/other"));
  EXPECT_TRUE(race_is_lost(
      [&] {
        struct stat status {};
        return lstat(root.outside("/proc").c_str(), &status) == 0 && S_ISDIR(status.st_mode);
      },
      [&] { return contents_of(root.outside("/proc/self/comm")) == "false\n"; }));

  std::set<std::string> outcomes;
  for (int i = attempts(150); i > 0; --i)
    outcomes.insert(refusal(run(Attack("read-file /proc/self/comm", root).spec)));
  for (const std::string& outcome : outcomes) {
    EXPECT_THAT(outcome, MatchesRegex("ran: attacker\n|setup_failed, mount [0-9]+ on /proc, "
                                      "(ELOOP|ENOTDIR|ENOENT|ESTALE)"));
  }
  EXPECT_TRUE(outcomes.contains("ran: attacker\n"));
  EXPECT_TRUE(fake.is_untouched());
  EXPECT_THAT(names_in(fake.path() + "/2"), IsEmpty());
}

}  // namespace
}  // namespace cove::testing
