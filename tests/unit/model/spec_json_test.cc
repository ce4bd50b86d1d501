// The JSON form of a spec: what is read, what is refused and how that is said, and that both ways
// lose nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <clocale>

#include "cove/json.h"
#include "runtime/model/check_spec.h"
#include "runtime/model/fragment.h"
#include "runtime/model/wire.h"
#include "tests/unit/model/sample.h"

namespace cove {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

SandboxSpec read_ok(const std::string& text) {
  Result<SandboxSpec> spec = spec_from_json(text);
  EXPECT_TRUE(spec) << text << "\n" << (spec ? "" : spec.error().message());
  return spec ? *spec : SandboxSpec{};
}

// A spec that has an image and these members.
SandboxSpec read_with(const std::string& members) {
  return read_ok(R"({"image":"i",)" + members + "}");
}

std::vector<Error> mistakes_of(std::string_view text) {
  Result<SandboxSpec> spec = spec_from_json(text);
  if (spec) return {};
  std::vector<Error> all{spec.error()};
  all.front().more.clear();
  for (const Error& other : spec.error().more) all.push_back(other);
  return all;
}

std::vector<std::string> places_of(std::string_view text) {
  std::vector<std::string> places;
  for (const Error& one : mistakes_of(text)) places.push_back(one.where);
  return places;
}

// --- every field ---

TEST(SpecJson, ReadsEveryField) {
  const SandboxSpec spec = read_ok(R"json({
    "spec_version": 1, "description": "all of it", "profile": "strict", "image": "python-demo",
    "entrypoint": ["/bin/env"], "command": ["python3", "-c", "print(1)"],
    "workdir": "/w", "user": "1000:1000", "hostname": "box",
    "env": {"A": "1", "B": ""}, "env_allowlist": ["LANG"],
    "stdin": {"data": "AAH/", "encoding": "base64"}, "tty": true,
    "mounts": [{"host_path": "/srv", "container_path": "/data", "read_only": true},
               {"type": "tmpfs", "container_path": "/t", "size": "16m"}],
    "resources": {"cpus": 1.5, "memory": "512m", "swap": 0, "pids_limit": 64, "disk": 1048576,
                  "output": "1k", "output_policy": "head+tail", "open_files": 100, "cpu_weight": 1,
                  "io_weight": 10000,
                  "rlimits": {"core": 0, "stack": {"soft": 8388608, "hard": "unlimited"}, "as": "unlimited"}},
    "timeout": 1.5, "cpu_timeout": "200ms", "grace": 0, "network": "open",
    "private_networks": "blocked", "read_only": true, "private_rootfs": true,
    "seccomp": "/etc/filter.json", "require": {"memory": "preferred", "seccomp": "required"}})json");
  EXPECT_EQ(spec.spec_version, 1);
  EXPECT_EQ(spec.description, "all of it");
  EXPECT_EQ(spec.profile, "strict");
  EXPECT_EQ(spec.image, "python-demo");
  EXPECT_FALSE(spec.rootfs);
  EXPECT_THAT(*spec.entrypoint, ElementsAre("/bin/env"));
  EXPECT_THAT(*spec.command, ElementsAre("python3", "-c", "print(1)"));
  EXPECT_EQ(spec.workdir, "/w");
  EXPECT_EQ(spec.user, "1000:1000");
  EXPECT_EQ(spec.hostname, "box");
  EXPECT_THAT(spec.env, ElementsAre(Pair("A", "1"), Pair("B", "")));
  EXPECT_THAT(spec.env_allowlist, ElementsAre("LANG"));
  EXPECT_EQ(std::get<StdinData>(*spec.stdin_source).bytes, std::string("\0\1\xff", 3));
  EXPECT_EQ(spec.tty, true);
  ASSERT_EQ(spec.mounts.size(), 2U);
  EXPECT_EQ(spec.mounts[0].type, MountType::bind);
  EXPECT_EQ(spec.mounts[0].host_path, "/srv");
  EXPECT_EQ(spec.mounts[0].container_path, "/data");
  EXPECT_TRUE(spec.mounts[0].read_only);
  EXPECT_EQ(spec.mounts[1].type, MountType::tmpfs);
  EXPECT_FALSE(spec.mounts[1].read_only);
  EXPECT_EQ(spec.mounts[1].size, mebibytes(16));
  EXPECT_EQ(spec.resources.cpus, 1.5);
  EXPECT_EQ(spec.resources.memory, mebibytes(512));
  EXPECT_EQ(spec.resources.swap, Bytes{0});
  EXPECT_EQ(spec.resources.pids_limit, 64);
  EXPECT_EQ(spec.resources.disk, mebibytes(1));
  EXPECT_EQ(spec.resources.output, kibibytes(1));
  EXPECT_EQ(spec.resources.output_policy, OutputPolicy::head_tail);
  EXPECT_EQ(spec.resources.open_files, 100);
  EXPECT_EQ(spec.resources.cpu_weight, 1);
  EXPECT_EQ(spec.resources.io_weight, 10000);
  EXPECT_EQ(spec.resources.rlimits.at("core").soft, 0U);
  EXPECT_EQ(spec.resources.rlimits.at("core").hard, 0U);
  EXPECT_EQ(spec.resources.rlimits.at("stack").soft, 8388608U);
  EXPECT_EQ(spec.resources.rlimits.at("stack").hard, kRlimitInfinity);
  EXPECT_EQ(spec.resources.rlimits.at("as").soft, kRlimitInfinity);
  EXPECT_EQ(spec.timeout, std::chrono::milliseconds(1500));
  EXPECT_EQ(spec.cpu_timeout, std::chrono::milliseconds(200));
  EXPECT_EQ(spec.grace, Duration::zero());
  EXPECT_EQ(spec.network, NetworkMode::open);
  EXPECT_EQ(spec.private_networks, PrivateNetworks::blocked);
  EXPECT_EQ(spec.read_only, true);
  EXPECT_EQ(spec.private_rootfs, true);
  EXPECT_EQ(spec.seccomp, "/etc/filter.json");
  EXPECT_EQ(spec.require.at(Protection::memory), Requirement::preferred);
  EXPECT_EQ(spec.require.at(Protection::seccomp), Requirement::required);
}

