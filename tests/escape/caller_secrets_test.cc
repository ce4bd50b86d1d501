// init is cloned, and never exec'd: its memory, arguments and environment are copies of its caller's.
// Nothing of them may be found inside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string search_for(const std::string& secret) {
  return "search-processes " + disguised(secret) + " ; search-memory 1 " + disguised(secret) +
         " ; read-file /proc/1/cmdline ; print";
}
CommandOptions with_token(const std::string& secret) {
  CommandOptions options;
  options.environment = {"TOKEN_OF_THE_CALLER=" + secret};
  return options;
}

TEST(Escape, NothingOfTheCallerIsToldByProcessesWhenTheCommandRuns) {
  const std::string secret = "hush" + unique_marker();
  const Attack attack(search_for(secret));
  const std::string naive = attack.in_naive_container(with_token(secret));
  EXPECT_THAT(naive, HasSubstr("found: " + secret + " in /proc/1/environ\n"));
  EXPECT_THAT(naive, HasSubstr("maps: ok\nmem: found\nprocess_vm_readv: found\n"));
  // Among the arguments, as a value that was given.
  EXPECT_THAT(
      Attack("mark " + secret + " ; search-processes " + disguised(secret)).in_naive_container(),
      HasSubstr("found: " + secret + " in /proc/1/cmdline\n"));

  for (const char* user : {"1000", "root"}) {
    const SandboxResult result = attack.through_command(
        with_token(secret), {"-e", "GIVEN=" + secret + "given", "--user", user});
    EXPECT_THAT(output(result), Not(HasSubstr("found"))) << shown(result);
    EXPECT_THAT(output(result), HasSubstr("looked at: "));
    EXPECT_THAT(output(result), HasSubstr("maps: EACCES\nmem: EACCES\nprocess_vm_readv: EPERM\n"));
    EXPECT_THAT(output(result), HasSubstr(std::string("cove-init")));
  }
}
TEST(Escape, NothingOfTheCallerIsToldByProcessesWhenALibraryRuns) {
  const std::string secret = "hush" + unique_marker();
  setenv("TOKEN_OF_THE_CALLER", secret.c_str(), 1);
  const Attack attack(search_for(secret) + " ; search-processes " +
                      disguised(AttackerRoot::shared().path()) + " " + disguised("TOKEN_OF") + " " +
                      disguised("escape_tests"));
  EXPECT_THAT(attack.in_naive_container(), HasSubstr("found: " + secret + " in /proc/1/environ\n"));
  const SandboxResult result = run_through_library(attack.spec);
  unsetenv("TOKEN_OF_THE_CALLER");
  EXPECT_THAT(output(result), Not(HasSubstr("found"))) << shown(result);
  EXPECT_THAT(output(result), HasSubstr("looked at: "));
}
// The program's own memory began with its exec: it has no more than it was given.
TEST(Escape, NothingOfTheCallerIsInTheProgramsOwnMemory) {
  const std::string secret = "hush" + unique_marker();
  const Attack attack("search-memory 2 " + disguised(secret));
  EXPECT_THAT(attack.in_naive_container(with_token(secret)), HasSubstr("mem: found\n"));
  const SandboxResult result = attack.through_command(with_token(secret));
  EXPECT_EQ(output(result), "maps: ok\nmem: not found\nprocess_vm_readv: not found\n")
      << shown(result);
}

// ---- keys ----

constexpr int kSessionKeyring = -3, kUserKeyring = -4;

// A key of the caller's, for the time of a test.
class Key {
 public:
  Key(const std::string& name, int keyring)
      : keyring_(keyring), id_(syscall(SYS_add_key, "user", name.c_str(), "secret", 6, keyring)) {}
  ~Key() {
    if (id_ > 0) syscall(SYS_keyctl, 9, id_, keyring_);  // KEYCTL_UNLINK
  }
  bool made() const { return id_ > 0; }

 private:
  const int keyring_;
  const long id_;
};

TEST(Escape, TheKeysOfTheCallerAreNotThere) {
  // A session keyring of the test's own.
  if (syscall(SYS_keyctl, 1, nullptr) < 0 && errno == ENOSYS) GTEST_SKIP() << "needs kernel keys";
  for (const int keyring : {kSessionKeyring, kUserKeyring}) {
    const std::string name = unique_marker();
    const Key key(name, keyring);
    ASSERT_TRUE(key.made()) << keyring;
    Attack attack("request-key " + name);
    if (keyring == kSessionKeyring) {
      EXPECT_EQ(attack.outside(), "request-key: ok\n");
    } else {
      // KEYCTL_SEARCH of the user's own keyring, which a new session keyring has a link to.
      attack = Attack("syscall keyctl 250 10 -4 s:user s:" + name + " 0");
      EXPECT_EQ(attack.outside(), "keyctl: ok\n");
    }
    for (const bool library : {true, false}) {
      auto engine = Engine::create();  // its launcher is started from this session
      ASSERT_TRUE(engine);
      const auto outcome_of = [&](const SandboxSpec& spec) {
        return output(library ? engine->run(spec) : run_through_command(spec));
      };
      SandboxSpec without = attack.spec;
      without.require[Protection::seccomp] = Requirement::off;
      EXPECT_THAT(outcome_of(without), AnyOf("request-key: ENOKEY\n", "request-key: EACCES\n",
                                             "keyctl: ENOKEY\n", "keyctl: EACCES\n"));
      EXPECT_THAT(outcome_of(attack.spec), AnyOf("request-key: EPERM\n", "keyctl: EPERM\n"));
    }
  }
}

}  // namespace
}  // namespace cove::testing
