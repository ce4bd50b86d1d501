// CVE-2019-5736 (runc): the image's command was /proc/self/exe, or a script with that as its
// interpreter. The runtime then ran its own executable inside, where the container could write to
// it by /proc/PID/exe: a file of the host's that root would run again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "cove/json.h"
#include "tests/support/attack.h"
#include "tests/support/host.h"

namespace cove::testing {
namespace {

using ::testing::HasSubstr;

// Of a sanitized build the executables are dynamic: what they would need is not in the image.
const bool kStatic = !is_sanitized();

// A copy of an executable that belongs to the caller, as one built or installed by a plain user
// does, and whether somebody has changed it.
class Executable {
 public:
  explicit Executable(const std::string& original) : path_(directory_ / "runtime") {
    put_file(path_, contents_of(original), 0755);
    before_ = status();
  }
  const std::string& path() const { return path_; }
  bool is_changed() const {
    const struct stat now = status();
    return now.st_mode != before_.st_mode || now.st_size != before_.st_size ||
           now.st_mtime != before_.st_mtime;
  }

 private:
  struct stat status() const {
    struct stat status {};
    EXPECT_EQ(stat(path_.c_str(), &status), 0);
    return status;
  }
  const TempDirectory directory_;
  const std::string path_;
  struct stat before_ {};
};

SandboxResult run_by(const Executable& cove, const SandboxSpec& spec) {
  const TempDirectory directory;
  put_file(directory / "spec.json", to_json(spec));
  const CommandOutcome outcome =
      run_command({cove.path(), "run", "--json", "--spec", directory / "spec.json"});
  const auto result = result_from_json(outcome.out);
  EXPECT_TRUE(result) << outcome.out << outcome.err;
  return result.value_or(SandboxResult{});
}

// What an image needs for it: a name of /proc/self/exe, and, for the second step, a program that
// the first one starts.
class EvilRoot : public AttackerRoot {
 public:
  EvilRoot() {
    put("/bin/script", "#!/proc/self/exe\n", 0755);
    put("/bin/own-script", "#!/proc/self/exe overwrite-runtime-from-child\n", 0755);
    link("/bin/link", "/proc/self/exe");
    put("/evil/cove-image", "#!/bin/attacker overwrite-runtime\n", 0755);
  }
};

// A runtime that does not look: a copy of the attacker, in the place of one.
TEST(Escape, Cve20195736ANaiveRuntimeIsOverwritten) {
  const EvilRoot root;
  const Executable runtime(attacker_path());
  const CommandOutcome outcome =
      run_command({runtime.path(), "naive-container", root.path(), ";", "exec", "/bin/own-script"});
  EXPECT_EQ(outcome.out, "open: ok\nfchmod: ok\nfutimens: ok\n") << outcome.err;
  EXPECT_TRUE(runtime.is_changed());
}

TEST(Escape, Cve20195736ProcSelfExe) {
  const EvilRoot root;
  const Executable cove(command_path());
  for (const char* user : {"1000", "root"}) {
    for (const char* command :
         {"/proc/self/exe", "/proc/thread-self/exe", "/proc/2/exe", "/bin/link", "/bin/script"}) {
      SandboxSpec spec = Attack("", root).spec;
      // `cove` starts cove-image for this, and finds it where the image says.
      spec.command = {command, "run", "docker-archive:/x"};
      spec.env = {{"COVE_LIBEXEC", "/evil"},
                  {"COVE_ROOT", "/workspace/store"},
                  {"XDG_RUNTIME_DIR", "/workspace"}};
      spec.user = user;
      const SandboxResult by_command = run_by(cove, spec);
      const SandboxResult by_library = run_through_library(spec);
      if (kStatic) {
        EXPECT_EQ(by_command.exit_code, 125) << command << shown(by_command);
        EXPECT_THAT(by_command.stderr_stream.bytes, HasSubstr("was not started by its path"));
        EXPECT_EQ(by_library.exit_code, 125) << command << shown(by_library);
        EXPECT_THAT(by_library.stderr_stream.bytes, HasSubstr("started by the cove library"));
      } else {
        EXPECT_EQ(refusal(by_command), "command_not_executable, exec, ENOENT") << command;
        EXPECT_EQ(refusal(by_library), "command_not_executable, exec, ENOENT") << command;
      }
      EXPECT_FALSE(cove.is_changed()) << command << " as " << user;
    }
  }
}

// What any program of the image starts so is that program again.
TEST(Escape, Cve20195736FromWithinItIsTheProgramsOwn) {
  const EvilRoot root;
  const Attack attack("exec /bin/own-script", root);
  const std::string done = "open: ok\nfchmod: ";
  EXPECT_THAT(attack.inside(), ::testing::StartsWith(done));
  EXPECT_TRUE(contents_of(root.outside("/bin/attacker")) == contents_of(attacker_path()));
}

// The kernel loads the interpreter of an ELF file before the program is there to be looked at.
TEST(Escape, Cve20195736AsAnElfInterpreter) {
  const EvilRoot root;
  const Executable cove(command_path());
  std::string program = contents_of(attacker_path());
  // Program headers begin at 64, 56 bytes each. PT_NOTE (4) is not needed to run: it becomes
  // PT_INTERP (3), of a name that is put behind the file.
  const std::string name("/proc/self/exe\0", 15);
  bool made = false;
  for (std::size_t at = 64; !made && at < 64 + 20 * 56; at += 56) {
    if (program[at] != 4) continue;
    const std::uint64_t offset = program.size(), size = name.size();
    program[at] = 3;
    program.replace(at + 8, 8, reinterpret_cast<const char*>(&offset), 8);
    program.replace(at + 32, 8, reinterpret_cast<const char*>(&size), 8);
    made = true;
  }
  ASSERT_TRUE(made);
  root.put("/bin/elf", program + name, 0755);
  SandboxSpec spec = Attack("", root).spec;
  spec.command = {"/bin/elf", "overwrite-runtime-from-child"};
  spec.timeout = std::chrono::seconds(10);
  for (const SandboxResult& result : {run_by(cove, spec), run_through_library(spec)}) {
    EXPECT_NE(result.process_status, ProcessStatus::completed) << shown(result);
    EXPECT_NE(result.process_status, ProcessStatus::timeout) << shown(result);
  }
  EXPECT_FALSE(cove.is_changed());
}

TEST(Escape, Cve20195736TheExecutableOfPid1CannotBeOpened) {
  Attack attack("open /proc/1/exe r ; open /proc/1/exe rw ; exec /proc/1/exe version");
  EXPECT_THAT(attack.in_naive_container(), ::testing::StartsWith("open: ok\n"));
  for (const char* user : {"1000", "root"}) {
    attack.spec.user = user;
    EXPECT_EQ(attack.inside(), "open: EACCES\nopen: EACCES\nexec: EACCES\n") << user;
    SandboxSpec spec = attack.spec;
    spec.command = {"/proc/1/exe", "version"};
    EXPECT_EQ(refusal(run(spec)), "command_not_executable, exec, EACCES") << user;
  }
}

}  // namespace
}  // namespace cove::testing
