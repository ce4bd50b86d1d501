// One layer into one directory: ordinary content, and the table of hostile archives.

#include "images/unpack/layer.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <array>

#include "tests/unit/images/archives.h"
#include "tests/unit/images/hostile_layers.h"

namespace cove {
namespace {

using testing::directory;
using testing::Entry;
using testing::file;
using testing::Filter;
using testing::hard_link;
using testing::ScratchDirectory;
using testing::symlink;
using testing::tar;

// A root to unpack into, and beside it what a hostile archive would like to reach.
class Layer : public ::testing::Test {
 protected:
  Layer() {
    umask(0);
    mkdir(root().c_str(), 0755);
    mkdir((scratch_ / "outside").c_str(), 0755);
    testing::write_file(scratch_ / "outside/secret", "untouched");
  }
  ~Layer() override { umask(022); }

  std::string root() const { return scratch_ / "root"; }
  std::string in_root(const std::string& path) const { return root() + "/" + path; }

  Result<LayerResult> unpack_bytes(const std::string& bytes, UnpackLimits limits = {}) {
    testing::write_file(scratch_ / "layer.tar", bytes);
    const UniqueFd blob(open((scratch_ / "layer.tar").c_str(), O_RDONLY | O_CLOEXEC));
    const UniqueFd directory(open(root().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return unpack_layer(blob, BorrowedFd(), directory, limits,
                        geteuid() == 0 ? Ownership::archive : Ownership::caller);
  }
  Result<LayerResult> unpack(const std::vector<Entry>& entries, UnpackLimits limits = {}) {
    return unpack_bytes(tar(entries), limits);
  }

  struct stat status(const std::string& path) const {
    struct stat status {};
    EXPECT_EQ(lstat(in_root(path).c_str(), &status), 0) << path;
    return status;
  }
  bool exists(const std::string& path) const {
    struct stat status {};
    return lstat(in_root(path).c_str(), &status) == 0;
  }
  std::string xattr(const std::string& path, const char* name) const {
    std::array<char, 256> value{};
    const ssize_t size = lgetxattr(in_root(path).c_str(), name, value.data(), value.size());
    return size < 0 ? "absent" : std::string(value.data(), static_cast<std::size_t>(size));
  }
  bool is_whiteout(const std::string& path) const {
    const struct stat found = status(path);
    return S_ISCHR(found.st_mode) && found.st_rdev == makedev(0, 0);
  }
  void expect_outside_untouched() const {
    EXPECT_EQ(testing::read_file(scratch_ / "outside/secret"), "untouched");
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(scratch_ / "outside"))
      ++count;
    EXPECT_EQ(count, 1U);
    struct stat secret {};
    EXPECT_EQ(lstat((scratch_ / "outside/secret").c_str(), &secret), 0);
    EXPECT_EQ(secret.st_nlink, 1U);
  }

  ScratchDirectory scratch_;
};

TEST_F(Layer, KeepsModesTimesOwnersAndContent) {
  Entry program = file("usr/bin/tool", "#!/bin/sh\n");
  program.mode = 04755;
  program.uid = 1;
  program.gid = 65535;
  program.seconds = 1'234'567'890;
  program.nanoseconds = 123'456'789;
  Entry parent = directory("usr/bin", 02750);
  parent.seconds = 1'111'111'111;
  parent.nanoseconds = 5;

  const Result<LayerResult> result = unpack({directory("./"), directory("usr"), parent, program});

  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(testing::read_file(in_root("usr/bin/tool")), "#!/bin/sh\n");
  EXPECT_EQ(status("usr/bin/tool").st_mtim.tv_sec, 1'234'567'890);
  EXPECT_EQ(status("usr/bin/tool").st_mtim.tv_nsec, 123'456'789);
  EXPECT_EQ(status("usr/bin").st_mtim.tv_sec, 1'111'111'111) << "written into after it was made";
  EXPECT_EQ(status("usr/bin").st_mtim.tv_nsec, 5);
  if (geteuid() != 0) GTEST_SKIP() << "owners and set-id bits need root";
  EXPECT_EQ(status("usr/bin/tool").st_mode & 07777U, 04755U);
  EXPECT_EQ(status("usr/bin/tool").st_uid, 1U);
  EXPECT_EQ(status("usr/bin/tool").st_gid, 65535U);
  EXPECT_EQ(status("usr/bin").st_mode & 07777U, 02750U);
}

TEST_F(Layer, GivesTheDiffIdOfTheUncompressedBytes) {
  const std::string plain = tar({file("a", std::string(300'000, 'q')), file("b")});
  for (const Filter filter : {Filter::none, Filter::gzip, Filter::zstd}) {
    const Result<LayerResult> result =
        unpack_bytes(filter == Filter::none ? plain : testing::compressed(plain, filter));
    ASSERT_TRUE(result) << result.error().message();
    EXPECT_EQ(result->diff_id, sha256_of(plain));
  }
}

TEST_F(Layer, ReadsGzipOfSeveralMembers) {
  const std::string plain = tar({file("a", std::string(5000, 'q')), file("b")});
  const std::string bytes = testing::compressed(plain.substr(0, 700), Filter::gzip) +
                            testing::compressed(plain.substr(700), Filter::gzip);
  const Result<LayerResult> result = unpack_bytes(bytes);
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(result->diff_id, sha256_of(plain));
}

TEST_F(Layer, MakesHardLinksAndSymbolicLinks) {
  const auto result =
      unpack({file("d/a", "same"), hard_link("d/b", "d/a"), hard_link("c", "/d/a"),
              symlink("s", "/etc/passwd"), symlink("d/up", "../../outside"), hard_link("s2", "s")});
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(status("d/a").st_ino, status("d/b").st_ino);
  EXPECT_EQ(status("d/a").st_ino, status("c").st_ino);
  EXPECT_EQ(std::filesystem::read_symlink(in_root("s")), "/etc/passwd");
  EXPECT_EQ(std::filesystem::read_symlink(in_root("s2")), "/etc/passwd");
  EXPECT_EQ(std::filesystem::read_symlink(in_root("d/up")), "../../outside");
}

TEST_F(Layer, KeepsFifosAndDropsDevicesWithANote) {
  Entry fifo = file("pipe");
  fifo.type = Entry::fifo;
  fifo.mode = 0640;
  Entry device = file("dev/null");
  device.type = Entry::character_device;
  const auto result = unpack({fifo, device, device});
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(S_ISFIFO(status("pipe").st_mode));
  EXPECT_EQ(status("pipe").st_mode & 07777U, 0640U);
  EXPECT_FALSE(exists("dev/null"));
  EXPECT_EQ(result->notes.at("device nodes dropped"), 2U);
}

TEST_F(Layer, KeepsUserAttributesAndCapabilitiesAndStripsTheOverlaysOwn) {
  Entry program = file("ping");
  program.mode = 0755;
  // VFS_CAP_REVISION_2, effective, CAP_NET_RAW.
  const std::string capability(
      "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
  program.xattrs = {{"user.note", "kept"},
                    {"user.overlay.opaque", "y"},
                    {"trusted.overlay.redirect", "/"},
                    {"security.capability", capability},
                    {"security.selinux", "x"}};
  const auto result = unpack({program});
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(xattr("ping", "user.note"), "kept");
  EXPECT_EQ(xattr("ping", "user.overlay.opaque"), "absent");
  EXPECT_EQ(xattr("ping", "trusted.overlay.redirect"), "absent");
  EXPECT_EQ(xattr("ping", "security.selinux"), "absent");
  EXPECT_EQ(result->notes.at("extended attributes trusted.* and user.overlay.* dropped"), 2U);
  if (geteuid() != 0) GTEST_SKIP() << "file capabilities need root";
  EXPECT_EQ(xattr("ping", "security.capability"), capability);
}

TEST_F(Layer, TurnsWhiteoutsIntoDevicesAndOpaqueMarksIntoAttributes) {
  const auto result = unpack({file("etc/.wh.passwd", ""), file("var/.wh..wh..opq", ""),
                              file("var/new"), file(".wh.gone", "")});
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(is_whiteout("etc/passwd"));
  EXPECT_TRUE(is_whiteout("gone"));
  EXPECT_EQ(xattr("var", "user.overlay.opaque"), "y");
  EXPECT_FALSE(exists("var/.wh..wh..opq"));
  EXPECT_EQ(result->opaque, std::vector<std::string>{"var"});
}

TEST_F(Layer, WhiteoutAndEntryOfOneNameHideWhatLiesBelowInEitherOrder) {
  const auto result =
      unpack({file(".wh.first", ""), directory("first"), file("first/a"), directory("second"),
              file("second/b"), file(".wh.second", ""), file(".wh.third", ""), file("third/deep/c"),
              file("fourth"), file(".wh.fourth", "")});
  ASSERT_TRUE(result) << result.error().message();
  for (const char* name : {"first", "second", "third"})
    EXPECT_EQ(xattr(name, "user.overlay.opaque"), "y") << name;
  EXPECT_EQ(xattr("third/deep", "user.overlay.opaque"), "absent");
  for (const char* name : {"first/a", "second/b", "third/deep/c"})
    EXPECT_TRUE(exists(name)) << name;
  EXPECT_TRUE(S_ISREG(status("fourth").st_mode)) << "a whiteout speaks of lower layers only";
}

TEST_F(Layer, LaterEntriesReplaceEarlierOnes) {
  const auto result = unpack({file("f", "old"), file("f", "new"), directory("d"), file("d/x"),
                              file("d", "now a file"), file("l"), directory("l"), file("l/in"),
                              directory("keep", 0700), file("keep/x"), directory("keep", 0711),
                              symlink("s", "/etc"), file("s", "no link any more")});
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(testing::read_file(in_root("f")), "new");
  EXPECT_EQ(testing::read_file(in_root("d")), "now a file");
  EXPECT_TRUE(exists("l/in"));
  EXPECT_TRUE(exists("keep/x"));
  EXPECT_EQ(status("keep").st_mode & 0777U, 0711U);
  EXPECT_EQ(testing::read_file(in_root("s")), "no link any more");
}

TEST_F(Layer, NamesTheDirectoriesThatItUsesAndDoesNotContain) {
  const auto result =
      unpack({file("a/b/f"), directory("c"), file("c/d/.wh.f", ""), directory("a"),
              file("gone/g/f"), file("gone"), file("gone-not/f"), file(".wh.w", ""), file("w/f")});
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(result->implied, (std::vector<std::string>{"", "a/b", "c/d", "gone-not", "w"}));
  const auto whole = unpack({directory("./"), directory("x"), file("x/f")});
  ASSERT_TRUE(whole) << whole.error().message();
  EXPECT_EQ(whole->implied, std::vector<std::string>{});
}

TEST_F(Layer, PassesOverWhiteoutsBelowWhatIsNoDirectory) {
  const auto result =
      unpack({symlink("l", "nowhere"), file("l/.wh.x", ""), file("f"), file("f/d/.wh.x", "")});
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(S_ISLNK(status("l").st_mode));
  EXPECT_TRUE(S_ISREG(status("f").st_mode));
}

TEST_F(Layer, HidesTheLongestName) {
  const std::string name(255, 'n');
  const auto result = unpack({file(".wh." + name, "")});
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(is_whiteout(name));
}

TEST_F(Layer, FollowsRelativeLinksInsideTheLayerAsParents) {
  const auto result = unpack({directory("usr/lib"), symlink("lib", "usr/lib"),
                              file("lib/so", "here"), file("usr/lib/other")});
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(testing::read_file(in_root("usr/lib/so")), "here");
}

TEST_F(Layer, FollowsAbsoluteLinksInTheLayersRootAsParents) {
  Entry below = directory("lib/below", 0711);
  below.seconds = 1'111'111'111;
  const auto result = unpack({directory("usr"), directory("usr/lib"), symlink("lib", "/usr/lib"),
                              symlink("lib64", "//usr/./../lib"), file("lib/so", "here"),
                              file("lib64/other", "there"), below, file("lib/made/file"),
                              file("lib/.wh.gone", ""), file("lib/hidden/.wh..wh..opq", ""),
                              symlink("usr/lib/up", "../.."), file("lib/up/top")});
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(testing::read_file(in_root("usr/lib/so")), "here");
  EXPECT_EQ(testing::read_file(in_root("usr/lib/other")), "there");
  EXPECT_EQ(status("usr/lib/below").st_mtim.tv_sec, 1'111'111'111);
  EXPECT_TRUE(exists("top"));
  EXPECT_TRUE(is_whiteout("usr/lib/gone"));
  EXPECT_TRUE(S_ISLNK(status("lib").st_mode));
  EXPECT_EQ(result->opaque, std::vector<std::string>{"usr/lib/hidden"});
  EXPECT_EQ(result->implied, (std::vector<std::string>{"", "usr/lib/hidden", "usr/lib/made"}));
  expect_outside_untouched();
}

TEST_F(Layer, ForgetsACachedParentThatWasReplaced) {
  const auto result =
      unpack({directory("a"), file("a/one"), symlink("a", "b"), directory("b"), file("a/two")});
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(exists("b/two"));
}

TEST_F(Layer, TakesNamesThatAreNoUtf8AndPathsWithLeadingSlash) {
  const auto result =
      unpack({file("caf\xe9", "latin"), file("/etc/ab\xc3\xa4", "utf"), file("./x//y/./z")});
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(testing::read_file(in_root("caf\xe9")), "latin");
  EXPECT_EQ(testing::read_file(in_root("etc/ab\xc3\xa4")), "utf");
  EXPECT_TRUE(exists("x/y/z"));
}

TEST_F(Layer, GivesIdsAboveTheRangeToNobodyWithANote) {
  if (geteuid() != 0) GTEST_SKIP() << "owners need root";
  Entry foreign = file("f");
  foreign.uid = 1'000'290'000;
  Entry edge = file("g");
  edge.gid = 65536;
  const auto result = unpack({foreign, edge});
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(status("f").st_uid, 65534U);
  EXPECT_EQ(status("f").st_gid, 0U);
  EXPECT_EQ(status("g").st_gid, 65534U);
  EXPECT_EQ(result->notes.at("entries given to 65534, their ids being above 65535"), 2U);
}

TEST_F(Layer, GivesEverythingToTheCallerWhereAsked) {
  Entry tool = file("tool");
  tool.mode = 04511;
  tool.uid = 77;
  testing::write_file(scratch_ / "layer.tar",
                      tar({directory("closed", 0), file("closed/in"), tool}));
  const UniqueFd blob(open((scratch_ / "layer.tar").c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd top(open(root().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto result = unpack_layer(blob, BorrowedFd(), top, {}, Ownership::caller);
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(status("tool").st_uid, geteuid());
  EXPECT_EQ(status("tool").st_mode & 07777U, 0711U);
  EXPECT_EQ(status("closed").st_mode & 07777U, 0700U);
  EXPECT_EQ(
      result->notes.at("entries that belong to the caller instead of the image's other users"), 1U);
  EXPECT_EQ(result->notes.at("entries whose mode was changed, since they belong to the caller"),
            2U);
}

TEST_F(Layer, TakesAnEmptyLayer) {
  EXPECT_TRUE(unpack({}));
  const auto empty = unpack_bytes("");
  ASSERT_TRUE(empty) << empty.error().message();
  EXPECT_EQ(empty->diff_id, sha256_of(""));
}

TEST_F(Layer, TakesAnArchiveWithoutItsFinalPadding) {
  std::string bytes = tar({file("a", "short"), file("b", "tail")});
  bytes.resize(bytes.rfind("tail") + 4);
  const auto result = unpack_bytes(bytes);
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(testing::read_file(in_root("b")), "tail");
  EXPECT_EQ(result->diff_id, sha256_of(bytes));
  bytes.pop_back();
  const auto cut = unpack_bytes(bytes);
  ASSERT_FALSE(cut) << "zeros may not stand for content";
  EXPECT_NE(cut.error().what.find("truncated"), std::string::npos) << cut.error().message();
}

TEST_F(Layer, RefusesWhatUnpacksToTooManyTimesItsSize) {
  const std::string zeros = tar({file("zeros", std::string(5'000'000, '\0'))});
  UnpackLimits limits;
  limits.ratio_floor = 4'000'000;
  const auto bomb = unpack_bytes(testing::compressed(zeros, Filter::zstd), limits);
  ASSERT_FALSE(bomb);
  EXPECT_NE(bomb.error().what.find("[limit-ratio]"), std::string::npos) << bomb.error().message();
  EXPECT_TRUE(unpack_bytes(testing::compressed(zeros, Filter::gzip), limits))
      << "as many times as gzip can are always taken";
  EXPECT_TRUE(unpack_bytes(zeros, limits));
  // Behind the archive's end, where nothing is written, too.
  const std::string behind = tar({file("a")}) + std::string(5'000'000, '\0');
  EXPECT_FALSE(unpack_bytes(testing::compressed(behind, Filter::zstd), limits));
  limits.ratio = 0;
  EXPECT_TRUE(unpack_bytes(testing::compressed(zeros, Filter::zstd), limits));
  limits = {};
  EXPECT_TRUE(unpack_bytes(testing::compressed(zeros, Filter::zstd), limits)) << "small";
  limits.ratio = 10;
  limits.ratio_floor = 1'000'000;
  EXPECT_FALSE(unpack_bytes(testing::compressed(zeros, Filter::gzip), limits));
}

class HostileLayer : public Layer, public ::testing::WithParamInterface<testing::Hostile> {};

TEST_P(HostileLayer, IsRefusedByItsRule) {
  const testing::Hostile hostile = GetParam();
  const auto result = unpack(hostile.entries);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::image_invalid);
  EXPECT_NE(result.error().what.find(std::string("[") + hostile.rule + "]"), std::string::npos)
      << result.error().message();
  expect_outside_untouched();
  EXPECT_FALSE(std::filesystem::exists("/etc/cove-was-here"));
}

INSTANTIATE_TEST_SUITE_P(Table, HostileLayer, ::testing::ValuesIn(testing::hostile_layers()),
                         [](const auto& one) { return one.param.name; });

TEST_F(Layer, RefusesMoreThanItsLimits) {
  UnpackLimits limits;
  limits.entries = 2;
  const auto entries = unpack({file("a"), file("b"), file("c")}, limits);
  ASSERT_FALSE(entries);
  EXPECT_NE(entries.error().what.find("[limit-entries]"), std::string::npos);

  limits = {};
  limits.bytes = 100'000;
  const auto bytes = unpack({file("big", std::string(100'001, 'x'))}, limits);
  ASSERT_FALSE(bytes);
  EXPECT_NE(bytes.error().what.find("[limit-bytes]"), std::string::npos);

  // A bomb: small, and endless when unpacked; the padding behind the archive's end counts as well.
  const auto bomb = unpack_bytes(
      testing::compressed(tar({file("a")}) + std::string(5'000'000, '\0'), Filter::gzip), limits);
  ASSERT_FALSE(bomb);
  EXPECT_NE(bomb.error().what.find("[limit-bytes]"), std::string::npos);
}

TEST_F(Layer, RefusesDamagedAndTruncatedData) {
  const std::string plain = tar({file("a", std::string(100'000, 'q')), file("b")});
  for (const Filter filter : {Filter::gzip, Filter::zstd}) {
    const std::string whole = testing::compressed(plain, filter);
    for (const std::size_t size : {whole.size() / 2, whole.size() - 1}) {
      const auto result = unpack_bytes(whole.substr(0, size));
      ASSERT_FALSE(result);
      EXPECT_NE(result.error().what.find("truncated"), std::string::npos)
          << result.error().message();
    }
    std::string damaged = whole;
    damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 0x55);
    EXPECT_FALSE(unpack_bytes(damaged));
    EXPECT_FALSE(unpack_bytes(whole + "garbage"));
  }
  EXPECT_FALSE(unpack_bytes(plain.substr(0, 50'000)));
  EXPECT_FALSE(unpack_bytes("This is no tar archive at all, but long enough to be looked at. " +
                            std::string(2000, '?')));
}

TEST_F(Layer, KeepsHolesOfSparseFiles) {
  // GNU sparse 1.0 in pax, as GNU tar writes it.
  ASSERT_EQ(std::system(
                ("cd " + scratch_.path() +
                 " && truncate -s 8M big && printf end >> big && tar --format=pax -S -cf s.tar big")
                    .c_str()),
            0);
  const auto result = unpack_bytes(testing::read_file(scratch_ / "s.tar"));
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(status("big").st_size, 8 * 1024 * 1024 + 3);
  EXPECT_LT(status("big").st_blocks * 512, 1024 * 1024);
  EXPECT_EQ(testing::read_file(in_root("big")).substr(8 * 1024 * 1024), "end");
}

}  // namespace
}  // namespace cove
