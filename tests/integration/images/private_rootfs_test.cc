// Copies of an image's layers for one sandbox: whose files they are, what they are like, and that
// they go.
#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>

#include "cove/json.h"
#include "runtime/kernel/fd.h"
#include "tests/integration/images/image_store.h"
#include "tests/support/command.h"
#include "tests/support/host.h"
#include "tests/support/plain_user.h"
#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr std::size_t kHole = 8 << 20;
constexpr double kSoon = 10;  // seconds, at most

template <typename Condition>
bool comes_true(Condition condition) {
  const double end = seconds_now() + kSoon * slowness();
  while (!condition()) {
    if (seconds_now() > end) return false;
    usleep(2000);
  }
  return true;
}

std::string text_of_random_bytes(std::size_t size) {
  std::string text(size, '\0');
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same bytes each time
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

std::pair<dev_t, ino_t> identity_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
  return {status.st_dev, status.st_ino};
}

std::size_t blocks_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
  return static_cast<std::size_t>(status.st_blocks);
}

class PrivateRootfs : public ImageStore {
 protected:
  void SetUp() override {
    COVE_NEEDS_PRIVILEGE();
    std::filesystem::create_directory(store());
    load();
  }
  void load(std::size_t bytes = 100'000) const {
    Entry probe = file("bin/probe", read_file(probe_path()));
    probe.mode = 0755;
    const Image image{{tar({directory("bin"), probe, file("file", "of the image\n"),
                            file("big", text_of_random_bytes(bytes)),
                            file("hole", std::string(kHole, '\0') + "end")})},
                      Filter::none,
                      "small:v1"};
    const Outcome loaded = run("load -q " + archive("small.tar", image.docker_archive()));
    ASSERT_EQ(loaded.status, 0) << loaded.err;
  }
  std::vector<std::string> sandbox(const std::string& commands,
                                   std::vector<std::string> options = {"--private-rootfs"},
                                   const std::string& image = "small:v1") const {
    std::vector<std::string> words{
        command_path(),  "run", "--store", store(),        "--user",    "root",
        "--best-effort", "-w",  "/",       "--entrypoint", "/bin/probe"};
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {image, "--"});
    for (const std::string& word : split(commands)) words.push_back(word);
    return words;
  }
  static std::vector<std::string> split(const std::string& text) {
    std::istringstream stream(text);
    return {std::istream_iterator<std::string>(stream), {}};
  }

  // What an overlay and a copy could lose: a whiteout, an opaque directory, names of one file,
  // modes, times, attributes.
  static Image image_of_marks() {
    Entry probe = file("bin/probe", read_file(probe_path()));
    probe.mode = 0755;
    Entry odd = file("odd", "");
    odd.mode = 06711;
    odd.uid = 33;
    odd.nanoseconds = 123'456'789;
    // CAP_NET_RAW, permitted and effective.
    const std::string capability("\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    odd.xattrs = {{"user.name", "value"}, {"security.capability", capability}};
    Entry closed = directory("closed", 0);
    closed.seconds = 7;
    return {{tar({directory("bin"), probe, odd, hard_link("closed/other", "bin/probe"), closed,
                  file("removed"), directory("opaque"), file("opaque/old"),
                  symlink("link", "/nowhere")}),
             tar({file(".wh.removed", ""), directory("opaque"), file("opaque/.wh..wh..opq", ""),
                  file("opaque/new")})},
            Filter::none,
            "marks:v1"};
  }

  std::string base() const { return store() + "/copies"; }
  std::vector<std::string> copies() const {
    return exists(base()) ? names_in(base()) : std::vector<std::string>{};
  }
  std::string in_copy(std::size_t index, const std::string& path) const {
    return base() + "/" + copies().at(index) + "/layer-0/" + path;
  }
  std::string in_store(const std::string& path) const {
    return found("small:v1").layers.front() + "/" + path;
  }
  // So that whoever makes copies waits before it has begun.
  UniqueFd hold_up() const {
    mkdir(base().c_str(), 0700);
    UniqueFd held(open(base().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    EXPECT_EQ(flock(held.number(), LOCK_EX), 0);
    return held;
  }
  // Of this command's, by its name.
  static std::vector<pid_t> keepers_of(const RunningCommand& command) {
    std::vector<pid_t> keepers;
    for (const pid_t pid : descendants_of(command.pid())) {
      if (read_file("/proc/" + std::to_string(pid) + "/comm") == "cove-keeper\n")
        keepers.push_back(pid);
    }
    return keepers;
  }
  void expect_nothing_left() const {
    EXPECT_TRUE(comes_true([this] { return copies().empty(); })) << copies().front();
  }
};

TEST_F(PrivateRootfs, OfTwoSandboxesAreFilesOfTheirOwn) {
  RunningCommand one(sandbox("print ready ; sleep 2 ; read-file /file"));
  RunningCommand other(sandbox("print ready ; sleep 2 ; read-file /file"));
  ASSERT_TRUE(one.wait_for_output("ready\n") && other.wait_for_output("ready\n"));
  ASSERT_THAT(copies(), SizeIs(2));
  const std::set<std::pair<dev_t, ino_t>> all{identity_of(in_store("file")),
                                              identity_of(in_copy(0, "file")),
                                              identity_of(in_copy(1, "file"))};
  EXPECT_THAT(all, SizeIs(3)) << "a page of memory belongs to an inode";
  EXPECT_EQ(read_file(in_copy(0, "big")), read_file(in_store("big")));
  EXPECT_EQ(read_file(in_copy(0, "hole")), read_file(in_store("hole")));
  EXPECT_LT(blocks_of(in_copy(0, "hole")), kHole / 512 / 2);
  // And these are what the sandboxes have: each sees what happens to its own.
  write_file(in_store("file"), "of the store, changed\n");
  write_file(in_copy(0, "file"), "changed behind one\n");
  EXPECT_THAT(
      (std::vector<std::string>{one.wait().out, other.wait().out}),
      ::testing::UnorderedElementsAre("ready\nchanged behind one\n", "ready\nof the image\n"));
  expect_nothing_left();
}

TEST_F(PrivateRootfs, IsSharedWhereItIsNotAskedFor) {
  RunningCommand one(sandbox("print ready ; sleep 1 ; read-file /file", {}));
  ASSERT_TRUE(one.wait_for_output("ready\n"));
  EXPECT_THAT(copies(), IsEmpty());
  write_file(in_store("file"), "changed\n");
  EXPECT_EQ(one.wait().out, "ready\nchanged\n") << "or the test above tests nothing";
}

TEST_F(PrivateRootfs, IsToldOfInTheResult) {
  const CommandOutcome outcome =
      run_command(sandbox("print hello", {"--private-rootfs", "--json"}));
  const auto result = result_from_json(outcome.out);
  ASSERT_TRUE(result) << outcome.out << outcome.err;
  EXPECT_EQ(result->stdout_stream.bytes, "hello\n");
  ASSERT_TRUE(result->enforced.contains(Protection::private_rootfs));
  EXPECT_THAT(result->enforced.at(Protection::private_rootfs), ::testing::AnyOf("copy", "reflink"));
  EXPECT_TRUE(std::any_of(result->steps.begin(), result->steps.end(), [](const auto& step) {
    return step.first == "copy layers" && step.second > 0;
  })) << outcome.out;
  expect_nothing_left();
}

TEST_F(PrivateRootfs, WorksForAPlainUserWithOneIdAndWithMany) {
  const TempDirectory runtime, lies;
  for (const bool many : {false, true}) {
    if (many && access("/usr/bin/newuidmap", X_OK) != 0) continue;
    SCOPED_TRACE(many);
    const CommandOptions user =
        many ? as_plain_user_with_many_ids(runtime, lies) : as_plain_user(runtime);
    const std::string own = scratch_ / ("store-of-user-" + std::to_string(many));
    ASSERT_EQ(chmod(scratch_.path().c_str(), 0755), 0);
    ASSERT_EQ(mkdir(own.c_str(), 0700), 0);
    ASSERT_EQ(chown(own.c_str(), kPlainUser, kPlainUser), 0);
    ASSERT_EQ(chmod(archive("marks.tar", image_of_marks().docker_archive()).c_str(), 0644), 0);
    const CommandOutcome loaded =
        run_command({cove_image(), "--store", own, "load", "-q", scratch_ / "marks.tar"}, user);
    ASSERT_EQ(loaded.status, 0) << loaded.err;
    const auto seen = [&](std::vector<std::string> options) {
      options.insert(options.end(), {"--store", own, "--read-only", "--cap-add", "DAC_OVERRIDE"});
      const CommandOutcome outcome = run_command(
          sandbox("tree / /proc /sys /dev /tmp /etc", std::move(options), "marks:v1"), user);
      EXPECT_EQ(outcome.status, 0) << outcome.err;
      return outcome.out;
    };
    const std::string shared = seen({});
    EXPECT_THAT(shared, HasSubstr("same-as="));
    EXPECT_THAT(shared, HasSubstr("user.name="));
    if (many) EXPECT_THAT(shared, HasSubstr("security.capability="));
    EXPECT_THAT(shared, HasSubstr("/opaque/new"));
    EXPECT_THAT(shared, Not(HasSubstr("/opaque/old")));
    EXPECT_THAT(shared, Not(HasSubstr("/removed")));
    EXPECT_EQ(seen({"--private-rootfs"}), shared);
    EXPECT_TRUE(comes_true([&] { return names_in(own + "/copies").empty(); }));
  }
}

TEST_F(PrivateRootfs, ThatAKilledKeeperLeavesIsRemovedByTheNext) {
  RunningCommand run(sandbox("print ready ; sleep 60"));
  ASSERT_TRUE(run.wait_for_output("ready\n"));
  const std::vector<pid_t> others = descendants_of(run.pid());
  for (const pid_t pid : keepers_of(run)) ::kill(pid, SIGKILL);  // first: it would tidy up
  for (const pid_t pid : others) ::kill(pid, SIGKILL);
  run.kill(SIGKILL);
  run.wait();
  ASSERT_THAT(copies(), SizeIs(1)) << "or this test tests nothing";
  EXPECT_EQ(run_command(sandbox("print hello")).out, "hello\n");
  expect_nothing_left();
}

TEST_F(PrivateRootfs, IsRemovedByItsKeeperWhereAllOthersAreKilled) {
  RunningCommand run(sandbox("print ready ; sleep 60"));
  ASSERT_TRUE(run.wait_for_output("ready\n"));
  const std::vector<pid_t> keepers = keepers_of(run);
  ASSERT_THAT(keepers, SizeIs(1));
  ASSERT_THAT(copies(), SizeIs(1));
  for (const pid_t pid : descendants_of(run.pid())) {
    if (pid != keepers.front()) ::kill(pid, SIGKILL);
  }
  run.kill(SIGKILL);
  expect_nothing_left();
}

TEST_F(PrivateRootfs, InUseIsNotRemovedByAnotherEvenWithoutAKeeper) {
  RunningCommand run(sandbox("print ready ; sleep 1 ; read-file /file"));
  ASSERT_TRUE(run.wait_for_output("ready\n"));
  const std::vector<pid_t> keepers = keepers_of(run);
  ASSERT_THAT(keepers, SizeIs(1));
  ::kill(keepers.front(), SIGKILL);
  EXPECT_TRUE(comes_true([&] { return keepers_of(run).empty(); }));
  EXPECT_EQ(run_command(sandbox("print hello")).out, "hello\n");
  EXPECT_EQ(run.wait().out, "ready\nof the image\n");
  EXPECT_THAT(copies(), SizeIs(::testing::Ge(1U)));
  EXPECT_EQ(run_command(sandbox("print hello")).out, "hello\n");
  expect_nothing_left();
}

TEST_F(PrivateRootfs, ThatNobodyWaitsForIsNotMade) {
  UniqueFd held = hold_up();
  RunningCommand run(sandbox("print hello"));
  ASSERT_TRUE(comes_true([&] { return keepers_of(run).size() == 1; }));
  const pid_t keeper = keepers_of(run).front();
  run.kill(SIGKILL);
  run.wait();
  held.reset();
  EXPECT_TRUE(comes_true([&] { return ::kill(keeper, 0) != 0; }));
  EXPECT_THAT(copies(), IsEmpty());
}

TEST_F(PrivateRootfs, IsMadeWhileOtherSandboxesOfTheEngineStart) {
  EngineOptions options;
  options.store = store();
  auto engine = Engine::create(options);
  ASSERT_TRUE(engine) << engine.error().message();
  SandboxSpec spec;
  spec.image = "small:v1";
  spec.user = "root";
  spec.workdir = "/";
  spec.entrypoint = {"/bin/probe"};
  spec.command = {"print", "hello"};
  SandboxSpec with_copies = spec;
  with_copies.private_rootfs = true;

  UniqueFd held = hold_up();
  std::atomic<bool> done = false;
  SandboxResult late;
  std::thread other([&] {
    late = engine->run(with_copies);
    done = true;
  });
  const SandboxResult result = engine->run(spec);
  EXPECT_EQ(result.stdout_stream.bytes, "hello\n") << shown(result);
  EXPECT_FALSE(done) << "or this test tests nothing";
  held.reset();
  other.join();
  EXPECT_EQ(late.stdout_stream.bytes, "hello\n") << shown(late);
  expect_nothing_left();
}

TEST_F(PrivateRootfs, OnAFullDiskIsRefusedAndLeavesNothing) {
  const std::string small = scratch_ / "small";
  ASSERT_EQ(mkdir(small.c_str(), 0700), 0);
  load(8 << 20);
  if (mount("none", small.c_str(), "tmpfs", 0, "size=6m,mode=0700") != 0)
    GTEST_SKIP() << "needs CAP_SYS_ADMIN";
  const CommandOutcome outcome =
      run_command(sandbox("print hello", {"--private-rootfs", "--scratch", small}));
  EXPECT_EQ(outcome.status, 125);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("ENOSPC"));
  EXPECT_THAT(outcome.err, HasSubstr("make room where the copies lie, in " + small));
  EXPECT_EQ(lines_of(remarks_of(outcome)).size(), 1U) << outcome.err;
  EXPECT_TRUE(comes_true([&] { return names_in(small).empty(); }));
  EXPECT_EQ(umount2(small.c_str(), MNT_DETACH), 0);
}

TEST_F(PrivateRootfs, LiesWhereScratchSays) {
  const TempDirectory elsewhere;
  ASSERT_EQ(chmod(elsewhere.path().c_str(), 0700), 0);
  RunningCommand run(sandbox("print ready ; sleep 1 ; read-file /file",
                             {"--private-rootfs", "--scratch", elsewhere.path()}));
  ASSERT_TRUE(run.wait_for_output("ready\n"));
  EXPECT_THAT(names_in(elsewhere.path()), SizeIs(1));
  EXPECT_THAT(copies(), IsEmpty());
  EXPECT_EQ(run.wait().out, "ready\nof the image\n");
  EXPECT_TRUE(comes_true([&] { return names_in(elsewhere.path()).empty(); }));
}

TEST_F(PrivateRootfs, IsReflinkedWhereTheFileSystemCan) {
  if (!installed("mkfs.btrfs")) GTEST_SKIP() << "needs program mkfs.btrfs";
  const std::string disk = scratch_ / "disk", place = scratch_ / "place";
  const Outcome mounted = shell("truncate -s 256M " + disk + " && mkfs.btrfs -q " + disk +
                                " && mkdir " + place + " && mount -o loop " + disk + " " + place);
  if (mounted.status != 0) GTEST_SKIP() << "needs a loop device and btrfs";
  const Outcome loaded =
      shell(cove_image() + " --store " + place + "/store load -q " + (scratch_ / "small.tar"));
  EXPECT_EQ(loaded.status, 0) << loaded.err;
  const CommandOutcome outcome = run_command(
      sandbox("read-file /file", {"--private-rootfs", "--json", "--store", place + "/store"}));
  const auto result = result_from_json(outcome.out);
  EXPECT_TRUE(result) << outcome.out << outcome.err;
  if (result) {
    EXPECT_EQ(result->stdout_stream.bytes, "of the image\n") << outcome.out;
    EXPECT_EQ(result->enforced.at(Protection::private_rootfs), "reflink");
  }
  EXPECT_TRUE(comes_true([&] { return umount2(place.c_str(), 0) == 0; }));
}

TEST_F(PrivateRootfs, OfADirectoryIsRefused) {
  const CommandOutcome outcome = run_command(cove_run({"--private-rootfs"}, "print hello"));
  EXPECT_EQ(outcome.status, 125);
  EXPECT_THAT(outcome.err, HasSubstr("a directory (--rootfs) is shown as it is"));
  EXPECT_EQ(outcome.out, "");
}

}  // namespace
}  // namespace cove::testing
