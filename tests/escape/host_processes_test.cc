// Processes and shared memory of the host, and of other sandboxes.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

bool are_there(const std::string& marker, std::size_t count) {
  return eventually([&] { return processes_with(marker).size() >= count; });
}
// Also those that are forked meanwhile.
void kill_all(const std::string& marker) {
  EXPECT_TRUE(eventually([&] {
    const std::vector<pid_t> pids = processes_with(marker);
    for (const pid_t pid : pids) kill(pid, SIGKILL);
    return pids.empty();
  }));
}

TEST(Escape, ProcessesOfTheHostAreNotSeen) {
  const std::string marker = unique_marker();
  const RunningCommand other({attacker_path(), "mark", marker, ";", "sleep", "60"});
  ASSERT_TRUE(are_there(marker, 1));
  const std::string pid = std::to_string(other.pid());
  const Attack attack("search-processes " + disguised(marker) + " ; kill " + pid +
                      " 0 ; list /proc/" + pid);
  EXPECT_THAT(attack.outside(), HasSubstr("found: " + marker + " in /proc/" + pid + "/cmdline"));
  EXPECT_THAT(attack.outside(), HasSubstr("kill: ok\n"));
  const std::string inside = attack.inside();
  EXPECT_THAT(inside, Not(HasSubstr("found"))) << inside;
  EXPECT_THAT(inside, HasSubstr("kill: ESRCH\nlist: ENOENT\n"));
}
TEST(Escape, EveryProcessThatCanBeSignalledIsInTheSandbox) {
  const std::string marker = unique_marker();
  const RunningCommand other({attacker_path(), "mark", marker, ";", "sleep", "60"});
  ASSERT_TRUE(are_there(marker, 1));
  // Or else the next would reach all of this user's.
  ASSERT_EQ(Attack("ps").inside(), "process 1: cove-init\nprocess 2: attacker\n");
  Attack attack("spawn sleep 60 ; kill -1 9 ; wait");
  for (const char* user : {"1000", "root"}) {
    attack.spec.user = user;
    EXPECT_EQ(attack.inside(), "kill: ok\nchild: signal 9\n") << user;
    EXPECT_EQ(processes_with(marker).size(), 1u);
  }
  // It could have been: outside that process is this user's to kill.
  EXPECT_EQ(Attack("kill " + std::to_string(other.pid()) + " 9").outside(), "kill: ok\n");
}

// ---- what outlives ----

TEST(Escape, NoProcessOutlivesItsSandbox) {
  for (const std::string& daemon :
       {std::string("spawn-daemon sleep 60"), std::string("subreaper-daemon 60"),
        std::string("spawn-daemon subreaper-daemon 60")}) {
    const std::string marker = unique_marker();
    const Attack attack("mark " + marker + " ; " + daemon + " ; sleep 0.05");
    attack.outside();
    EXPECT_TRUE(are_there(marker, 1)) << daemon << ": a daemon outlives its parent";
    kill_all(marker);

    attack.inside();
    EXPECT_TRUE(processes_with(marker).empty()) << daemon;
  }
}
TEST(Escape, NoProcessOutlivesACallerThatIsKilled) {
  const std::string marker = unique_marker();
  const std::string root = AttackerRoot::shared().path();
  {
    RunningCommand caller({command_path(), "run", "--rootfs", root, "--", "/bin/attacker", "mark",
                           marker, ";", "subreaper-daemon", "60", ";", "print", "ready", ";",
                           "sleep", "60"});
    ASSERT_TRUE(caller.wait_for_output("ready"));
    EXPECT_TRUE(are_there(marker, 4)) << "the caller, the program, its daemon and their children";
    caller.kill(SIGKILL);
    caller.wait();
  }
  EXPECT_EQ(processes_left(marker, 5 * slowness()), 0u);
}

// ---- shared memory, queues, semaphores ----