TEST(SpecJson, TellsGivenFromNotGiven) {
  const SandboxSpec bare = read_ok(R"({"rootfs":"/"})");
  EXPECT_EQ(bare.rootfs, "/");
  EXPECT_FALSE(bare.command);
  EXPECT_FALSE(bare.resources.memory);
  EXPECT_FALSE(bare.stdin_source);
  const SandboxSpec empty_list = read_with(R"("command":[])");
  ASSERT_TRUE(empty_list.command);
  EXPECT_THAT(*empty_list.command, IsEmpty());
  const SandboxSpec nulls =
      read_with(R"("command":null,"timeout":null,"resources":{"memory":null},"stdin":null)");
  EXPECT_FALSE(nulls.command);
  EXPECT_FALSE(nulls.timeout);
  EXPECT_FALSE(nulls.resources.memory);
  EXPECT_FALSE(nulls.stdin_source);
}

TEST(SpecJson, ReadsTheFormsOfStdin) {
  EXPECT_TRUE(std::holds_alternative<StdinNone>(*read_with(R"("stdin":"none")").stdin_source));
  EXPECT_TRUE(
      std::holds_alternative<StdinInherit>(*read_with(R"("stdin":"inherit")").stdin_source));
  EXPECT_EQ(std::get<StdinData>(*read_with(R"("stdin":{"data":"a\u0000b"})").stdin_source).bytes,
            std::string("a\0b", 3));
  EXPECT_EQ(
      std::get<StdinData>(*read_with(R"("stdin":{"encoding":"base64","data":""})").stdin_source)
          .bytes,
      "");
}

