// `cove-image prune` and `rm` beside sandboxes: what one runs from stays, whatever else goes.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "cove/engine.h"
#include "runtime/kernel/fd.h"
#include "tests/integration/images/image_store.h"
#include "tests/support/command.h"
#include "tests/support/files.h"

namespace cove::testing {
namespace {

using nlohmann::json;
using std::chrono::hours;

// Images that share their first layer, which has the probe.
class PrunedStore : public ImageStore {
 protected:
  void load(const std::string& name, std::size_t bytes = 64 * 1024) const {
    const Image image{
        {base(), tar({file("own", std::string(bytes, name[0]))})}, Filter::none, name};
    const Outcome outcome = run("load " + archive("image.tar", image.docker_archive()));
    ASSERT_EQ(outcome.status, 0) << outcome.err;
  }
  static const std::string& base() {
    static const std::string layer = [] {
      Entry probe = file("bin/probe", read_file(probe_path()));
      probe.mode = 0755;
      return tar({directory("bin"), std::move(probe), directory("etc")});
    }();
    return layer;
  }
  std::string record_of(const std::string& name) const {
    return store() + "/images/digests/" + std::string(digest_hex(found(name).digest)) + ".json";
  }
  void use_was(const std::string& name, std::chrono::seconds ago) const {
    timespec time{};
    clock_gettime(CLOCK_REALTIME, &time);
    time.tv_sec -= ago.count();
    const timespec times[2] = {time, time};
    ASSERT_EQ(utimensat(AT_FDCWD, record_of(name).c_str(), times, 0), 0);
  }
  json prune(const std::string& options) const {
    const Outcome outcome = run("prune --json " + options);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return json::parse(outcome.out, nullptr, false);
  }
  // By name, sorted, with a blank behind each; "-" where there is none.
  std::string images() const {
    std::string all;
    for (const json& image : json::parse(run("ls --json").out))
      all += (image["name"] == "" ? "-" : std::string(image["name"])) + " ";
    return all;
  }
  std::vector<std::string> run_of(const std::string& name, const std::string& words) const {
    std::vector<std::string> argv{command_path(), "run",          "--store",    store(), "-u",
                                  "root",         "--entrypoint", "/bin/probe", name,    "--"};
    for (std::size_t at = 0; at < words.size();) {
      const std::size_t end = std::min(words.find(' ', at), words.size());
      argv.push_back(words.substr(at, end - at));
      at = end + 1;
    }
    return argv;
  }
  static bool is_used(const std::string& record) {
    const UniqueFd file(open(record.c_str(), O_RDWR | O_CLOEXEC));
    return file && flock(file.number(), LOCK_EX | LOCK_NB) != 0;
  }
  template <typename Condition>
  static bool comes_true(Condition condition) {
    for (int tries = 0; tries < 500; ++tries) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
};

TEST_F(PrunedStore, LosesImagesWithoutANameAndContentOfNobody) {
  load("a:v1");
  load("b:v1");
  load("c:v1");
  ASSERT_EQ(run("tag b:v1 a:v1").status, 0);
  ASSERT_EQ(images(), "a:v1 b:v1 c:v1 - ");
  const std::string nobodys = store() + "/layers/" + std::string(64, 'a');
  std::filesystem::create_directory(nobodys);
  write_file(nobodys + "/file", std::string(1024 * 1024, 'x'));

  const json would = prune("--dry-run");
  EXPECT_EQ(images(), "a:v1 b:v1 c:v1 - ");
  const json done = prune("");
  EXPECT_EQ(done["removed"].size(), 1U);
  EXPECT_EQ(done["removed"], would["removed"]);
  EXPECT_EQ(done["freed"], would["freed"]);
  EXPECT_GT(done["freed"], 1024 * 1024);
  EXPECT_EQ(images(), "a:v1 b:v1 c:v1 ");
  EXPECT_FALSE(std::filesystem::exists(nobodys));
  EXPECT_EQ(run("verify").status, 0);
  EXPECT_EQ(prune("")["freed"], 0);
}

TEST_F(PrunedStore, LosesWhatKilledProcessesHaveNotFinishedWriting) {
  load("a:v1");
  const std::string digests = store() + "/images/digests/";
  for (const char* name : {".123-0123abcd", ".somebodys", ".nfs-0123"})
    write_file(digests + name, "x");
  write_file(store() + "/.7-01234567", "x");
  ASSERT_EQ(run("prune -q").status, 0);
  EXPECT_FALSE(std::filesystem::exists(digests + ".123-0123abcd"));
  EXPECT_FALSE(std::filesystem::exists(store() + "/.7-01234567"));
  EXPECT_TRUE(std::filesystem::exists(digests + ".somebodys"));
  EXPECT_TRUE(std::filesystem::exists(digests + ".nfs-0123"));
  EXPECT_EQ(images(), "a:v1 ");
}

TEST_F(PrunedStore, LosesAllWithAll) {
  load("a:v1");
  load("b:v1");
  const Outcome outcome = run("prune --all");
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 3) << outcome.out;
  EXPECT_NE(outcome.out.find("Removed a:v1 (sha256:"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find(", 0.0 MiB are left\n"), std::string::npos) << outcome.out;
  EXPECT_EQ(count("layers") + count("blobs/sha256") + count("images/digests") +
                count("images/names") + count("images/transports") + count("sizes") +
                count("implied") + count("staging"),
            0U);
  EXPECT_EQ(run("prune --all -q").out, "");
}

TEST_F(PrunedStore, LosesWhatWasNotUsedForSoLong) {
  load("a:v1");
  load("b:v1");
  use_was("a:v1", hours(8 * 24));
  EXPECT_EQ(prune("--older-than 9d")["removed"].size(), 0U);
  const json done = prune("--older-than 7d");
  ASSERT_EQ(done["removed"].size(), 1U);
  EXPECT_EQ(done["removed"][0]["names"], json{"a:v1"});
  // To load it again is a use.
  load("a:v1");
  use_was("a:v1", hours(8 * 24));
  load("a:v1");
  EXPECT_EQ(prune("--older-than 7d")["removed"].size(), 0U);
}

TEST_F(PrunedStore, IsMadeSmallerLeastRecentlyUsedFirst) {
  constexpr std::size_t kMebibyte = 1024 * 1024;
  for (const char* name : {"a:v1", "b:v1", "c:v1"}) load(name, 4 * kMebibyte);
  use_was("a:v1", hours(2));
  use_was("b:v1", hours(3));
  use_was("c:v1", hours(1));
  const std::uint64_t all = prune("--dry-run")["left"];
  EXPECT_EQ(prune("--keep-storage " + std::to_string(all))["removed"].size(), 0U);
  // Less by one byte costs one image: its layer and its blob.
  const json done = prune("--keep-storage " + std::to_string(all - 1));
  ASSERT_EQ(done["removed"].size(), 1U);
  EXPECT_EQ(done["removed"][0]["names"], json{"b:v1"});
  EXPECT_GE(done["freed"], 8 * kMebibyte);
  EXPECT_LE(done["left"], all - 8 * kMebibyte);
  // Both conditions, where there are two.
  EXPECT_EQ(prune("--keep-storage 1k --older-than 90m")["removed"].size(), 1U);
  EXPECT_EQ(images(), "c:v1 ");
}

TEST_F(PrunedStore, TellsAllMistakesOfItsOptions) {
  const Outcome outcome = run("prune --older-than week --keep-storage much");
  EXPECT_EQ(outcome.status, 125);
  EXPECT_NE(outcome.err.find("\"week\""), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("\"much\""), std::string::npos) << outcome.err;
}

TEST_F(PrunedStore, KeepsWhatASandboxOfTheCommandRunsFrom) {
  load("a:v1");
  load("b:v1");
  const std::string record = record_of("a:v1");
  RunningCommand running(run_of("a:v1", "print up ; sleep 60"));
  ASSERT_TRUE(running.wait_for_output("up")) << running.wait().err;

  const json pruned = prune("--all");
  ASSERT_EQ(pruned["in_use"].size(), 1U);
  EXPECT_EQ(pruned["in_use"][0]["names"], json{"a:v1"});
  EXPECT_EQ(images(), "a:v1 ");
  const Outcome refused = run("rm a:v1");
  EXPECT_EQ(refused.status, 125);
  EXPECT_NE(refused.err.find("a sandbox runs from it"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("--force"), std::string::npos) << refused.err;
  EXPECT_EQ(images(), "a:v1 ");
  EXPECT_EQ(run("verify").status, 0);

  // Another name of it may go, and with force the last one.
  ASSERT_EQ(run("tag a:v1 second:v1").status, 0);
  EXPECT_EQ(run("rm second:v1").status, 0);
  EXPECT_EQ(run("rm --force a:v1").status, 0);
  EXPECT_EQ(images(), "- ");
  EXPECT_EQ(prune("")["in_use"].size(), 1U);
  running.kill(SIGKILL);
  running.wait();
  EXPECT_TRUE(comes_true([&] { return !is_used(record); }));
  EXPECT_EQ(prune("")["removed"].size(), 1U);
  EXPECT_EQ(images(), "");
}

TEST_F(PrunedStore, KeepsWhatASandboxOfALibraryRunsFrom) {
  load("a:v1");
  EngineOptions options;
  options.store = store();
  options.libexec = std::filesystem::path(command_path()).parent_path();
  auto engine = Engine::create(options);
  ASSERT_TRUE(engine) << engine.error().message();
  SandboxSpec spec;
  spec.image = "a:v1";
  spec.entrypoint = {{"/bin/probe"}};
  spec.command = {{"sleep", "60"}};
  spec.user = "root";
  const std::string record = record_of("a:v1");
  auto sandbox = engine->launch(spec, {});
  ASSERT_TRUE(sandbox) << sandbox.error().message();
  EXPECT_EQ(prune("--all")["in_use"].size(), 1U);
  EXPECT_EQ(run("rm a:v1").status, 125);
  // A child that the caller forks has a copy of all that the engine has, and counts for nothing.
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  sandbox->cancel();
  EXPECT_EQ(sandbox->wait().cause, Cause::cancelled);
  EXPECT_TRUE(comes_true([&] { return !is_used(record); }));
  EXPECT_EQ(run("rm a:v1").status, 0);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

// What was replaced under a running sandbox, by a load that says something else of the image.
TEST_F(PrunedStore, KnowsASandboxByTheRecordThatItWasStartedWith) {
  load("a:v1");
  const std::string record = record_of("a:v1");
  RunningCommand running(run_of("a:v1", "print up ; sleep 60"));
  ASSERT_TRUE(running.wait_for_output("up")) << running.wait().err;
  std::string text = read_file(record);
  ASSERT_NE(text.find("\"passwd\":\"\""), std::string::npos);
  text.replace(text.find("\"passwd\":\"\""), 11, "\"passwd\":\"x\"");
  {
    // In place, as no program of ours does: the lock on it stays.
    std::ofstream(record) << text;
  }
  ASSERT_EQ(run("load --name other:v1 " + (scratch_ / "image.tar")).status, 0);
  std::filesystem::remove_all(store() + "/images/transports");
  std::filesystem::create_directory(store() + "/images/transports");
  load("a:v1");
  EXPECT_NE(read_file(record), text);
  EXPECT_FALSE(is_used(record)) << "the new one is not locked";
  EXPECT_EQ(prune("--all")["in_use"].size(), 1U);
  EXPECT_EQ(run("verify").status, 0);
  running.kill(SIGKILL);
  running.wait();
  EXPECT_TRUE(comes_true([&] { return prune("--all")["removed"].size() == 1; }));
  EXPECT_EQ(count("images/digests"), 0U);
}

// Launches race with prunes: each either runs to its end or finds no image, and is never torn.
TEST_F(PrunedStore, NeverTakesLayersFromALaunchThatIsUnderWay) {
  load("a:v1");
  const std::string path = scratch_ / "image.tar";
  std::atomic<bool> over{false};
  std::thread pruner([&] {
    while (!over) {
      const std::string quiet = " >/dev/null 2>&1; ";
      (void)std::system(
          (command("prune --all -q") + quiet + command("load -q " + path) + quiet).c_str());
    }
  });
  int ran = 0, not_found = 0;
  for (int round = 0; round < 150; ++round) {
    const CommandOutcome outcome = RunningCommand(run_of("a:v1", "read-file /own")).wait();
    if (outcome.status == 0) {
      EXPECT_EQ(outcome.out, std::string(64 * 1024, 'a'));
      ++ran;
    } else {
      EXPECT_EQ(outcome.status, 125);
      EXPECT_NE(outcome.err.find("is not in the store"), std::string::npos) << outcome.err;
      ++not_found;
    }
  }
  over = true;
  pruner.join();
  EXPECT_GT(ran, 5);
  EXPECT_GT(not_found, 5);
}

TEST_F(PrunedStore, HasALaunchWaitForARemovalAndFindNothing) {
  load("a:v1");
  const UniqueFd removal(open(record_of("a:v1").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(flock(removal.number(), LOCK_EX), 0);
  Result<HeldImage> held;
  std::thread launch([&] { held = hold_image(store(), "a:v1"); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  std::filesystem::remove(record_of("a:v1"));
  flock(removal.number(), LOCK_UN);
  launch.join();
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().code, ErrorCode::image_not_found);
}

TEST_F(PrunedStore, NotesWhenAnImageWasUsed) {
  load("a:v1");
  use_was("a:v1", hours(5));
  const auto used = [&] { return std::filesystem::last_write_time(record_of("a:v1")); };
  const auto before = used();
  ASSERT_TRUE(hold_image(store(), "a:v1"));
  EXPECT_EQ(used(), before) << "to look is no use";
  EXPECT_EQ(RunningCommand(run_of("a:v1", "exit 0")).wait().status, 0);
  const auto after = used();
  EXPECT_GT(after - before, hours(4));
  EXPECT_EQ(RunningCommand(run_of("a:v1", "exit 0")).wait().status, 0);
  EXPECT_EQ(used(), after) << "once a minute will do";
}

TEST_F(PrunedStore, NeedsNotToBeWritableForALaunch) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to mount the store read-only";
  load("a:v1");
  use_was("a:v1", hours(5));
  const auto before = std::filesystem::last_write_time(record_of("a:v1"));
  std::string command;
  for (const std::string& word : run_of("a:v1", "print fine")) command += " " + word;
  const Outcome outcome = shell("unshare -m sh -c 'mount --bind " + store() + " " + store() +
                                " && mount -o remount,ro,bind " + store() + " &&" + command + "'");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("fine"), std::string::npos) << outcome.out;
  EXPECT_EQ(std::filesystem::last_write_time(record_of("a:v1")), before);
}

// A prune that is killed at any moment.
TEST_F(PrunedStore, IsSoundAfterKillsOfAPrune) {
  int killed = 0;
  for (int round = 0; round < 60; ++round) {
    load("a:v1", 8 * 1024);
    load("b:v1", 8 * 1024);
    RunningCommand running({cove_image(), "--store", store(), "prune", "-q", "--all"});
    std::this_thread::sleep_for(std::chrono::microseconds(round * 300));
    running.kill(SIGKILL);
    killed += running.wait().status == 128 + SIGKILL ? 1 : 0;
    // An image without its name may be left, which has nothing but its layers.
    ASSERT_EQ(run("prune -q").status, 0);
    const Outcome verified = run("verify");
    ASSERT_EQ(verified.status, 0) << round << ": " << verified.out << verified.err;
  }
  EXPECT_GT(killed, 10);
  ASSERT_EQ(run("prune -q --all").status, 0);
  EXPECT_EQ(count("layers") + count("blobs/sha256") + count("images/digests"), 0U);
}

}  // namespace
}  // namespace cove::testing
