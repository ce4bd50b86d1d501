// The same attack from several places, so that a test of what Cove refuses can fail.
//
//   const Attack attack("create-by-io-uring /tmp/x 0644");
//   EXPECT_EQ(attack.outside(), ...);                        // as this user, on the host
//   EXPECT_EQ(attack.in_naive_container(), ...);             // namespaces, and nothing more
//   EXPECT_EQ(attack.without({Protection::seccomp}), ...);   // one protection off
//   EXPECT_EQ(attack.inside(), "io_uring_setup: EPERM\n");   // a default sandbox
//
// The commands are those of tests/support/attacker.cc and of the probe. Outside they are run with
// this user's rights: only ever on what the test has made itself.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/host.h"
#include "tests/support/sandbox.h"

namespace cove::testing {

// $COVE_ATTACKER, else where the build put it.
std::string attacker_path();

// A root filesystem with bin/attacker, and the places that a naive container needs.
class AttackerRoot : public RootDirectory {
 public:
  AttackerRoot();
  // One for all tests that change nothing in it.
  static const AttackerRoot& shared();
};

// Of a naive container's processes, in its user namespace.
enum class Capabilities { dropped, kept };

class Attack {
 public:
  // Words separated by spaces.
  explicit Attack(const std::string& commands, const AttackerRoot& root = AttackerRoot::shared());
  // Words that may hold spaces.
  explicit Attack(std::vector<std::string> words,
                  const AttackerRoot& root = AttackerRoot::shared());

  // What is launched; a test may add to it.
  SandboxSpec spec;

  // What the attacker prints. Inside, anything but its own end is a failure.
  std::string inside() const;
  std::string without(std::initializer_list<Protection> protections) const;
  std::string outside(const CommandOptions& options = {}) const;
  std::string in_naive_container(const CommandOptions& options = {},
                                 Capabilities capabilities = Capabilities::dropped) const;
  // Through `cove run`, for a caller that prepares itself (in_child) before it becomes that.
  SandboxResult through_command(const CommandOptions& options,
                                const std::vector<std::string>& more = {}) const;

 private:
  std::vector<std::string> words() const;
};

// "setup_failed, workdir, ELOOP": the code, step and errno with which Cove refused; "ran: " and the
// output where it did not.
std::string refusal(const SandboxResult& result);

// Exchanges two names of one directory, over and over, in a thread of its own.
class Swapper {
 public:
  Swapper(const std::string& one, const std::string& other);
  Swapper(const Swapper&) = delete;
  Swapper& operator=(const Swapper&) = delete;
  ~Swapper();

 private:
  class Thread;
  std::unique_ptr<Thread> thread_;
};

// How often a race is tried: less often on a machine that is slow.
int attempts(int on_a_fast_machine);

// Whether a check on what `path` is, and a use of it later, can be made to disagree: tries for some
// seconds. `use` says that it got what `check` was to prevent.
template <typename Check, typename Use>
bool race_is_lost(Check check, Use use) {
  const double end = seconds_now() + 10 * slowness();
  while (seconds_now() < end) {
    if (check() && use()) return true;
  }
  return false;
}

// Waits until that is so. False after some seconds.
template <typename Predicate>
bool eventually(Predicate predicate) {
  const double end = seconds_now() + 5 * slowness();
  while (!predicate()) {
    if (seconds_now() > end) return false;
    usleep(1000);
  }
  return true;
}

// "0x10": how the attacker takes flags.
std::string hex(std::uint64_t value);

// "h%ush": how search-processes and search-memory want a text that they shall not have themselves.
std::string disguised(const std::string& text);

}  // namespace cove::testing

// What a plain user cannot do, be it as attacker or as defender: `what` says it.
#define COVE_NEEDS_ROOT(what) \
  if (geteuid() != 0) GTEST_SKIP() << "needs root: " << (what)