TEST(SpecJson, ReadsTheFormsOfNumbers) {
  EXPECT_EQ(read_with(R"("resources":{"pids_limit":256.0})").resources.pids_limit, 256);
  EXPECT_EQ(read_with(R"("resources":{"memory":1e9})").resources.memory, Bytes{1000000000});
  EXPECT_EQ(read_with(R"("resources":{"cpus":2})").resources.cpus, 2.0);
  EXPECT_EQ(read_with(R"("resources":{"swap":9223372036854775807})").resources.swap,
            Bytes{9223372036854775807U});
  EXPECT_EQ(read_with(R"("timeout":2)").timeout, std::chrono::seconds(2));
  EXPECT_EQ(read_with(R"("timeout":1e-9)").timeout, Duration(1));
  EXPECT_EQ(read_with(R"("timeout":315359999.999999999)").timeout,
            Duration(315'359'999'999'999'999));
  EXPECT_EQ(read_with(R"("timeout":"2m")").timeout, std::chrono::minutes(2));
}

TEST(SpecJson, ReadsBytesThatAreNoText) {
  const SandboxSpec spec =
      read_with(R"("command":["cat",{"base64":"/2E="}],"env":{"X":{"base64":"gA=="}})");
  EXPECT_THAT(*spec.command, ElementsAre("cat",
                                         "\xff"
                                         "a"));
  EXPECT_EQ(spec.env.at("X"), "\x80");
}

// --- every mistake ---

struct Mistake {
  std::string members;  // behind {"image":"i",
  std::string where;
  std::string what;  // a part of it
  std::string hint;  // a part of it
};

std::vector<Mistake> type_mistakes() {
  return {
      {R"("spec_version":"1")", "$.spec_version", "must be a whole number, not a string",
       "write 1 without quotes"},
      {R"("profile":1)", "$.profile", "must be a string, not a number", "quotes"},
      {R"("command":"ls -l")", "$.command", "must be a list, not a string",
       R"(["sh", "-c", "..."])"},
      {R"("entrypoint":"ls")", "$.entrypoint", "must be a list, not a string",
       R"(["sh", "-c", "..."])"},
      {R"("command":["a",1])", "$.command[1]", "must be a string, not a number", "quotes"},
      {R"("command":["a",null])", "$.command[1]", "must be a string, not null", ""},
      {R"("command":[["a"]])", "$.command[0]", "must be a string, not a list", ""},
      {R"("command":[{"base64":"Z"}])", "$.command[0].base64", "is not base64", "padded"},
      {R"("command":[{"base64":1}])", "$.command[0].base64", "must be a string", ""},
      {R"("command":[{"base32":""}])", "$.command[0]", "must be a string, not an object", ""},
      {R"("workdir":["/"])", "$.workdir", "must be a string, not a list", ""},
      {R"("user":1000)", "$.user", "must be a string, not a number", "put it in quotes"},
      {R"("env":["A=1"])", "$.env", "must be an object, not a list", R"({"NAME": ...})"},
      {R"("env":null)", "$.env", "must be an object, not null", ""},
      {R"("env":{"A":1})", "$.env.A", "must be a string, not a number", "quotes"},
      {R"("env":{"A B":true})", "$.env[\"A B\"]", "must be a string, not a boolean", ""},
      {R"("env_allowlist":"LANG")", "$.env_allowlist", "must be a list, not a string",
       "write a list"},
      {R"("stdin":"file")", "$.stdin", "\"file\" is not a source of input", "\"none\""},
      {R"("stdin":true)", "$.stdin", "must be a string or an object, not a boolean", "\"inherit\""},
      {R"("stdin":{})", "$.stdin.data", "is missing", ""},
      {R"("stdin":{"data":1})", "$.stdin.data", "must be a string, not a number", ""},
      {R"("stdin":{"data":"Zg","encoding":"base64"})", "$.stdin.encoding", "not base64", "padded"},
      {R"("stdin":{"data":"x","encoding":"utf-8"})", "$.stdin.encoding",
       "only encoding is \"base64\"", "leave it out"},
      {R"("stdin":{"data":"x","encodng":"base64"})", "$.stdin.encodng", "unknown field",
       "\"encoding\""},
      {R"("mounts":{})", "$.mounts", "must be a list, not an object", ""},
      {R"("mounts":["/a:/b:ro"])", "$.mounts[0]", "must be an object, not a string", "host_path"},
      {R"("mounts":[{"type":"volume","container_path":"/d"}])", "$.mounts[0].type",
       "\"volume\" is not a mount type", "known: bind, tmpfs"},
      {R"("mounts":[{"host_path":"/a","container_path":"/d","read_only":"true"}])",
       "$.mounts[0].read_only", "must be true or false, not a string", "without quotes"},
      {R"("mounts":[{"host_path":"/a","container_path":"/d","readonly":true}])",
       "$.mounts[0].readonly", "unknown field", "\"read_only\""},
      {R"("resources":[])", "$.resources", "must be an object, not a list", ""},
      {R"("resources":{"cpus":"2"})", "$.resources.cpus", "must be a number, not a string",
       "write 2 without quotes"},
      {R"("resources":{"memory":true})", "$.resources.memory", "must be a size, not a boolean",
       "\"512m\""},
      {R"("resources":{"memory":"512x"})", "$.resources.memory", "\"512x\" has an unknown suffix",
       "512m"},
      {R"("resources":{"memory":-1})", "$.resources.memory", "must not be negative", ""},
      {R"("resources":{"memory":-1.5})", "$.resources.memory", "must not be negative", ""},
      {R"("resources":{"memory":1.5})", "$.resources.memory",
       "must be a whole number of bytes, not 1.5", "\"1.5g\""},
      {R"("resources":{"memory":9223372036854775808})", "$.resources.memory",
       "more than a size can be", "9223372036854775807"},
      {R"("resources":{"memory":1e300})", "$.resources.memory", "more than a size can be", ""},
      {R"("resources":{"pids_limit":1.5})", "$.resources.pids_limit",
       "must be a whole number, not 1.5", ""},
      {R"("resources":{"pids_limit":18446744073709551615})", "$.resources.pids_limit",
       "must be from -9223372036854775808 to 9223372036854775807", ""},
      {R"("resources":{"pids_limit":99999999999999999999999999})", "$.resources.pids_limit",
       "must be from", ""},
      {R"("resources":{"pids_limit":-9223372036854775809})", "$.resources.pids_limit",
       "must be from", ""},
      {R"("resources":{"output_policy":"middle"})", "$.resources.output_policy",
       "\"middle\" is not an output policy", "head, tail, head+tail, kill"},
      {R"("resources":{"rlimits":[]})", "$.resources.rlimits", "must be an object", ""},
      {R"("resources":{"rlimits":{"core":"0"}})", "$.resources.rlimits.core",
       "\"0\" is not a limit", "unlimited"},
      {R"("resources":{"rlimits":{"core":[0,0]}})", "$.resources.rlimits.core", "not a list", ""},
      {R"("resources":{"rlimits":{"core":-1}})", "$.resources.rlimits.core",
       "must be from 0 to 18446744073709551615", ""},
      {R"("resources":{"rlimits":{"core":{"soft":0,"hard":true}}})",
       "$.resources.rlimits.core.hard", "not a boolean", ""},
      {R"("resources":{"rlimits":{"core":{"sofft":0}}})", "$.resources.rlimits.core.sofft",
       "unknown field", "\"soft\""},
      {R"("resources":{"memroy":"1g"})", "$.resources.memroy", "unknown field",
       "did you mean \"memory\"?"},
      {R"("resources":{"timeout":5})", "$.resources.timeout", "unknown field", "top level"},
      {R"("memory":"1g")", "$.memory", "unknown field", "\"resources\""},
      {R"("timeout":"5 s")", "$.timeout", "unknown unit", "1.5s"},
      {R"("timeout":[])", "$.timeout", "must be a time, not a list", "\"1.5s\""},
      {R"("timeout":-1)", "$.timeout", "must not be negative", ""},
      {R"("timeout":-0.5)", "$.timeout", "must not be negative", ""},
      {R"("timeout":1e30)", "$.timeout", "more than ten years", "no limit"},
      {R"("timeout":18446744073709551615)", "$.timeout", "more than ten years", "no limit"},
      {R"("network":"bridge")", "$.network", "\"bridge\" is not a network mode",
       "known: none, open, host"},
      {R"("network":false)", "$.network", "must be a string, not a boolean",
       "known: none, open, host"},
      {R"("private_networks":true)", "$.private_networks", "must be a string, not a boolean",
       "known: reachable, blocked"},
      {R"("read_only":1)", "$.read_only", "must be true or false, not a number", ""},
      {R"("require":{"memroy":"off"})", "$.require.memroy", "\"memroy\" is not a protection",
       "\"memory\""},
      {R"("require":{"memory":"maybe"})", "$.require.memory", "\"maybe\" is not a requirement",
       "known: required, preferred, off"},
      {R"("require":["memory"])", "$.require", "must be an object, not a list", ""},
      {R"("cmd":[])", "$.cmd", "unknown field", "did you mean \"command\"?"},
      {R"("gpu":1)", "$.gpu", "unknown field", ""},
      {R"("":1)", "$[\"\"]", "unknown field", ""},
      {R"("a\n\u001b":1)", "$[\"a\\x0a\\x1b\"]", "unknown field", ""},
  };
}

std::vector<Mistake> value_mistakes() {
  return {
      {R"("spec_version":2)", "$.spec_version", "version 2 is not known", "version 1"},
      {R"("profile":"")", "$.profile", "is empty", ""},
      {R"("profile":"a\u0000")", "$.profile", "NUL", ""},
      {R"("seccomp":"")", "$.seccomp", "is empty", ""},
      {R"("rootfs":"/r")", "$.rootfs", "image and rootfs are both given", "one of the two"},
      {R"("command":["a\u0000b"])", "$.command[0]", "NUL", ""},
      {R"("entrypoint":["ok","a\u0000b"])", "$.entrypoint[1]", "NUL", ""},
      {R"("entrypoint":[""])", "$.entrypoint[0]", "empty", ""},
      {R"("workdir":"")", "$.workdir", "is empty", "absolute"},
      {R"("workdir":"work")", "$.workdir", "\"work\" is not an absolute path", "begin with /"},
      {R"("workdir":"/a/../b")", "$.workdir", "\"..\"", ""},
      {R"("workdir":"/a\u0000b")", "$.workdir", "NUL", ""},
      {R"("user":"")", "$.user", "the user is empty", "uid:gid"},
      {R"("user":"a:")", "$.user", "the group is empty", ""},
      {R"("user":":b")", "$.user", "the user is empty", ""},
      {R"("user":"a:b:c")", "$.user", "\"b:c\" is no group name", ""},
      {R"("user":"-1")", "$.user", "\"-1\" is no user name and no id", ""},
      {R"("user":"+0")", "$.user", "no user name", ""},
      {R"("user":"a b")", "$.user", "no user name", ""},
      {R"("user":"a\u0000")", "$.user", "no user name", ""},
      {R"("user":"../x")", "$.user", "no user name", ""},
      {R"("user":"4294967295")", "$.user", "more than an id can be", "4294967294"},
      {R"("user":"0:99999999999999999999999")", "$.user", "more than an id can be", ""},
      {R"("hostname":"")", "$.hostname", "1 to 63 characters", ""},
      {R"("hostname":")" + std::string(64, 'a') + "\"", "$.hostname", "1 to 63 characters", ""},
      {R"("hostname":"a_b")", "$.hostname", "cannot have", "hyphens"},
      {R"("hostname":"-a")", "$.hostname", "begin and end", ""},
      {R"("hostname":"a.")", "$.hostname", "begin and end", ""},
      {R"("hostname":"a\u0000")", "$.hostname", "cannot have", ""},
      {R"("env":{"":"x"})", "$.env[\"\"]", "name of a variable is empty", ""},
      {R"("env":{"A=B":"x"})", "$.env[\"A=B\"]", "\"=\"", "behind the name"},
      {R"("env":{"A\u0000":"x"})", "$.env[\"A\\x00\"]", "NUL", ""},
      {R"("env":{"A":"x\u0000"})", "$.env.A", "NUL", ""},
      {R"("env_allowlist":["A","B=1"])", "$.env_allowlist[1]", "\"=\"", ""},
      {R"("env_allowlist":[""])", "$.env_allowlist[0]", "empty", ""},
      {R"("mounts":[{"container_path":"/d"}])", "$.mounts[0].host_path", "needs a host_path",
       "tmpfs"},
      {R"("mounts":[{"host_path":"data","container_path":"/d"}])", "$.mounts[0].host_path",
       "not an absolute path", "begin with /"},
      {R"("mounts":[{"host_path":"~/data","container_path":"/d"}])", "$.mounts[0].host_path",
       "not an absolute path", "~ is the shell's"},
      {R"("mounts":[{"host_path":"/a\u0000","container_path":"/d"}])", "$.mounts[0].host_path",
       "NUL", ""},
      {R"("mounts":[{"host_path":"/a"}])", "$.mounts[0].container_path", "is missing", "absolute"},
      {R"("mounts":[{"host_path":"/a","container_path":"d"}])", "$.mounts[0].container_path",
       "not an absolute path", ""},
      {R"("mounts":[{"host_path":"/a","container_path":"/d/.."}])", "$.mounts[0].container_path",
       "\"..\"", ""},
      {R"("mounts":[{"host_path":"/a","container_path":"/"}])", "$.mounts[0].container_path",
       "root itself", "rootfs"},
      {R"("mounts":[{"host_path":"/a","container_path":"//./"}])", "$.mounts[0].container_path",
       "root itself", "rootfs"},
      {R"("mounts":[{"host_path":"/a","container_path":"/proc"}])", "$.mounts[0].container_path",
       "lies in /proc", ""},
      {R"("mounts":[{"host_path":"/a","container_path":"//proc/./1"}])",
       "$.mounts[0].container_path", "lies in /proc", ""},
      {R"("mounts":[{"host_path":"/a","container_path":"/sys/fs"}])", "$.mounts[0].container_path",
       "lies in /sys", ""},
      {R"("mounts":[{"host_path":"/a","container_path":"/dev/shm"}])", "$.mounts[0].container_path",
       "lies in /dev", ""},
      {R"("mounts":[{"host_path":"/a","container_path":"/d\u0000"}])", "$.mounts[0].container_path",
       "NUL", ""},
      {R"("mounts":[{"host_path":"/a","container_path":"/)" + std::string(256, 'x') + "\"}]",
       "$.mounts[0].container_path", "file name", ""},
      {R"("mounts":[{"host_path":"/a","container_path":"/d","size":4096}])", "$.mounts[0].size",
       "only a tmpfs has a size", ""},
      {R"("mounts":[{"type":"tmpfs","host_path":"/a","container_path":"/d"}])",
       "$.mounts[0].host_path", "no host_path", ""},
      {R"("mounts":[{"type":"tmpfs","container_path":"/d","size":0}])", "$.mounts[0].size",
       "at least 4 KiB", ""},
      {R"("mounts":[{"type":"tmpfs","container_path":"/d"},{"type":"tmpfs","container_path":"//d/."}])",
       "$.mounts[1].container_path", "earlier mount", ""},
      {R"("resources":{"cpus":0})", "$.resources.cpus", "from 0.01 to 1024", ""},
      {R"("resources":{"cpus":1024.5})", "$.resources.cpus", "from 0.01 to 1024", ""},
      {R"("resources":{"memory":"1m"})", "$.resources.memory", "at least 4 MiB", ""},
      {R"("resources":{"disk":0})", "$.resources.disk", "at least 4 KiB", ""},
      {R"("resources":{"memory":"64m","disk":"64m"})", "$.resources.disk",
       "64 MiB is not less than memory, 64 MiB", "less disk"},
      {R"("resources":{"pids_limit":0})", "$.resources.pids_limit", "from 1 to 4194304", ""},
      {R"("resources":{"pids_limit":-1})", "$.resources.pids_limit", "from 1 to 4194304", ""},
      {R"("resources":{"pids_limit":4194305})", "$.resources.pids_limit", "from 1 to 4194304", ""},
      {R"("resources":{"open_files":2})", "$.resources.open_files", "from 3 to 1048576", ""},
      {R"("resources":{"open_files":1048577})", "$.resources.open_files", "from 3 to 1048576", ""},
      {R"("resources":{"cpu_weight":0})", "$.resources.cpu_weight", "from 1 to 10000", ""},
      {R"("resources":{"io_weight":10001})", "$.resources.io_weight", "from 1 to 10000", ""},
      {R"("resources":{"rlimits":{"RLIMIT_CORE":0}})", "$.resources.rlimits.RLIMIT_CORE",
       "setrlimit(2)", "\"core\""},
      {R"("resources":{"rlimits":{"files":0}})", "$.resources.rlimits.files", "setrlimit(2)", ""},
      {R"("resources":{"rlimits":{"core":{"soft":2,"hard":1}}})", "$.resources.rlimits.core",
       "above the hard limit", ""},
      {R"("timeout":0)", "$.timeout", "more than 0", "no limit"},
      {R"("timeout":1e-10)", "$.timeout", "more than 0", "no limit"},
      {R"("cpu_timeout":"0")", "$.cpu_timeout", "more than 0", "no limit"},
      {R"("network":"host")", "$.network", "asked for twice", "\"network\": \"off\""},
      {R"("network":"host","require":{"network":"preferred"})", "$.network", "asked for twice", ""},
  };
}