TEST(Escape, SharedMemoryOfTheHostIsNotThere) {
  const key_t key = 0x43000000 | (getpid() & 0xffff);
  const int memory = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0666);
  const int queue = msgget(key, IPC_CREAT | IPC_EXCL | 0666);
  const int semaphore = semget(key, 1, IPC_CREAT | IPC_EXCL | 0666);
  ASSERT_TRUE(memory >= 0 && queue >= 0 && semaphore >= 0);
  const std::string name = std::to_string(key);
  const Attack attack("syscall shmget 29 " + name + " 0 0 ; syscall msgget 68 " + name +
                      " 0 ; syscall semget 64 " + name + " 0 0 ; syscall shmat 30 " +
                      std::to_string(memory) + " 0 0 ; syscall msgctl 71 " + std::to_string(queue) +
                      " 2 z:256");
  EXPECT_EQ(attack.outside(), "shmget: ok\nmsgget: ok\nsemget: ok\nshmat: ok\nmsgctl: ok\n");
  EXPECT_EQ(attack.inside(),
            "shmget: ENOENT\nmsgget: ENOENT\nsemget: ENOENT\nshmat: EINVAL\nmsgctl: EINVAL\n");
  shmctl(memory, IPC_RMID, nullptr);
  msgctl(queue, IPC_RMID, nullptr);
  semctl(semaphore, 0, IPC_RMID);
}
TEST(Escape, PosixQueuesAndMemoryOfTheHostAreNotThere) {
  const std::string name = unique_marker();
  const mqd_t queue = mq_open(("/" + name).c_str(), O_RDWR | O_CREAT | O_EXCL, 0600, nullptr);
  const int memory = shm_open(("/" + name).c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  if (queue < 0 || memory < 0) GTEST_SKIP() << "needs POSIX queues and memory";
  const Attack attack("syscall mq_open 240 s:" + name + " 0 ; read-file /dev/shm/" + name);
  ASSERT_EQ(write(memory, "secret\n", 7), 7);
  EXPECT_EQ(attack.outside(), "mq_open: ok\nsecret\n");
  EXPECT_EQ(attack.inside(), "mq_open: ENOENT\nread-file: ENOENT\n");
  mq_close(queue);
  mq_unlink(("/" + name).c_str());
  close(memory);
  shm_unlink(("/" + name).c_str());
}

// ---- another sandbox ----

TEST(Escape, AnotherSandboxIsOutOfReach) {
  const std::string marker = unique_marker();
  Attack other(
      "mark " + marker +
      " ; put /tmp/file of-another ; put /dev/shm/file of-another ; syscall shmget 29 "
      "0x4321 4096 0x3b6 ; syscall mq_open 240 s:queue 0x42 0x1b6 0 ; print ready ; sleep 60");
  std::array<int, 2> pipe{};
  ASSERT_EQ(pipe2(pipe.data(), O_CLOEXEC), 0);
  Streams streams;
  streams.delivery = OutputDelivery::passed_on;
  streams.stdout_fd = pipe[1];
  auto sandbox = shared_engine().launch(other.spec, streams);
  ASSERT_TRUE(sandbox) << sandbox.error().message();
  std::string said;
  std::array<char, 256> buffer{};
  while (said.find("ready") == std::string::npos) {
    const ssize_t got = read(pipe[0], buffer.data(), buffer.size());
    ASSERT_GT(got, 0);
    said.append(buffer.data(), static_cast<std::size_t>(got));
  }
  const std::string look =
      "read-file /tmp/file ; read-file /dev/shm/file ; syscall shmget 29 0x4321 0 0 ; syscall "
      "mq_open "
      "240 s:queue 0 ; search-processes " +
      disguised(marker);
  // In its own sandbox all of it is there.
  EXPECT_THAT(
      Attack("put /tmp/file x ; put /dev/shm/file x ; syscall shmget 29 0x4321 4096 0x3b6 ; "
             "syscall mq_open 240 s:queue 0x42 0x1b6 0 ; spawn sleep 9 ; mark " +
             marker + " ; " + look)
          .inside(),
      HasSubstr("xxshmget: ok\nmq_open: ok\nfound: " + marker));
  const std::string out = Attack(look).inside();
  EXPECT_THAT(out, ::testing::StartsWith("read-file: ENOENT\nread-file: ENOENT\nshmget: "
                                         "ENOENT\nmq_open: ENOENT\n"));
  EXPECT_THAT(out, Not(HasSubstr("found")));
  sandbox->cancel();
  sandbox->wait();
  close(pipe[0]);
  close(pipe[1]);
}

}  // namespace
}  // namespace cove::testing
