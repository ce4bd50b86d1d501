// Ordinary programs under each filter: the built-in ones, and Docker's and Podman's default
// profiles.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <tuple>

#include "tests/support/host.h"
#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kDocker = COVE_SOURCE_DIR "/tests/fixtures/seccomp/docker.json";
constexpr const char* kPodman = "/usr/share/containers/seccomp.json";

struct FilterCase {
  const char* name;
  const char* seccomp;
};
constexpr FilterCase kFilters[] = {
    {"Default", "default"}, {"Strict", "strict"}, {"Docker", kDocker}, {"Podman", kPodman}};

void PrintTo(const FilterCase& filter, std::ostream* out) { *out << filter.name; }

struct Tool {
  const char* name;
  const char* needs;  // on the host
  const char* shell;  // for sh -c, in the workspace
  const char* output;
};
constexpr Tool kTools[] = {
    {"PythonWithNumpy", "/usr/lib/python3/dist-packages/numpy",
     "/usr/bin/python3 -c 'import numpy as n; print(int((n.ones((64, 64)) @ n.ones((64, "
     "64))).sum()))'",
     "262144\n"},
    {"PythonWithPandas", "/usr/lib/python3/dist-packages/pandas",
     "/usr/bin/python3 -c 'import pandas; print(int(pandas.DataFrame({\"a\": range(7)}).a.sum()))'",
     "21\n"},
    {"PythonWithProcesses", "/usr/bin/python3", R"sh(/usr/bin/python3 -c '
import asyncio, multiprocessing as m, shutil, subprocess, tempfile, threading
t = threading.Thread(target=print, args=("thread",), kwargs={"flush": True}); t.start(); t.join()
print(subprocess.run(["echo", "child"], capture_output=True, text=True).stdout, end="")
async def main():
    p = await asyncio.create_subprocess_exec("echo", "async", stdout=-1)
    print((await p.communicate())[0].decode(), end="")
asyncio.run(main())
with m.Pool(2) as pool: print(pool.map(abs, [-1, -2]))
with tempfile.TemporaryDirectory() as d:
    open(d + "/a", "w").write("file"); shutil.copy2(d + "/a", d + "/b"); print(open(d + "/b").read())
')sh",
     "thread\nchild\nasync\n[1, 2]\nfile\n"},
    {"Node", "/usr/bin/node", R"sh(/usr/bin/node -e '
const {execSync} = require("child_process"), fs = require("fs"), {Worker} = require("worker_threads");
fs.writeFileSync("a", "file"); console.log(execSync("cat a").toString());
new Worker("console.log(6 * 7)", {eval: true}).on("exit", () => console.log("worker"));
')sh",
     "file\n42\nworker\n"},
    {"Java", "/usr/bin/javac", R"sh(echo '
import java.util.stream.*;
class Main {
  public static void main(String[] args) throws Exception {
    Thread thread = new Thread(() -> System.out.println("thread"));
    thread.start();
    thread.join();
    System.out.println(new String(new ProcessBuilder("echo", "child").start().getInputStream().readAllBytes()));
    System.out.println(IntStream.range(0, 1000000).parallel().filter(i -> i % 7 == 0).count());
  }
}' > Main.java && javac Main.java && java Main)sh",
     "thread\nchild\n\n142858\n"},
    {"Gcc", "/usr/bin/g++",
     "echo '#include <cstdio>\n#include <thread>\n"
     "int main() { std::thread([] { std::puts(\"42\"); }).join(); }' > a.cc && "
     "g++ -pthread -o a a.cc && ./a",
     "42\n"},
    {"StaticMusl", "/usr/bin/musl-gcc",
     "echo '#include <stdio.h>\nint main() { return puts(\"musl\") < 0; }' > a.c && "
     "musl-gcc -static -o a a.c && ./a",
     "musl\n"},
    {"Git", "/usr/bin/git",
     "git init -q r && cd r && echo x > f && git add f && "
     "git -c user.name=n -c user.email=e commit -qm first && git log --format=%s",
     "first\n"},
    {"Apt", "/usr/bin/apt-get", "apt-get --version | head -1 | cut -c 1-4", "apt \n"},
    {"Shell", "/usr/bin/tar",
     "mkdir d && echo x > d/f && ln -s f d/l && tar cf d.tar d && rm -r d && tar xf d.tar && "
     "cat d/l && cp -a d e && chmod 700 e && seq 3 | sort -r | tail -1 && mkfifo p && date > "
     "/dev/null",
     "x\n1\n"},
    {"Gdb", "/usr/bin/gdb",
     "echo 'int main() { return 0; }' > a.c && gcc -g -o a a.c && "
     "gdb -nx -batch -ex 'break main' -ex run -ex 'print 6 * 7' -ex continue ./a 2>/dev/null | "
     "grep -E '^.1 = 42|exited normally' | cut -c 1-7",
     "$1 = 42\n[Inferi\n"},
};

void PrintTo(const Tool& tool, std::ostream* out) { *out << tool.name; }

std::string name_of(const FilterCase& filter, const char* tool) {
  return std::string(filter.name) + "_" + tool;
}

class Compatibility : public ::testing::TestWithParam<std::tuple<FilterCase, Tool>> {};

TEST_P(Compatibility, RunsAndIsSilent) {
  const auto& [filter, tool] = GetParam();
  if (!exists(tool.needs)) GTEST_SKIP() << "needs program " << tool.needs;
  if (*filter.seccomp == '/' && !exists(filter.seccomp))
    GTEST_SKIP() << "needs file " << filter.seccomp;
  SandboxSpec spec;
  spec.rootfs = "/";
  spec.seccomp = filter.seccomp;
  spec.command = {"/bin/sh", "-c", tool.shell};
  const SandboxResult result = run(spec);
  const bool cannot_trace = std::string(filter.name) == "Strict" && std::string(tool.name) == "Gdb";
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  EXPECT_EQ(result.exit_code, 0) << shown(result);
  EXPECT_EQ(output(result), cannot_trace ? "$1 = 42\n" : tool.output) << shown(result);
  EXPECT_EQ(result.stderr_stream.bytes, "");
}