void expect_one_mistake(const Mistake& expected) {
  const std::string text = R"({"image":"i",)" + expected.members + "}";
  const std::vector<Error> found = mistakes_of(text);
  ASSERT_EQ(found.size(), 1U) << text << (found.size() > 1 ? found[1].message() : " was accepted");
  EXPECT_EQ(found[0].code, ErrorCode::invalid_argument) << text;
  EXPECT_EQ(found[0].step, "spec") << text;
  EXPECT_EQ(found[0].where, expected.where) << text;
  EXPECT_THAT(found[0].what, HasSubstr(expected.what)) << text;
  EXPECT_THAT(found[0].hint, HasSubstr(expected.hint)) << text;
}

TEST(SpecMistakes, OfTypeAreEachToldOnceWithTheirPath) {
  for (const Mistake& mistake : type_mistakes()) expect_one_mistake(mistake);
}

TEST(SpecMistakes, OfValueAreEachToldOnceWithTheirPath) {
  for (const Mistake& mistake : value_mistakes()) expect_one_mistake(mistake);
}

TEST(SpecMistakes, AtTheirLimitsAreNone) {
  for (
      const char* members :
      {R"("resources":{"cpus":0.01})",
       R"("resources":{"cpus":1024})",
       R"("resources":{"memory":4194304})",
       R"("resources":{"pids_limit":1})",
       R"("resources":{"pids_limit":4194304})",
       R"("resources":{"open_files":3})",
       R"("resources":{"open_files":1048576})",
       R"("resources":{"cpu_weight":10000,"io_weight":1})",
       R"("resources":{"output":0})",
       R"("resources":{"disk":4096})",
       R"("resources":{"memory":"64m","disk":67108863})",
       R"("resources":{"rlimits":{"core":{"soft":1,"hard":1}}})",
       R"("timeout":1e-9)",
       R"("timeout":315360000)",
       R"("grace":315360000)",
       R"("user":"4294967294:0")",
       R"("hostname":"A-1.b")",
       R"("network":"host","require":{"network":"off"})",
       R"("mounts":[{"host_path":"/../a","container_path":"/procs"},{"host_path":"/a","container_path":"/d..e"}])",
       R"("command":[""])",
       R"("entrypoint":[])",
       R"("user":"j\u00fcrgen")"}) {
    read_with(members);
  }
}

