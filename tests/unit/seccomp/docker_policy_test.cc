#include "runtime/seccomp/docker_policy.h"

#include <algorithm>
#include <fstream>

#include "runtime/seccomp/compile.h"
#include "tests/unit/seccomp/calls.h"

namespace cove {
namespace {

std::string profile_with(const std::string& syscalls, const std::string& more = {}) {
  return R"({"defaultAction": "SCMP_ACT_ERRNO", )" + more + R"("syscalls": [)" + syscalls + "]}";
}

DockerProfile read(const std::string& json, const Circumstances& circumstances = {}) {
  DocumentReader document;
  const auto parsed = document.parse(json);
  EXPECT_TRUE(parsed.has_value()) << json;
  if (!parsed) return {};
  DockerProfile profile = read_docker_profile(document, *parsed, circumstances);
  const auto mistakes = document.mistakes();
  EXPECT_FALSE(mistakes.has_value()) << (mistakes ? mistakes->message() : "");
  return profile;
}

// The calls that have a rule.
std::vector<std::string> named_in(const std::string& json,
                                  const Circumstances& circumstances = {}) {
  std::vector<std::string> names;
  for (const DockerRule& rule : read(json, circumstances).rules) names.push_back(rule.syscall);
  return names;
}

// "where: what" of every mistake.
std::vector<std::string> mistakes(const std::string& json) {
  const auto policy = parse_policy(json);
  EXPECT_FALSE(policy.has_value()) << json;
  if (policy) return {};
  EXPECT_EQ(policy.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(policy.error().step, "seccomp");
  std::vector<std::string> all{policy.error().where + ": " + policy.error().what};
  for (const Error& error : policy.error().more) all.push_back(error.where + ": " + error.what);
  return all;
}

using Strings = std::vector<std::string>;

TEST(DockerPolicy, ReadsEveryPartOfARule) {
  const DockerProfile profile = read(profile_with(R"(
      {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "comment": "why"},
      {"name": "socket", "action": "SCMP_ACT_ERRNO", "errnoRet": 22, "args": [
        {"index": 5, "value": 18446744073709551615, "valueTwo": 3, "op": "SCMP_CMP_MASKED_EQ"},
        {"index": 0, "value": 16, "op": "SCMP_CMP_EQ"}]})"));
  EXPECT_EQ(profile.default_action, (Action{ActionKind::error, EPERM}));
  ASSERT_EQ(profile.rules.size(), 3u);
  EXPECT_EQ(profile.rules[0].syscall, "read");
  EXPECT_EQ(profile.rules[1].syscall, "write");
  EXPECT_EQ(profile.rules[1].action, (Action{ActionKind::allow, 0}));
  EXPECT_TRUE(profile.rules[1].conditions.empty());
  const DockerRule& socket = profile.rules[2];
  EXPECT_EQ(socket.action, (Action{ActionKind::error, EINVAL}));
  ASSERT_EQ(socket.conditions.size(), 2u);
  EXPECT_EQ(socket.conditions[0].index, 5u);
  EXPECT_EQ(socket.conditions[0].value, ~0ull);
  EXPECT_EQ(socket.conditions[0].value_two, 3u);
  EXPECT_EQ(socket.conditions[0].op, DockerOperator::masked_equal);
  EXPECT_EQ(socket.conditions[1].op, DockerOperator::equal);
}

TEST(DockerPolicy, KnowsEveryAction) {
  const std::pair<const char*, Action> cases[] = {
      {"SCMP_ACT_ALLOW", {ActionKind::allow, 0}},
      {"SCMP_ACT_ERRNO", {ActionKind::error, EPERM}},
      {"SCMP_ACT_KILL", {ActionKind::kill_thread, 0}},
      {"SCMP_ACT_KILL_THREAD", {ActionKind::kill_thread, 0}},
      {"SCMP_ACT_KILL_PROCESS", {ActionKind::kill_process, 0}},
      {"SCMP_ACT_TRAP", {ActionKind::trap, 0}},
      {"SCMP_ACT_LOG", {ActionKind::log, 0}},
      {"SCMP_ACT_TRACE", {ActionKind::trace, EPERM}},
      {"SCMP_ACT_NOTIFY", {ActionKind::notify, 0}},
  };
  for (const auto& [name, action] : cases) {
    const std::string json = std::string(R"({"defaultAction": ")") + name + "\"}";
    EXPECT_EQ(read(json).default_action, action) << name;
    const auto policy = parse_policy(json);
    ASSERT_TRUE(policy.has_value()) << policy.error().message();
    EXPECT_TRUE(compile(*policy).has_value());
  }
}

TEST(DockerPolicy, TakesTheErrnoInWordsOrNumbers) {
  const auto errno_of = [](const std::string& fields) {
    return read(R"({"defaultAction": "SCMP_ACT_ERRNO", )" + fields + R"("syscalls": null})")
        .default_action.data;
  };
  EXPECT_EQ(errno_of(R"("defaultErrnoRet": 38, )"), ENOSYS);
  EXPECT_EQ(errno_of(R"("defaultErrno": "EAFNOSUPPORT", )"), EAFNOSUPPORT);
  EXPECT_EQ(errno_of(R"("defaultErrno": "ENOTSUP", )"), EOPNOTSUPP);
  EXPECT_EQ(errno_of(R"("defaultErrno": "95", )"), EOPNOTSUPP);
  EXPECT_EQ(errno_of(R"("defaultErrno": "ENOSYS", "defaultErrnoRet": 1, )"), ENOSYS)
      << "as Podman reads both";
  EXPECT_EQ(errno_of(R"("defaultErrno": "", "defaultErrnoRet": 0, )"), 0);
  const DockerProfile traced =
      read(profile_with(R"({"names": ["read"], "action": "SCMP_ACT_TRACE", "errnoRet": 65535},
                      {"names": ["write"], "action": "SCMP_ACT_ALLOW", "errnoRet": 7})"));
  EXPECT_EQ(traced.rules[0].action, (Action{ActionKind::trace, 65535}));
  EXPECT_EQ(traced.rules[1].action, (Action{ActionKind::allow, 0})) << "it has no use for one";
}

constexpr const char* kConditional = R"(
    {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
    {"names": ["chroot"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_CHROOT", "CAP_SYS_ADMIN"]}},
    {"names": ["clone3"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN", "CAP_BPF"]}},
    {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
    {"names": ["kcmp"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "6.2"}},
    {"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {}, "excludes": null})";

TEST(DockerPolicy, AsksWhatIsHeldAndHowNewTheKernelIs) {
  EXPECT_EQ(named_in(profile_with(kConditional), {6, 1, {}}),
            (Strings{"clone3", "ptrace", "kcmp", "read"}));
  EXPECT_EQ(named_in(profile_with(kConditional), {6, 2, {"sys_admin"}}),
            (Strings{"mount", "ptrace", "read"}));
  EXPECT_EQ(named_in(profile_with(kConditional), {4, 7, {"sys_admin", "sys_chroot"}}),
            (Strings{"mount", "chroot", "kcmp", "read"}));
  EXPECT_EQ(named_in(profile_with(kConditional), {10, 0, {"bpf"}}), (Strings{"ptrace", "read"}));
}

TEST(DockerPolicy, AsksForTheArchitectureAsGoCallsIt) {
  const std::string json = profile_with(R"(
      {"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "arm64"]}},
      {"names": ["write"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["s390", "mips"]}},
      {"names": ["pause"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["s390", "mips"]}},
      {"names": ["close"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64", "arm64"]}})");
  const bool usual =
      seccomp_arch_native() == SCMP_ARCH_X86_64 || seccomp_arch_native() == SCMP_ARCH_AARCH64;
  EXPECT_EQ(named_in(json), usual ? (Strings{"read", "pause"}) : (Strings{"pause", "close"}));
}

TEST(DockerPolicy, ReportsAllMistakesAtOnceWithTheirPaths) {
  const auto all =
      mistakes(R"({"defaultAction": "ALLOW", "defaultErrnoRet": 4096, "DefaultErrno": "EIO",
      "archMap": [{"architecture": 1}, 7], "architectures": ["SCMP_ARCH_X86_64"],
      "flags": ["SECCOMP_FILTER_FLAG_LOG", "OTHER"], "listenerPath": "/run/s",
      "syscalls": [
        3,
        {"names": "read", "action": "SCMP_ACT_ALLOW"},
        {"names": ["read", 1, ""], "name": "write", "action": "SCMP_ACT_ERRNO", "errno": "EPERMM"},
        {"action": "SCMP_ACT_ERRNO", "errnoRet": -1, "Args": []},
        {"names": ["read"], "args": [{"index": 6, "value": -1, "valueTwo": 1.5, "op": "EQ", "width": 32}]},
        {"names": ["read"], "action": "SCMP_ACT_TRACE", "errnoRet": 65536, "args": {}},
        {"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4", "cap": []},
         "excludes": {"caps": [1], "arches": "x86", "minKernel": "4.8.1"}}]})");
  const Strings expected{
      "$.DefaultErrno: is written defaultErrno",
      "$.archMap[0].architecture: must be a string",
      "$.archMap[1]: must be an object",
      "$.archMap: cannot stand beside architectures",
      "$.flags: \"OTHER\" is not a flag that is known",
      "$.listenerPath: a listener cannot be given",
      "$.defaultAction: \"ALLOW\" is not an action",
      "$.syscalls[0]: must be an object",
      "$.syscalls[1].names: must be a list",
      "$.syscalls[2].errno: \"EPERMM\" is not an errno",
      "$.syscalls[2].names[1]: must be a string",
      "$.syscalls[2].name: cannot stand beside names",
      "$.syscalls[3].Args: is written args",
      "$.syscalls[3].errnoRet: must be a number from 0 to 4095",
      "$.syscalls[3].names: is missing",
      "$.syscalls[4].action: \"\" is not an action",
      "$.syscalls[4].args[0].width: is not a field of a seccomp policy",
      "$.syscalls[4].args[0].index: must be a number from 0 to 5",
      "$.syscalls[4].args[0].value: must be a number from 0 to 18446744073709551615",
      "$.syscalls[4].args[0].valueTwo: must be a number from 0 to 18446744073709551615",
      "$.syscalls[4].args[0].op: \"EQ\" is not a comparison",
      "$.syscalls[5].errnoRet: must be a number from 0 to 65535",
      "$.syscalls[5].args: must be a list",
      "$.syscalls[6].includes.cap: is not a field of a seccomp policy",
      "$.syscalls[6].includes.minKernel: \"4\" is not a kernel version",
      "$.syscalls[6].excludes.caps[0]: must be a string",
      "$.syscalls[6].excludes.arches: must be a list",
      "$.syscalls[6].excludes.minKernel: \"4.8.1\" is not a kernel version",
  };
  EXPECT_EQ(all, expected);
}

TEST(DockerPolicy, FindsMistakesAlsoInRulesThatDoNotHoldHere) {
  EXPECT_EQ(mistakes(profile_with(
                R"({"names": ["read"], "action": "x", "includes": {"caps": ["CAP_BPF"]}})")),
            Strings{"$.syscalls[0].action: \"x\" is not an action"});
}

TEST(DockerPolicy, PassesOverWhatDockerDoesNotKnowEither) {
  EXPECT_EQ(named_in(profile_with(
                R"({"names": ["read"], "action": "SCMP_ACT_ALLOW", "comment": 1, "new": {}})",
                R"("version": 7, "listenerMetadata": "x", "listenerPath": "", "archMap": null, )")),
            Strings{"read"});
}

// A condition that is passed over would open what it closes.
TEST(DockerPolicy, DoesNotPassOverAnUnknownCondition) {
  EXPECT_EQ(mistakes(profile_with(R"({"names": ["read"], "action": "SCMP_ACT_ALLOW",
                                      "includes": {"maxKernel": "5.0"}})")),
            Strings{"$.syscalls[0].includes.maxKernel: is not a field of a seccomp policy"});
  EXPECT_EQ(mistakes(profile_with(R"({"names": ["read"], "action": "SCMP_ACT_ALLOW",
                                      "Includes": {"caps": ["CAP_BPF"]}})")),
            Strings{"$.syscalls[0].Includes: is written includes"});
}

TEST(DockerPolicy, IsKnownByItsDefaultAction) {
  EXPECT_TRUE(parse_policy(R"({"defaultAction": "SCMP_ACT_ALLOW"})").has_value());
  const auto all = mistakes(R"({"syscalls": []})");
  EXPECT_EQ(all.front(), "$.syscalls: is not a field of a seccomp policy");
}

class PublishedPolicy : public testing::TestWithParam<const char*> {};

TEST_P(PublishedPolicy, ProfileIsReadUnchangedAndFitsIntoAFilter) {
  std::ifstream stream(std::string(COVE_SOURCE_DIR "/tests/fixtures/seccomp/") + GetParam());
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  for (const Circumstances& circumstances :
       {Circumstances{6, 1, {}}, Circumstances{4, 4, {"sys_admin", "sys_ptrace", "audit_write"}}}) {
    const auto policy = parse_policy(text, circumstances);
    ASSERT_TRUE(policy.has_value()) << policy.error().message();
    const auto program = compile(*policy);
    ASSERT_TRUE(program.has_value()) << program.error().message();
    EXPECT_LT(program->size(), 300u);
    EXPECT_EQ(*evaluate(*program, call(number_of("read"))), kAllow);
    EXPECT_EQ(*evaluate(*program, call(number_of("read") | 0x40000000)), refused(ENOSYS)) << "x32";
    seccomp_data foreign = call(number_of("read"));
    foreign.arch = SCMP_ARCH_X86;
    EXPECT_EQ(*evaluate(*program, foreign), refused(ENOSYS)) << "though archMap lists it";
  }
}

INSTANTIATE_TEST_SUITE_P(DockerPolicy, PublishedPolicy,
                         testing::Values("docker.json", "docker-old-format.json", "podman.json"));

}  // namespace
}  // namespace cove
