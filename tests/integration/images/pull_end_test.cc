// `cove image pull` that ends half-way: killed, interrupted, out of space. What is left is sound.
#include <dirent.h>
#include <signal.h>
#include <sys/mount.h>

#include <random>
#include <thread>

#include "tests/integration/images/registries.h"
#include "tests/support/terminal.h"

namespace cove::testing {
namespace {

using Faults = std::vector<json>;

class EndedPull : public PullingStore {
 protected:
  std::vector<std::string> argv(const std::string& image) const {
    std::vector<std::string> words{"/usr/bin/env", "-i"};
    for (const std::string& variable : bare_environment()) words.push_back(variable);
    for (const std::string& word :
         {cove_image(), std::string("--store"), store(), std::string("pull"), std::string("--name"),
          std::string("ended:v1"), image})
      words.push_back(word);
    return words;
  }
  // Processes that have our scratch directory in their command line.
  std::size_t processes() const {
    std::size_t found = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string line = read_file(entry.path() / "cmdline");
      found += line.find(store()) == std::string::npos ? 0 : 1;
    }
    return found;
  }
  bool all_processes_end() const {
    return comes_true([&] { return processes() == 0; });
  }

  const std::string layout_ = layout_of(large());
};

TEST_F(EndedPull, LeavesNoProcessWhenItIsKilled) {
  const FaultyRegistry registry(
      layout_, json{{"faults", Faults{fault(sha256_of(large().layers[0]), {{"stall", 100'000}})}}});
  for (const int signal : {SIGKILL, SIGTERM, SIGINT}) {
    RunningCommand running(argv(registry.place() + ":v1"));
    EXPECT_TRUE(comes_true([&] { return processes() >= 3; }))
        << "itself, one that downloads, and one that unpacks what stalls";
    running.kill(signal);
    EXPECT_EQ(running.wait().status, 128 + signal);
    EXPECT_TRUE(all_processes_end());
    EXPECT_EQ(run("verify").status, 0);
  }
  EXPECT_EQ(count("blobs/sha256"), 0U);
}

TEST_F(EndedPull, SurvivesTheDeathOfTheProcessThatDownloads) {
  const FaultyRegistry registry(
      layout_, json{{"faults", Faults{fault(sha256_of(large().layers[0]), {{"stall", 100'000}})}}});
  RunningCommand running(argv(registry.place() + ":v1"));
  ASSERT_TRUE(comes_true([&] { return processes() >= 3; }));
  // The first child of its: those that unpack were started later.
  const std::string children = read_file("/proc/" + std::to_string(running.pid()) + "/task/" +
                                         std::to_string(running.pid()) + "/children");
  const pid_t downloading = std::stoi(children);
  ASSERT_EQ(::kill(downloading, SIGKILL), 0);
  const CommandOutcome outcome = running.wait();
  EXPECT_EQ(outcome.status, 125);
  EXPECT_NE(outcome.err.find("the downloading process"), std::string::npos) << outcome.err;
  EXPECT_TRUE(all_processes_end());
  expect_sound_and_empty();
}

// A killed pull or removal leaves a store in which all that is named is whole.
TEST_F(EndedPull, SurvivesTwoHundredKills) {
  const FaultyRegistry registry(layout_);
  const std::string image = registry.place() + ":v1";
  std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same moments each time
  int killed = 0;
  for (int round = 0; round < 200; ++round) {
    {
      RunningCommand running(argv(image));
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 80'000));
      running.kill(SIGKILL);
      killed += running.wait().status == 128 + SIGKILL ? 1 : 0;
    }
    const Outcome verified = run("verify");
    ASSERT_EQ(verified.status, 0) << round << ": " << verified.out << verified.err;
    if (round % 4 != 3) continue;
    const Outcome pulled = pull("--name ended:v1 " + image);
    ASSERT_EQ(pulled.status, 0) << round << ": " << pulled.err;
    ASSERT_EQ(run("rm -q ended:v1").status, 0);
  }
  EXPECT_GT(killed, 50);
  EXPECT_TRUE(all_processes_end());
  expect_pulled(pull("--name ended:v1 " + image), "ended:v1", 2);
  ASSERT_EQ(run("rm -q ended:v1").status, 0);
  expect_sound_and_empty();
}

class PullOntoAFullDisk : public PullingStore {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, to mount";
    std::filesystem::create_directory(store());
    mount_with_room("1200k");
  }
  void TearDown() override { umount2(store().c_str(), MNT_DETACH); }
  void mount_with_room(const std::string& room, unsigned long flags = 0) const {
    ASSERT_EQ(mount("small", store().c_str(), "tmpfs", flags, ("mode=700,size=" + room).c_str()),
              0);
  }
};

TEST_F(PullOntoAFullDisk, SaysSoAndLeavesNothing) {
  const FaultyRegistry registry(layout_of(large()));
  const std::string image = "--name full:v1 " + registry.place() + ":v1";
  expect_refused(pull(image), "No space left on device");
  mount_with_room("8m", MS_REMOUNT);
  expect_pulled(pull(image), "full:v1", 2);
}

TEST_F(EndedPull, OfAPlainUserIsTheUsersOwn) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  const FaultyRegistry registry(layout_);
  std::filesystem::copy_file(cove_image(), scratch_ / "cove-image");
  chmod(scratch_.path().c_str(), 0755);
  chmod((scratch_ / "cove-image").c_str(), 0755);
  ASSERT_EQ(chown(home().c_str(), 54321, 54321), 0);
  const std::string users_store = home() + "/store";
  const Outcome outcome =
      shell("exec env -i HOME=" + home() +
            " CONTAINERS_REGISTRIES_CONF=/none PATH=/usr/bin setpriv --reuid 54321 --regid 54321 "
            "--clear-groups " +
            scratch_ / "cove-image" + " --store " + users_store + " pull --name users:v1 " +
            registry.place() + ":v1");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Result<ImageFacts> facts = find_image(users_store, "users:v1");
  ASSERT_TRUE(facts) << facts.error().message();
  EXPECT_EQ(read_file(facts->layers.at(1) + "/two"), noise(300'000, 2));
  struct stat status {};
  ASSERT_EQ(stat((facts->layers[1] + "/two").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 54321U);
}

TEST(LoginAtATerminal, ShowsNoPasswordAndLeavesTheTerminalAsItWas) {
  const std::string login = cove_image();
  for (const bool interrupted : {false, true}) {
    DrivenTerminal terminal({"/usr/bin/env", "-i", "HOME=/nonexistent", login, "login", "-u", "ada",
                             "--retry", "1", "127.0.0.1:1"});
    ASSERT_TRUE(terminal.wait_for("Password: ")) << terminal.screen();
    EXPECT_FALSE(terminal.becomes_as_before());
    terminal.type(interrupted ? "secret\x03" : "secret\r");
    if (interrupted) {
      EXPECT_EQ(terminal.wait(), 128 + SIGINT);
    } else {
      EXPECT_TRUE(terminal.wait_for("cannot connect")) << terminal.screen();
      EXPECT_EQ(terminal.wait(), 125);
    }
    EXPECT_EQ(terminal.screen().find("secret"), std::string::npos);
    EXPECT_TRUE(terminal.is_as_before());
  }
}

}  // namespace
}  // namespace cove::testing