TEST(SpecMistakes, ImageOrRootfsMustBeGiven) {
  EXPECT_THAT(places_of("{}"), ElementsAre("$.image"));
  EXPECT_THAT(places_of(R"({"image":""})"), ElementsAre("$.image"));
  EXPECT_THAT(places_of(R"({"rootfs":"here"})"), ElementsAre("$.rootfs"));
  EXPECT_THAT(places_of(R"({"image":null,"rootfs":null})"), ElementsAre("$.image"));
  // A field that was given wrongly is not said to be missing as well.
  EXPECT_THAT(places_of(R"({"image":5})"), ElementsAre("$.image"));
  EXPECT_THAT(places_of(R"({"rootfs":5})"), ElementsAre("$.rootfs"));
}

TEST(SpecMistakes, AreAllToldAtOnceInOneError) {
  EXPECT_THAT(
      places_of(
          R"({"image":"i","image":"j","comand":[],"timeout":"x","resources":{"memory":1,"cpu":1},
                            "mounts":[{"host_path":"a","container_path":"/"},{}],"hostname":"_"})"),
      ElementsAre("$.image", "$.resources.cpu", "$.timeout", "$.comand", "$.hostname",
                  "$.mounts[0].host_path", "$.mounts[0].container_path", "$.mounts[1].host_path",
                  "$.mounts[1].container_path", "$.resources.memory"));
}

