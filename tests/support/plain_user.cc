#include "tests/support/plain_user.h"

#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

namespace cove::testing {

CommandOptions as_plain_user(const TempDirectory& runtime) {
  EXPECT_EQ(chown(runtime.path().c_str(), kPlainUser, kPlainUser), 0);
  CommandOptions options;
  options.environment = {"XDG_RUNTIME_DIR=" + runtime.path(), "HOME=/"};
  options.in_child = [] {
    if (setgroups(0, nullptr) != 0 || setresgid(kPlainUser, kPlainUser, kPlainUser) != 0 ||
        setresuid(kPlainUser, kPlainUser, kPlainUser) != 0)
      _exit(99);
  };
  return options;
}

CommandOptions as_plain_user_with_many_ids(const TempDirectory& runtime,
                                           const TempDirectory& lies) {
  put_file(lies / "passwd", "root:x:0:0::/root:/bin/sh\nada:x:54321:54321::/:/bin/sh\n");
  put_file(lies / "subuid", "ada:600100000:65536\n");
  CommandOptions options = as_plain_user(runtime);
  options.in_child = [become_user = options.in_child, directory = lies.path()] {
    const auto lie = [&](const char* name, const char* file) {
      return mount((directory + "/" + name).c_str(), file, nullptr, MS_BIND, nullptr) == 0;
    };
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        !lie("passwd", "/etc/passwd") || !lie("subuid", "/etc/subuid") ||
        !lie("subuid", "/etc/subgid"))
      _exit(99);
    become_user();
  };
  return options;
}

}  // namespace cove::testing
