// CVE-2024-32462 (flatpak): words of the sandboxed program were taken for options of the runtime.
#include <gtest/gtest.h>

#include "tests/support/attack.h"

namespace cove::testing {
namespace {

TEST(Escape, Cve202432462WordsOfTheProgramAreNoOptions) {
  COVE_NEEDS_IDMAPPED_BINDS();
  const TempDirectory secret;
  put_file(secret / "secret", "of the host\n");
  const std::string volume = secret.path() + ":/data:ro";
  const std::string root = AttackerRoot::shared().path();
  const std::vector<std::string> program{"/bin/attacker", "list", "/data", ";", "print"};
  const auto outcome_of = [&](std::vector<std::string> argv) {
    argv.insert(argv.begin(), {command_path(), "run"});
    return run_command(argv);
  };
  EXPECT_EQ(
      outcome_of({"-v", volume, "--rootfs", root, "--", "/bin/attacker", "list", "/data"}).out,
      "secret\n");  // where it is an option
  for (const std::string& word :
       {"--volume=" + volume, std::string("--danger-host-network"), std::string("--user=root"),
        std::string("--"), std::string("-v"), std::string("--rootfs=/")}) {
    std::vector<std::string> argv{"--rootfs", root, "--"};
    argv.insert(argv.end(), program.begin(), program.end());
    argv.insert(argv.end(), {word, volume});
    const CommandOutcome outcome = outcome_of(argv);
    EXPECT_EQ(outcome.out, "list: ENOENT\n" + word + "\n") << outcome.err;
  }
}
// Nor is the name of the program.
TEST(Escape, Cve202432462TheProgramMayBeNamedLikeAnOption) {
  const AttackerRoot root;
  root.put("/bin/--help", contents_of(attacker_path()), 0755);
  SandboxSpec spec = Attack("", root).spec;
  spec.command = {"--help", "print", "x"};
  EXPECT_EQ(refusal(run_through_library(spec)), "ran: x\n");
  EXPECT_EQ(refusal(run_through_command(spec)), "ran: x\n");
  const CommandOutcome outcome =
      run_command({command_path(), "run", "--rootfs", root.path(), "--", "--help", "print", "x"});
  EXPECT_EQ(outcome.out, "x\n") << outcome.err;
}

}  // namespace
}  // namespace cove::testing