TEST(SpecMistakes, AreNotToldTwiceWhereAValueCouldNotBeRead) {
  EXPECT_THAT(places_of(R"({"image":"i","resources":{"memory":"x","disk":"1g"}})"),
              ElementsAre("$.resources.memory"));
  EXPECT_THAT(places_of(R"({"image":"i","mounts":["/a:/b"]})"), ElementsAre("$.mounts[0]"));
  EXPECT_THAT(places_of(R"({"image":"i","resources":{"rlimits":{"core":{"soft":5,"hard":"x"}}}})"),
              ElementsAre("$.resources.rlimits.core.hard"));
}

TEST(SpecMistakes, OfDuplicateNamesAreToldWithTheirPath) {
  EXPECT_THAT(places_of(R"({"image":"i","env":{"A":"1","B":"2","A":"3"}})"),
              ElementsAre("$.env.A"));
  EXPECT_THAT(
      places_of(
          R"({"image":"i","mounts":[{"host_path":"/a","container_path":"/b","host_path":"/c"}]})"),
      ElementsAre("$.mounts[0].host_path"));
  EXPECT_THAT(places_of(R"({"image":"i","x":{"y":1,"y":2}})"), ElementsAre("$.x.y", "$.x"));
}

TEST(SpecMistakes, InCodeGiveTheSameErrorsAsInJson) {
  SandboxSpec spec;
  spec.resources.memory = Bytes{1};
  spec.resources.cpus = std::numeric_limits<double>::quiet_NaN();
  spec.resources.swap = Bytes{~std::uint64_t{0}};
  spec.timeout = Duration(-1);
  spec.grace = Duration(-1);
  spec.cpu_timeout = std::chrono::hours(24 * 365 * 11);
  spec.env = {{"\xff", "x"}};
  std::vector<Error> problems;
  check_spec(spec, problems);
  std::vector<std::string> places;
  for (const Error& problem : problems) places.push_back(problem.where);
  EXPECT_THAT(places,
              ElementsAre("$.image", "$.env[\"\\xff\"]", "$.resources.cpus", "$.resources.memory",
                          "$.resources.swap", "$.timeout", "$.cpu_timeout", "$.grace"));
  const Error error = one_error(std::move(problems));
  EXPECT_EQ(error.where, "$.image");
  EXPECT_EQ(error.more.size(), 7U);
}

