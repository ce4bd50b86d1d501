// Sandboxes share the page cache of the files below their roots. What one writes, by whichever way,
// neither the next one nor the store may see. CVE-2022-0847 (Dirty Pipe) was a way that the kernel
// did not mean to give: on a kernel that has it, a test here fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

using ::testing::AnyOf;
using ::testing::EndsWith;
using ::testing::StartsWith;

constexpr const char* kOriginal = "original";

struct Way {
  const char* name;
  bool changes_what_may_be_written;  // a file of the attacker's own
};
constexpr Way kWays[] = {{"write", true},       {"shared-mapping", true}, {"truncate", true},
                         {"reopen", true},      {"splice", true},         {"remove", true},
                         {"own-memory", false}, {"mprotect", false},      {"dirty-pipe", false},
                         {"vmsplice", false}};

TEST(Escape, WhatOneRunWritesToItsRootNeitherTheNextNorTheImageHas) {
  for (const Way& way : kWays) {
    const AttackerRoot root;
    root.make_directory("/srv", 0777);
    root.put("/srv/file", kOriginal, 0666);
    const std::string file = root.outside("/srv/file");
    const Attack attack(std::string("overwrite ") + way.name + " /srv/file ; read-file /srv/file",
                        root);
    for (const char* user : {"1000", "root"}) {
      Attack each = attack;
      each.spec.user = user;
      const std::string out = each.inside();
      if (way.changes_what_may_be_written) {
        EXPECT_THAT(out, StartsWith(std::string(way.name) + ": ok\n")) << user;
        EXPECT_THAT(out, ::testing::Not(EndsWith(kOriginal))) << way.name << ": in its own view";
      } else {
        EXPECT_THAT(out, EndsWith(kOriginal)) << way.name;
      }
      EXPECT_EQ(contents_of(file), kOriginal) << way.name << " as " << user;
      EXPECT_EQ(Attack("read-file /srv/file", root).inside(), kOriginal) << way.name;
    }
    // Without a layer between, the same way changes the file that it is given.
    if (!way.changes_what_may_be_written) continue;
    EXPECT_THAT(Attack(std::string("overwrite ") + way.name + " " + file).outside(),
                EndsWith(": ok\n"));
    EXPECT_NE(contents_of(file), kOriginal) << way.name;
  }
}
// What the mode of a file forbids, no way of writing gets around. (As a plain user the image's files
// are that user's own, who may change modes.)
TEST(Escape, WhatMayOnlyBeReadIsNotWritten) {
  COVE_NEEDS_ROOT("for files of the image that are not the caller's");
  const AttackerRoot root;
  root.put("/srv/file", kOriginal, 0644);
  for (const Way& way : kWays) {
    Attack attack(std::string("overwrite ") + way.name + " /srv/file ; read-file /srv/file", root);
    for (const char* user : {"1000", "root"}) {
      attack.spec.user = user;
      EXPECT_THAT(attack.inside(), EndsWith(kOriginal)) << way.name << " as " << user;
    }
  }
  EXPECT_EQ(contents_of(root.outside("/srv/file")), kOriginal);
}
TEST(Escape, AReadOnlyBindIsNotWrittenByAnyOfTheWays) {
  COVE_NEEDS_IDMAPPED_BINDS();
  const TempDirectory source;
  put_file(source / "file", kOriginal, 0666);
  for (const Way& way : kWays) {
    Attack attack(std::string("overwrite ") + way.name + " /data/file");
    attack.spec.mounts = {read_only_bind_of(source.path(), "/data")};
    for (const char* user : {"1000", "root"}) {
      attack.spec.user = user;
      if (way.changes_what_may_be_written) {
        EXPECT_EQ(attack.inside(), std::string(way.name) + ": EROFS\n") << user;
      } else {
        attack.inside();
      }
      EXPECT_EQ(contents_of(source / "file"), kOriginal) << way.name << " as " << user;
    }
    Attack writable = attack;
    writable.spec.mounts = {bind_of(source.path(), "/data")};
    writable.spec.user = "1000";  // whose the source is inside, whatever ids there are
    if (!way.changes_what_may_be_written) continue;
    EXPECT_EQ(writable.inside(), std::string(way.name) + ": ok\n");
    EXPECT_NE(contents_of(source / "file"), kOriginal) << way.name;
    put_file(source / "file", kOriginal, 0666);
  }
}
TEST(Escape, ALowerLayersPermissionsHold) {
  COVE_NEEDS_ROOT("for files of the image that are not the caller's");
  const AttackerRoot root;
  root.put("/srv/private", "private\n", 0600);
  root.put("/srv/group", "group\n", 0060);
  Attack attack(
      "read-file /srv/private ; read-file /srv/group ; chmod /srv/private 0777 ; chown "
      "/srv/private 0 0",
      root);
  EXPECT_EQ(Attack("read-file " + root.outside("/srv/private")).outside(), "private\n");
  for (const char* user : {"1000", "alice", "root"}) {
    attack.spec.user = user;
    EXPECT_THAT(attack.inside(),
                ::testing::MatchesRegex("read-file: EACCES\nread-file: EACCES\nchmod: "
                                        "(EPERM|EOVERFLOW)\nchown: (EPERM|EOVERFLOW)\n"))
        << user;
  }
}

}  // namespace
}  // namespace cove::testing