INSTANTIATE_TEST_SUITE_P(Of, Compatibility,
                         ::testing::Combine(::testing::ValuesIn(kFilters),
                                            ::testing::ValuesIn(kTools)),
                         [](const auto& one) {
                           return name_of(std::get<0>(one.param), std::get<1>(one.param).name);
                         });

// ---- Programs that are compiled outside, because their compilers are not where tools are. ----

struct Compiled {
  const char* name;
  const char* compiler;
  const char* source_name;
  const char* source;
  std::vector<std::string> arguments;  // behind the compiler, before the source
};

const Compiled kCompiled[] = {{"Go",
                               "go",
                               "hello.go",
                               R"(package main
import ("fmt"; "os/exec"; "time")
func main() {
  c := make(chan int)
  go func() { time.Sleep(time.Millisecond); c <- 42 }()
  out, err := exec.Command("/bin/echo", "child").Output()
  fmt.Println(<-c, string(out), err)
}
)",
                               {"build", "-o", "hello"}},
                              {"Rust",
                               "rustc",
                               "hello.rs",
                               R"(
use std::{process::Command, thread};
fn main() {
    let n = thread::spawn(|| 42).join().unwrap();
    let out = Command::new("/bin/echo").arg("child").output().unwrap();
    println!("{} {} <nil>", n, String::from_utf8(out.stdout).unwrap());
}
)",
                               {"-O", "-o", "hello"}}};

std::string in_path(const std::string& program) {
  std::istringstream path(std::getenv("PATH") != nullptr ? std::getenv("PATH") : "");
  for (std::string directory; std::getline(path, directory, ':');) {
    if (access((directory + "/" + program).c_str(), X_OK) == 0) return directory + "/" + program;
  }
  return {};
}

class CompiledOutside : public ::testing::TestWithParam<Compiled> {};

TEST_P(CompiledOutside, RunsUnderEveryFilter) {
  COVE_NEEDS_IDMAPPED_BINDS();
  const Compiled& program = GetParam();
  const std::string compiler = in_path(program.compiler);
  if (compiler.empty()) GTEST_SKIP() << "needs program " << program.compiler;
  const TempDirectory directory;
  put_file(directory / program.source_name, program.source);
  std::vector<std::string> command{"/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", directory.path(),
                                   compiler};
  command.insert(command.end(), program.arguments.begin(), program.arguments.end());
  command.push_back(program.source_name);
  CommandOptions options;
  options.environment = {"GOCACHE=" + (directory / "cache"), "GO111MODULE=off"};
  const CommandOutcome outcome = run_command(command, options);
  ASSERT_EQ(outcome.status, 0) << outcome.err;

  for (const FilterCase& filter : kFilters) {
    if (*filter.seccomp == '/' && !exists(filter.seccomp)) continue;
    SandboxSpec spec;
    spec.rootfs = "/";
    spec.seccomp = filter.seccomp;
    spec.mounts = {read_only_bind_of(directory.path(), "/program")};
    spec.command = {"/program/hello"};
    const SandboxResult result = run(spec);
    EXPECT_EQ(output(result), "42 child\n <nil>\n") << filter.name << shown(result);
    EXPECT_EQ(result.stderr_stream.bytes, "") << filter.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Programs, CompiledOutside, ::testing::ValuesIn(kCompiled),
                         [](const auto& one) { return one.param.name; });

TEST(StaticProbe, RunsUnderEveryFilter) {
  for (const FilterCase& filter : kFilters) {
    if (*filter.seccomp == '/' && !exists(filter.seccomp)) continue;
    SandboxSpec spec = probe("print hello ; put /tmp/f x ; read-file /tmp/f ; spawn 0.01 ; wait");
    spec.seccomp = filter.seccomp;
    const SandboxResult result = run(spec);
    EXPECT_EQ(result.exit_code, 0) << filter.name << shown(result);
    EXPECT_THAT(output(result), HasSubstr("hello\nput: ok\nx")) << filter.name;
  }
}

// ---- What strict takes away, and what it leaves. ----

std::string strictly(const std::string& commands) {
  SandboxSpec spec = probe(commands);
  spec.seccomp = "strict";
  const SandboxResult result = run(spec);
  EXPECT_EQ(result.cause, Cause::exited) << shown(result);
  return output(result);
}

TEST(StrictFilter, LeavesNoSocket) {
  EXPECT_EQ(strictly("socket 1 1 ; socket 2 1 ; socket 10 2 ; socket 16 3"),
            "socket 1: EAFNOSUPPORT\nsocket 2: EAFNOSUPPORT\nsocket 10: EAFNOSUPPORT\n"
            "socket 16: EAFNOSUPPORT\n");
}
TEST(StrictFilter, IsWhatTheStrictSandboxHas) {
  SandboxSpec spec = probe("socket 1 1");
  spec.profile = "strict";
  for (const Protection limit :
       {Protection::memory, Protection::swap, Protection::cpus, Protection::pids, Protection::disk})
    spec.require[limit] = Requirement::preferred;
  EXPECT_EQ(output(run(spec)), "socket 1: EAFNOSUPPORT\n");
  spec.seccomp = "default";
  EXPECT_EQ(output(run(spec)), "socket 1: ok\n");
}

}  // namespace
}  // namespace cove::testing