TEST(SpecFragment, MayLackTheRootAndNothingElse) {
  EXPECT_TRUE(spec_fragment_from_json("{}"));
  EXPECT_TRUE(spec_fragment_from_json(R"({"resources":{"memory":"64m"}})"));
  EXPECT_FALSE(spec_fragment_from_json(R"({"resources":{"memory":"1"}})"));
  EXPECT_FALSE(spec_fragment_from_json(R"({"image":"i","rootfs":"/"})"));
}

// --- documents that are none ---

struct BadDocument {
  std::string text;
  std::string where;
  std::string what;
};

TEST(SpecDocument, ThatIsNoneIsToldWithLineAndPath) {
  const BadDocument documents[] = {
      {"", "$", "line 1, column"},
      {" ", "$", "not valid JSON"},
      {"{", "$", "not valid JSON"},
      {"{\"image\":\"i\"} x", "$", "not valid JSON at line 1"},
      {"{\"image\":\"i\"}{}", "$", "not valid JSON"},
      {"{\"image\":\n\n \"i\",}", "$", "at line 3"},
      {"{'image':'i'}", "$", "not valid JSON at line 1, column 2"},
      {"{\"image\": nul}", "$.image", "not valid JSON"},
      {"{\"image\":\"\x80\"}", "$.image", "ill-formed UTF-8"},
      {"{\"image\":\"\xed\xa0\x80\"}", "$.image", "ill-formed UTF-8"},
      {"{\"image\":\"\\ud800\"}", "$.image", "not valid JSON"},
      {"{\"image\":\"a\nb\"}", "$.image", "not valid JSON"},
      {"{\"image\":\"i\",\"resources\":{\"memory\":1e400}}", "$.resources.memory",
       "number overflow"},
      {"{\"image\":\"i\",\"resources\":{\"memory\":NaN}}", "$.resources.memory", "not valid JSON"},
      {"{\"image\":\"i\",\"timeout\":01}", "$", "not valid JSON"},
      {"{\"image\":\"i\",/* c */}", "$", "not valid JSON"},
      {std::string("{\"image\":\"i\0\"}", 14), "$.image", "not valid JSON"},
      {"[]", "$", "must be an object, not a list"},
      {"\"image\"", "$", "must be an object, not a string"},
      {"null", "$", "must be an object, not null"},
      {"5", "$", "must be an object, not a number"},
  };
  for (const BadDocument& document : documents) {
    const std::vector<Error> found = mistakes_of(document.text);
    ASSERT_EQ(found.size(), 1U) << document.text;
    EXPECT_EQ(found[0].code, ErrorCode::invalid_argument) << document.text;
    EXPECT_EQ(found[0].where, document.where) << document.text << found[0].message();
    EXPECT_THAT(found[0].what, HasSubstr(document.what)) << document.text;
    EXPECT_LT(found[0].message().size(), 500U) << document.text;
  }
}

TEST(SpecDocument, IsReadTo64LevelsAndNotDeeper) {
  const auto nested = [](std::size_t depth) {
    return R"({"image":"i","x":)" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  EXPECT_THAT(places_of(nested(64)), ElementsAre("$.x"));  // read, and then unknown
  const std::vector<Error> found = mistakes_of(nested(65));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].what, "nested deeper than 64");
  EXPECT_THAT(found[0].where, HasSubstr("$.x[0][0]"));
  EXPECT_FALSE(spec_from_json(std::string(1 << 20, '[')));
}

TEST(SpecDocument, OfOneMebibyteIsReadAndNoLargerOne) {
  const auto sized = [](std::size_t size) {
    const std::string head = R"({"image":"i","command":["a",")", tail = "\"]}";
    return head + std::string(size - head.size() - tail.size(), 'x') + tail;
  };
  EXPECT_TRUE(spec_from_json(sized(1 << 20)));
  const std::vector<Error> found = mistakes_of(sized((1 << 20) + 1));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found[0].what, HasSubstr("1048577 bytes"));
}

TEST(SpecDocument, FullOfMistakesGetsAHundredOfThem) {
  std::string text = R"({"image":"i")";
  for (int i = 0; i < 60000; ++i) text += ",\"u" + std::to_string(i) + "\":1";
  text += "}";
  ASSERT_LT(text.size(), std::size_t{1} << 20);
  const std::vector<Error> found = mistakes_of(text);
  ASSERT_EQ(found.size(), 101U);
  EXPECT_EQ(found[100].what, "and 59900 more mistakes");
}

TEST(SpecDocument, IsReadInAnyLocale) {
  const std::string before = std::setlocale(LC_ALL, nullptr);
  if (!std::setlocale(LC_ALL, "de_DE.UTF-8")) GTEST_SKIP() << "needs the locale de_DE.UTF-8";
  const Result<SandboxSpec> spec =
      spec_from_json(R"({"image":"i","timeout":1.5,"resources":{"cpus":0.5}})");
  const std::string text = spec ? to_json(*spec) : "";
  std::setlocale(LC_ALL, before.c_str());
  EXPECT_EQ(text, R"({"image":"i","resources":{"cpus":0.5},"timeout":1.5})");
}

// --- writing ---

TEST(SpecJson, IsWrittenWithNothingThatWasNotGiven) {
  SandboxSpec spec;
  EXPECT_EQ(to_json(spec), "{}");
  spec.image = "i";
  spec.command.emplace();
  spec.timeout = std::chrono::milliseconds(1500);
  spec.resources.memory = mebibytes(1);
  spec.mounts = {MountSpec{MountType::tmpfs, "", "/t", false, {}}};
  spec.resources.rlimits = {{"core", {0, kRlimitInfinity}}};
  EXPECT_EQ(
      to_json(spec),
      R"({"image":"i","command":[],"mounts":[{"type":"tmpfs","container_path":"/t","read_only":false}],)"
      R"("resources":{"memory":1048576,"rlimits":{"core":{"soft":0,"hard":"unlimited"}}},"timeout":1.5})");
}

TEST(SpecJson, IsWrittenForPeople) {
  SandboxSpec spec;
  spec.image = "i";
  spec.command = {"a", "b"};
  spec.env = {{"A", "\xff"}};
  EXPECT_EQ(to_json(spec, Indent::pretty), R"({
  "image": "i",
  "command": ["a", "b"],
  "env": {
    "A": {"base64": "/w=="}
  }
})");
}

TEST(SpecJson, ComesBackWithEveryField) {
  const SandboxSpec spec = full_spec();
  for (const Indent indent : {Indent::none, Indent::pretty}) {
    const Result<SandboxSpec> again = spec_from_json(to_json(spec, indent));
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(encode(*again), encode(spec));
  }
}

TEST(SpecJson, ComesBackForRandomSpecs) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    SandboxSpec spec = RandomSpec(seed).make();
    if (spec.resources.memory && spec.resources.disk) spec.resources.memory = mebibytes(4);
    const std::string text = to_json(spec, seed % 2 == 0 ? Indent::none : Indent::pretty);
    const Result<SandboxSpec> again = spec_from_json(text);
    ASSERT_TRUE(again) << "seed " << seed << "\n" << text << "\n" << again.error().message();
    ASSERT_EQ(encode(*again), encode(spec)) << "seed " << seed << "\n" << text;
    const Result<SandboxSpec> wired = decode<SandboxSpec>(encode(spec));
    ASSERT_TRUE(wired);
    ASSERT_EQ(to_json(*wired), to_json(spec)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace cove
