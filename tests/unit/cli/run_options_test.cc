#include "cli/run_options.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace cove::cli {
namespace {

using namespace std::chrono_literals;

// A world with two variables, a few files and the working directory /home/ada.
class RunOptions : public ::testing::Test {
 protected:
  std::map<std::string, std::string> files_;

  Surroundings surroundings() {
    return {
        .variable = [](const std::string& name) -> std::optional<std::string> {
          if (name == "TOKEN") return "secret";
          if (name == "EMPTY") return "";
          return std::nullopt;
        },
        .read_file = [this](const std::string& path) -> Result<std::string> {
          if (const auto file = files_.find(path); file != files_.end()) return file->second;
          return fail(usage_error({}, "cannot open " + path));
        },
        .working_directory = []() -> Result<std::string> { return std::string("/home/ada"); },
    };
  }

  Result<RunRequest> parse(const std::vector<std::string>& words) {
    return parse_run_options(words, surroundings());
  }

  // The request of words that must be right.
  RunRequest request(const std::vector<std::string>& words) {
    Result<RunRequest> parsed = parse(words);
    if (!parsed) {
      ADD_FAILURE() << parsed.error().message();
      return {};
    }
    return *parsed;
  }

  // The spec that `options`, before an image and a command, make.
  SandboxSpec spec(std::vector<std::string> options) {
    options.insert(options.end(), {"image", "true"});
    return request(options).spec;
  }

  // All mistakes as text; "" where there is none.
  std::string mistakes(const std::vector<std::string>& words) {
    const Result<RunRequest> parsed = parse(words);
    if (parsed) return "";
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
    return parsed.error().message();
  }

  std::string mistakes_of(std::vector<std::string> options) {
    options.insert(options.end(), {"image", "true"});
    return mistakes(options);
  }
};

using Strings = std::vector<std::string>;

// --- Image, command, and where our options end
// ----------------------------------------------------

TEST_F(RunOptions, FirstOperandIsTheImageAndTheRestTheCommand) {
  const SandboxSpec spec = request({"python-demo", "python3", "-c", "print(1)"}).spec;
  EXPECT_EQ(spec.image, "python-demo");
  EXPECT_EQ(spec.command, (Strings{"python3", "-c", "print(1)"}));
}

TEST_F(RunOptions, NoCommandLeavesTheImagesOwn) {
  EXPECT_EQ(request({"image"}).spec.command, std::nullopt);
  EXPECT_EQ(request({"image", "--"}).spec.command, std::nullopt);
}

TEST_F(RunOptions, WordsOfTheCommandAreNeverOurOptions) {
  const Strings command = {"sh", "--json", "-m", "1g", "--danger-no-seccomp",
                           "--", "--help", "-v="};
  Strings words = {"image"};
  words.insert(words.end(), command.begin(), command.end());
  const RunRequest parsed = request(words);
  EXPECT_EQ(parsed.spec.command, command);
  EXPECT_FALSE(parsed.json);
  EXPECT_FALSE(parsed.help);
  EXPECT_EQ(parsed.spec.resources.memory, std::nullopt);
  EXPECT_TRUE(parsed.spec.require.empty());
}

TEST_F(RunOptions, OneSeparatorBehindTheImageIsDropped) {
  EXPECT_EQ(request({"image", "--", "-x"}).spec.command, Strings{"-x"});
  EXPECT_EQ(request({"image", "--", "--", "-x"}).spec.command, (Strings{"--", "-x"}));
  EXPECT_EQ(request({"image", "cat", "--", "-x"}).spec.command, (Strings{"cat", "--", "-x"}));
}

TEST_F(RunOptions, SeparatorBeforeTheImageEndsTheOptions) {
  const SandboxSpec spec = request({"-i", "--", "image", "--", "-x"}).spec;
  EXPECT_EQ(spec.image, "image");
  EXPECT_EQ(spec.command, Strings{"-x"});
  EXPECT_EQ(request({"--", "--json"}).spec.image, "--json");
}

TEST_F(RunOptions, RootfsMakesEveryOperandTheCommand) {
  const SandboxSpec spec = request({"--rootfs", "/", "ls", "--", "-l"}).spec;
  EXPECT_EQ(spec.rootfs, "/");
  EXPECT_EQ(spec.image, std::nullopt);
  EXPECT_EQ(spec.command, (Strings{"ls", "--", "-l"}));
  EXPECT_EQ(request({"--rootfs", "/", "--", "-l"}).spec.command, Strings{"-l"});
  EXPECT_EQ(request({"--rootfs", "tree", "ls"}).spec.rootfs, "/home/ada/tree");
}

TEST_F(RunOptions, AnEmptyValueIsAValueAndDoesNotSwallowTheImage) {
  const SandboxSpec spec = request({"--entrypoint=", "image", "true"}).spec;
  EXPECT_EQ(spec.entrypoint, Strings{});
  EXPECT_EQ(spec.image, "image");
  EXPECT_EQ(request({"--hostname", "", "image"}).spec.hostname, "");
}

TEST_F(RunOptions, AValueThatLooksLikeAnOptionIsAValue) {
  const SandboxSpec spec = request({"-e", "--json=1", "--workdir", "--", "image"}).spec;
  EXPECT_EQ(spec.env.at("--json"), "1");
  EXPECT_EQ(spec.workdir, "--");
  EXPECT_EQ(spec.image, "image");
}

TEST_F(RunOptions, AMissingImageIsAMistake) {
  EXPECT_NE(mistakes({}).find("IMAGE: is missing"), std::string::npos);
  EXPECT_NE(mistakes({"-i"}).find("IMAGE: is missing"), std::string::npos);
}

// --- Forms of options
// -------------------------------------------------------------------------------

TEST_F(RunOptions, ShortFormsTakeTheirValueInEveryWayThatDockerHas) {
  const Strings forms[] = {
      {"-m", "64m"}, {"-m64m"}, {"-m=64m"}, {"--memory", "64m"}, {"--memory=64m"}};
  for (const Strings& form : forms) {
    EXPECT_EQ(spec(form).resources.memory, mebibytes(64)) << form[0];
  }
}

TEST_F(RunOptions, LettersMayBeRunTogether) {
  const SandboxSpec both = spec({"-ie", "A=b"});
  EXPECT_TRUE(std::holds_alternative<StdinInherit>(both.stdin_source.value()));
  EXPECT_EQ(both.env.at("A"), "b");
  EXPECT_EQ(spec({"-ieA=b"}).env.at("A"), "b");
}

TEST_F(RunOptions, TheLastOfARepeatedOptionWins) {
  EXPECT_EQ(spec({"-m", "64m", "--memory=1g"}).resources.memory, gibibytes(1));
}

TEST_F(RunOptions, FlagsTakeTrueAndFalse) {
  EXPECT_EQ(spec({"--read-only"}).read_only, true);
  EXPECT_EQ(spec({"--read-only=true"}).read_only, true);
  EXPECT_EQ(spec({"--read-only=false"}).read_only, false);
  EXPECT_NE(mistakes_of({"--read-only=maybe"}).find("--read-only: is maybe"), std::string::npos);
  EXPECT_FALSE(request({"--json=false", "image"}).json);
}

TEST_F(RunOptions, HelpWinsOverEverythingElse) {
  EXPECT_TRUE(request({"--bogus", "--help"}).help);
  EXPECT_TRUE(request({"-h"}).help);
}

// --- Every option, into its field
// ---------------------------------------------------------------------

TEST_F(RunOptions, FillsWhatToRun) {
  const SandboxSpec filled = spec({"-i", "-w", "/src", "-u", "ada:staff", "--hostname", "box",
                                   "--entrypoint", "/bin/sh", "--profile", "strict"});
  EXPECT_TRUE(std::holds_alternative<StdinInherit>(filled.stdin_source.value()));
  EXPECT_EQ(filled.workdir, "/src");
  EXPECT_EQ(filled.user, "ada:staff");
  EXPECT_EQ(filled.hostname, "box");
  EXPECT_EQ(filled.entrypoint, Strings{"/bin/sh"});
  EXPECT_EQ(filled.profile, "strict");
}

TEST_F(RunOptions, LeavesUnsetWhatIsNotNamed) {
  const SandboxSpec empty = spec({});
  EXPECT_EQ(empty.stdin_source, std::nullopt);
  EXPECT_EQ(empty.profile, std::nullopt);
  EXPECT_EQ(empty.network, std::nullopt);
  EXPECT_EQ(empty.read_only, std::nullopt);
  EXPECT_EQ(empty.resources.memory, std::nullopt);
  EXPECT_EQ(empty.resources.swap, std::nullopt);
  EXPECT_TRUE(empty.env.empty());
  EXPECT_TRUE(empty.require.empty());
}

TEST_F(RunOptions, FillsLimits) {
  const ResourceSpec limits =
      spec({"-m",           "256m",         "--memory-swap", "1g",          "--cpus",
            "0.5",          "--cpu-weight", "200",           "--io-weight", "50",
            "--pids-limit", "64",           "--disk",        "32m",         "--open-files",
            "512",          "--ulimit",     "core=0",        "--ulimit",    "fsize=1000:unlimited"})
          .resources;
  EXPECT_EQ(limits.memory, mebibytes(256));
  EXPECT_EQ(limits.swap, mebibytes(768));
  EXPECT_EQ(limits.cpus, 0.5);
  EXPECT_EQ(limits.cpu_weight, 200);
  EXPECT_EQ(limits.io_weight, 50);
  EXPECT_EQ(limits.pids_limit, 64);
  EXPECT_EQ(limits.disk, mebibytes(32));
  EXPECT_EQ(limits.open_files, 512);
  EXPECT_EQ(limits.rlimits.at("core").soft, 0u);
  EXPECT_EQ(limits.rlimits.at("core").hard, 0u);
  EXPECT_EQ(limits.rlimits.at("fsize").soft, 1000u);
  EXPECT_EQ(limits.rlimits.at("fsize").hard, kRlimitInfinity);
}

TEST_F(RunOptions, FillsTimeAndOutput) {
  const RunRequest filled =
      request({"--timeout", "1.5", "--cpu-timeout", "200ms", "--grace", "2s", "--output-limit",
               "64k", "--output-policy", "head+tail", "--json", "image"});
  EXPECT_EQ(filled.spec.timeout, 1500ms);
  EXPECT_EQ(filled.spec.cpu_timeout, 200ms);
  EXPECT_EQ(filled.spec.grace, 2s);
  EXPECT_EQ(filled.spec.resources.output, kibibytes(64));
  EXPECT_EQ(filled.spec.resources.output_policy, OutputPolicy::head_tail);
  EXPECT_TRUE(filled.json);
}

TEST_F(RunOptions, KnowsEveryOutputPolicy) {
  EXPECT_EQ(spec({"--output-policy", "head"}).resources.output_policy, OutputPolicy::head);
  EXPECT_EQ(spec({"--output-policy", "tail"}).resources.output_policy, OutputPolicy::tail);
  EXPECT_EQ(spec({"--output-policy", "kill"}).resources.output_policy, OutputPolicy::kill);
  EXPECT_NE(mistakes_of({"--output-policy", "drop"}).find("head, tail, head+tail, kill"),
            std::string::npos);
}

TEST_F(RunOptions, FillsWhatIsCovesOwn) {
  const RunRequest filled = request({"--store", "/srv/store", "--cgroup-parent", "/ci", "image"});
  EXPECT_EQ(filled.engine.store, "/srv/store");
  EXPECT_EQ(filled.engine.cgroup_parent, "/ci");
}

TEST_F(RunOptions, AcceptsRmWhichIsImplied) {
  EXPECT_EQ(mistakes_of({"--rm"}), "");
  EXPECT_NE(mistakes_of({"--rm=false"}).find("--rm: a run cannot be kept"), std::string::npos);
}

TEST_F(RunOptions, MemorySwapIsMemoryAndSwapTogether) {
  EXPECT_EQ(spec({"-m", "64m", "--memory-swap", "64m"}).resources.swap, Bytes{0});
  EXPECT_NE(mistakes_of({"-m", "64m", "--memory-swap", "32m"}).find("is less than --memory"),
            std::string::npos);
  EXPECT_NE(mistakes_of({"--memory-swap", "32m"}).find("needs --memory"), std::string::npos);
  EXPECT_NE(mistakes_of({"-m", "1g", "--memory-swap", "-1"}).find("--memory-swap: "),
            std::string::npos);
}

// --- Environment
// ------------------------------------------------------------------------------------

TEST_F(RunOptions, EnvTakesAValueOrTheCallersOwn) {
  const auto env =
      spec({"-e", "A=b=c", "-e", "B=", "-e", "TOKEN", "-e", "EMPTY", "-e", "UNSET"}).env;
  const std::map<std::string, std::string> expected = {
      {"A", "b=c"}, {"B", ""}, {"TOKEN", "secret"}, {"EMPTY", ""}};
  EXPECT_EQ(env, expected);
}

TEST_F(RunOptions, EnvKeepsCommasAndBrackets) {
  EXPECT_EQ(spec({"-e", "A=[1,2]"}).env.at("A"), "[1,2]");
  EXPECT_EQ(spec({"-e", "[A=1,2]"}).env.at("[A"), "1,2]");
}

TEST_F(RunOptions, EnvWithoutANameIsAMistake) {
  EXPECT_NE(mistakes_of({"-e", "=x"}).find("--env: \"=x\" names no variable"), std::string::npos);
}

TEST_F(RunOptions, EnvWinsOverEnvFileWhereverItStands) {
  files_["vars"] = "# a comment\n\nA=file\r\n  B=two words \nTOKEN\nC=\"quoted\"";
  const auto env = spec({"-e", "A=option", "--env-file", "vars"}).env;
  const std::map<std::string, std::string> expected = {
      {"A", "option"}, {"B", "two words "}, {"TOKEN", "secret"}, {"C", "\"quoted\""}};
  EXPECT_EQ(env, expected);
}

TEST_F(RunOptions, AMissingEnvFileIsAMistake) {
  EXPECT_NE(mistakes_of({"--env-file", "nowhere"}).find("--env-file: cannot open nowhere"),
            std::string::npos);
}

// --- Mounts
// -----------------------------------------------------------------------------------------

TEST_F(RunOptions, VolumesAreDockers) {
  const auto mounts =
      spec({"-v", "/a:/x", "-v", "/b:/y:ro", "--volume", "./c:/z:rw", "-v", ".:/w"}).mounts;
  ASSERT_EQ(mounts.size(), 4u);
  EXPECT_EQ(mounts[0].type, MountType::bind);
  EXPECT_EQ(mounts[0].host_path, "/a");
  EXPECT_EQ(mounts[0].container_path, "/x");
  EXPECT_FALSE(mounts[0].read_only);
  EXPECT_TRUE(mounts[1].read_only);
  EXPECT_EQ(mounts[2].host_path, "/home/ada/c");
  EXPECT_FALSE(mounts[2].read_only);
  EXPECT_EQ(mounts[3].host_path, "/home/ada");
}

TEST_F(RunOptions, BadVolumesAreMistakes) {
  const std::pair<const char*, const char*> bad[] = {
      {"/only", "has no \":\""},
      {"data:/x", "is the name of a volume"},
      {"/a:x", "\"x\" is not an absolute path"},
      {":/x", "names no host path"},
      {"/a:", "\"\" is not an absolute path"},
      {"/a:/x:z", "\"z\" is neither ro nor rw"},
      {"/a:/x:", "\"\" is neither ro nor rw"},
      {"/a:/x:ro:z", "more than three parts"},
  };
  for (const auto& [volume, message] : bad) {
    const std::string text = mistakes_of({"-v", volume});
    EXPECT_NE(text.find(message), std::string::npos) << volume << ": " << text;
    EXPECT_TRUE(text.starts_with("--volume: ")) << text;
  }
}

TEST_F(RunOptions, MountsAreDockers) {
  const auto mounts = spec({"--mount", "type=bind,src=/a,dst=/x,readonly", "--mount",
                            "type=bind,source=./b,target=/y,ro=false", "--mount",
                            "type=tmpfs,destination=/t,size=8m", "--mount",
                            "type=bind,\"src=/a,b:c\",dst=/z", "--mount", "type=tmpfs,dst=/u"})
                          .mounts;
  ASSERT_EQ(mounts.size(), 5u);
  EXPECT_EQ(mounts[0].host_path, "/a");
  EXPECT_TRUE(mounts[0].read_only);
  EXPECT_EQ(mounts[1].host_path, "/home/ada/b");
  EXPECT_EQ(mounts[1].container_path, "/y");
  EXPECT_FALSE(mounts[1].read_only);
  EXPECT_EQ(mounts[2].type, MountType::tmpfs);
  EXPECT_EQ(mounts[2].container_path, "/t");
  EXPECT_EQ(mounts[2].size, mebibytes(8));
  EXPECT_EQ(mounts[3].host_path, "/a,b:c");
  EXPECT_EQ(mounts[4].size, std::nullopt);
}

TEST_F(RunOptions, BadMountsAreMistakes) {
  const std::pair<const char*, const char*> bad[] = {
      {"src=/a,dst=/x", "names no type"},
      {"type=bind,dst=/x", "names no src"},
      {"type=bind,src=/a", "names no dst"},
      {"type=volume,src=a,dst=/x", "\"volume\" is neither bind nor tmpfs"},
      {"type=bind,src=/a,dst=/x,bind-propagation=rshared", "unknown key \"bind-propagation\""},
      {"type=bind,src=/a,dst=/x,readonly=maybe", "readonly is \"maybe\""},
      {"type=bind,src=/a,dst=/x,dst=/y", "\"dst\" is given twice"},
      {"type=bind,src=/a,dst=/x,size=1m", "a bind has no size"},
      {"type=bind,src,dst=/x", "\"src\" has no value"},
      {"type=tmpfs,src=/a,dst=/x", "a tmpfs has no src"},
      {"type=tmpfs,dst=/x,readonly", "a read-only tmpfs"},
      {"type=tmpfs,dst=/x,size=lots", "does not start with a number"},
      {"type=bind,\"src=/a,dst=/x", "not closed"},
  };
  for (const auto& [mount, message] : bad) {
    const std::string text = mistakes_of({"--mount", mount});
    EXPECT_NE(text.find(message), std::string::npos) << mount << ": " << text;
  }
}

TEST_F(RunOptions, TmpfsTakesASize) {
  const auto mounts = spec({"--tmpfs", "/a", "--tmpfs", "/b:size=64k"}).mounts;
  ASSERT_EQ(mounts.size(), 2u);
  EXPECT_EQ(mounts[0].type, MountType::tmpfs);
  EXPECT_EQ(mounts[0].size, std::nullopt);
  EXPECT_EQ(mounts[1].container_path, "/b");
  EXPECT_EQ(mounts[1].size, kibibytes(64));
  EXPECT_NE(mistakes_of({"--tmpfs", "/a:exec"}).find("unknown option \"exec\""), std::string::npos);
  EXPECT_NE(mistakes_of({"--tmpfs", "a"}).find("not an absolute path"), std::string::npos);
}

TEST_F(RunOptions, MountsKeepTheOrderOfTheLine) {
  const auto mounts =
      spec({"-v", "/a:/1", "--tmpfs", "/2", "--mount", "type=bind,src=/b,dst=/3", "-v", "/c:/4"})
          .mounts;
  Strings targets;
  for (const MountSpec& mount : mounts) targets.push_back(mount.container_path);
  EXPECT_EQ(targets, (Strings{"/1", "/2", "/3", "/4"}));
}

// --- Isolation
// ----------------------------------------------------------------------------------------

TEST_F(RunOptions, NetworkHostMustBeNamedAsADanger) {
  EXPECT_EQ(spec({"--network", "none"}).network, NetworkMode::none);
  EXPECT_NE(mistakes_of({"--network", "host"}).find("add --danger-host-network"),
            std::string::npos);
  const SandboxSpec open = spec({"--network", "host", "--danger-host-network"});
  EXPECT_EQ(open.network, NetworkMode::host);
  EXPECT_EQ(open.require.at(Protection::network), Requirement::off);
  EXPECT_EQ(spec({"--network=host", "--require", "network=off"}).network, NetworkMode::host);
  EXPECT_NE(mistakes_of({"--network", "hots"}).find("one of: none, open, host"), std::string::npos);
}

TEST_F(RunOptions, NetworkOpenNeedsNoDangerAndIsWhatDockersNamesAreSentTo) {
  const SandboxSpec open = spec({"--network", "open", "--private-networks", "blocked"});
  EXPECT_EQ(open.network, NetworkMode::open);
  EXPECT_EQ(open.private_networks, PrivateNetworks::blocked);
  EXPECT_TRUE(open.require.empty());
  EXPECT_EQ(spec({"--network=open"}).private_networks, std::nullopt);
  for (const char* foreign : {"bridge", "default", "slirp4netns", "pasta"}) {
    EXPECT_NE(mistakes_of({"--network", foreign}).find("use open"), std::string::npos) << foreign;
  }
  EXPECT_NE(mistakes_of({"--private-networks", "no"}).find("one of: reachable, blocked"),
            std::string::npos);
}

TEST_F(RunOptions, DangerHostNetworkAloneOpensNothing) {
  EXPECT_NE(
      mistakes_of({"--danger-host-network"}).find("--danger-host-network: is for --network host"),
      std::string::npos);
  EXPECT_TRUE(spec({"--danger-host-network=false"}).require.empty());
}

TEST_F(RunOptions, SeccompTakesANameAFileOrADanger) {
  EXPECT_EQ(spec({"--security-opt", "seccomp=strict"}).seccomp, "strict");
  EXPECT_EQ(spec({"--security-opt", "seccomp=./mine.json"}).seccomp, "./mine.json");
  EXPECT_NE(mistakes_of({"--security-opt", "seccomp=unconfined"}).find("add --danger-no-seccomp"),
            std::string::npos);
  const SandboxSpec open = spec({"--security-opt", "seccomp=unconfined", "--danger-no-seccomp"});
  EXPECT_EQ(open.seccomp, std::nullopt);
  EXPECT_EQ(open.require.at(Protection::seccomp), Requirement::off);
  EXPECT_EQ(spec({"--danger-no-seccomp"}).require.at(Protection::seccomp), Requirement::off);
  EXPECT_NE(
      mistakes_of({"--danger-no-seccomp", "--security-opt", "seccomp=strict"}).find("contradicts"),
      std::string::npos);
  EXPECT_NE(
      mistakes_of({"--security-opt", "credentialspec=x"}).find("--security-opt: does not know"),
      std::string::npos);
}

TEST_F(RunOptions, SeccompTraceMustBeNamedAsADangerAndKeepsItsFilter) {
  EXPECT_EQ(spec({}).seccomp_mode, std::nullopt);
  EXPECT_EQ(spec({"--seccomp-mode", "enforce"}).seccomp_mode, SeccompMode::enforce);
  EXPECT_NE(mistakes_of({"--seccomp-mode", "trace"})
                .find("--seccomp-mode: trace gives the program every system call"),
            std::string::npos);
  EXPECT_NE(mistakes_of({"--seccomp-mode", "trace"}).find("add --danger-no-seccomp"),
            std::string::npos);
  const SandboxSpec traced = spec({"--seccomp-mode=trace", "--danger-no-seccomp"});
  EXPECT_EQ(traced.seccomp_mode, SeccompMode::trace);
  EXPECT_EQ(traced.seccomp, std::nullopt);
  EXPECT_EQ(traced.require.at(Protection::seccomp), Requirement::off);
  EXPECT_EQ(
      spec({"--danger-no-seccomp", "--security-opt", "seccomp=strict", "--seccomp-mode=trace"})
          .seccomp,
      "strict");
  EXPECT_EQ(spec({"--seccomp-mode=trace", "--require", "seccomp=off"}).seccomp_mode,
            SeccompMode::trace);
  EXPECT_NE(mistakes_of({"--seccomp-mode", "log"}).find("one of: enforce, trace"),
            std::string::npos);
}

TEST_F(RunOptions, SeccompTraceNeedsAFilter) {
  const std::string words = mistakes_of(
      {"--seccomp-mode=trace", "--danger-no-seccomp", "--security-opt", "seccomp=unconfined"});
  EXPECT_NE(words.find("--seccomp-mode: trace needs a filter to ask"), std::string::npos) << words;
}

TEST_F(RunOptions, SeccompTraceOfASpecThatSaysItTwiceNeedsNoDanger) {
  files_["job.json"] = R"({"seccomp": "strict", "seccomp_mode": "trace",
                           "require": {"seccomp": "off"}})";
  EXPECT_EQ(spec({"--spec", "job.json"}).seccomp, "strict");
  files_["job.json"] = R"({"seccomp_mode": "trace"})";
  EXPECT_NE(mistakes_of({"--spec", "job.json"}).find("add --danger-no-seccomp"), std::string::npos);
  EXPECT_EQ(spec({"--spec", "job.json", "--seccomp-mode", "enforce"}).seccomp_mode,
            SeccompMode::enforce);
}

TEST_F(RunOptions, CapabilitiesAreAddedToTheSpecs) {
  EXPECT_EQ(spec({}).capabilities, std::nullopt);
  EXPECT_EQ(spec({"--cap-add", "NET_RAW", "--cap-add=CAP_CHOWN"}).capabilities,
            (Strings{"net_raw", "chown"}));
  EXPECT_EQ(spec({"--cap-drop", "ALL"}).capabilities, Strings{});
  files_["job.json"] = R"({"capabilities": ["KILL", "CHOWN"]})";
  EXPECT_EQ(spec({"--cap-drop", "kill", "--spec", "job.json"}).capabilities, Strings{"chown"});
  EXPECT_EQ(spec({"--spec", "job.json"}).capabilities, (Strings{"KILL", "CHOWN"}));
  EXPECT_NE(mistakes_of({"--cap-add", "CHWN"}).find("--cap-add: \"CHWN\" is not a capability"),
            std::string::npos);
}

TEST_F(RunOptions, RequireFillsTheMap) {
  const auto require =
      spec({"--require", "memory=required", "--require", "uid_separation=preferred"}).require;
  EXPECT_EQ(require.size(), 2u);
  EXPECT_EQ(require.at(Protection::memory), Requirement::required);
  EXPECT_EQ(require.at(Protection::uid_separation), Requirement::preferred);
  EXPECT_NE(mistakes_of({"--require", "memry=off"}).find("did you mean memory?"),
            std::string::npos);
  EXPECT_NE(mistakes_of({"--require", "memory"}).find("one of: required, preferred, off"),
            std::string::npos);
}

TEST_F(RunOptions, BestEffortPrefersLimitsAndKeepsTheWalls) {
  const auto require = spec({"--best-effort", "-m", "1g"}).require;
  for (const Protection limit : {Protection::memory, Protection::swap, Protection::cpus,
                                 Protection::pids, Protection::disk, Protection::uid_separation}) {
    ASSERT_TRUE(require.contains(limit)) << to_string(limit);
    EXPECT_EQ(require.at(limit), Requirement::preferred) << to_string(limit);
  }
  for (const Protection wall :
       {Protection::user_namespace, Protection::mount_namespace, Protection::pid_namespace,
        Protection::network, Protection::capabilities, Protection::no_new_privs,
        Protection::seccomp, Protection::setuid_files, Protection::masked_paths,
        Protection::timeout}) {
    EXPECT_FALSE(require.contains(wall)) << to_string(wall);
  }
}

TEST_F(RunOptions, RequireWinsOverBestEffort) {
  for (const Strings& options : {Strings{"--best-effort", "--require", "memory=required"},
                                 Strings{"--require", "memory=required", "--best-effort"}}) {
    EXPECT_EQ(spec(options).require.at(Protection::memory), Requirement::required);
  }
}

// --- The --spec document
// ----------------------------------------------------------------------------

TEST_F(RunOptions, OptionsWinOverTheSpecWhereverItStands) {
  files_["job.json"] =
      R"({"image": "a", "command": ["x"], "hostname": "h", "env": {"A": "1", "B": "1"},
      "resources": {"memory": "64m", "pids_limit": 9}})";
  const SandboxSpec merged =
      request({"-m", "128m", "-e", "B=2", "--spec", "job.json", "b", "y", "-z"}).spec;
  EXPECT_EQ(merged.image, "b");
  EXPECT_EQ(merged.command, (Strings{"y", "-z"}));
  EXPECT_EQ(merged.hostname, "h");
  EXPECT_EQ(merged.resources.memory, mebibytes(128));
  EXPECT_EQ(merged.resources.pids_limit, 9);
  EXPECT_EQ(merged.env.at("A"), "1");
  EXPECT_EQ(merged.env.at("B"), "2");
}

TEST_F(RunOptions, EnvironmentComesFromSpecThenFileThenOption) {
  files_["job.json"] = R"({"image": "a", "env": {"A": "spec", "B": "spec", "C": "spec"}})";
  files_["vars"] = "B=file\nC=file\n";
  const auto env = request({"-e", "C=option", "--env-file", "vars", "--spec", "job.json"}).spec.env;
  const std::map<std::string, std::string> expected = {
      {"A", "spec"}, {"B", "file"}, {"C", "option"}};
  EXPECT_EQ(env, expected);
}

TEST_F(RunOptions, ASpecThatNamesItsRootNeedsNoImage) {
  files_["job.json"] = R"({"image": "a", "command": ["x"]})";
  const SandboxSpec alone = request({"--spec", "job.json"}).spec;
  EXPECT_EQ(alone.image, "a");
  EXPECT_EQ(alone.command, Strings{"x"});
  const SandboxSpec with_command = request({"--spec", "job.json", "--", "y"}).spec;
  EXPECT_EQ(with_command.image, "a");
  EXPECT_EQ(with_command.command, Strings{"y"});
}

TEST_F(RunOptions, ARootOfTheLineReplacesTheSpecsOtherKind) {
  files_["image.json"] = R"({"image": "a"})";
  files_["rootfs.json"] = R"({"rootfs": "/srv/tree"})";
  const SandboxSpec rootfs = request({"--spec", "image.json", "--rootfs", "/", "true"}).spec;
  EXPECT_EQ(rootfs.image, std::nullopt);
  EXPECT_EQ(rootfs.rootfs, "/");
  const SandboxSpec image = request({"--spec", "rootfs.json", "b", "true"}).spec;
  EXPECT_EQ(image.image, "b");
  EXPECT_EQ(image.rootfs, std::nullopt);
}

TEST_F(RunOptions, ASpecWithoutARootTakesTheImageFromTheLine) {
  files_["job.json"] = R"({"hostname": "h"})";
  EXPECT_EQ(request({"--spec", "job.json", "--", "image"}).spec.image, "image");
  EXPECT_NE(mistakes({"--spec", "job.json"}).find("IMAGE: is missing"), std::string::npos);
}

TEST_F(RunOptions, TheSpecMayComeFromStandardInput) {
  files_["-"] = R"({"image": "a"})";
  EXPECT_EQ(request({"--spec", "-"}).spec.image, "a");
  EXPECT_NE(mistakes({"--spec", "-", "-i"}).find("standard input has been read by --spec -"),
            std::string::npos);
}

TEST_F(RunOptions, BestEffortLowersTheSpecsRequirementsButRaisesNone) {
  files_["job.json"] = R"({"image": "a", "require": {"memory": "required", "pids": "off"}})";
  const auto require = request({"--spec", "job.json", "--best-effort"}).spec.require;
  EXPECT_EQ(require.at(Protection::memory), Requirement::preferred);
  EXPECT_EQ(require.at(Protection::pids), Requirement::off);
}

TEST_F(RunOptions, MistakesOfTheSpecNameFileAndPath) {
  files_["job.json"] = R"({"image": "a", "colour": 1, "resources": {"memory": "lots"}})";
  const std::string text = mistakes({"--spec", "job.json"});
  EXPECT_NE(text.find("--spec job.json: $.colour"), std::string::npos) << text;
  EXPECT_NE(text.find("--spec job.json: $.resources.memory"), std::string::npos) << text;
}

TEST_F(RunOptions, AMissingSpecIsOneMistake) {
  const std::string text = mistakes({"--spec", "nowhere"});
  EXPECT_NE(text.find("--spec nowhere: cannot open nowhere"), std::string::npos) << text;
  EXPECT_EQ(text.find("IMAGE"), std::string::npos) << text;
}

// --- Mistakes
// -----------------------------------------------------------------------------------------

TEST_F(RunOptions, AllMistakesComeAtOnceEachOnALine) {
  files_["job.json"] = R"({"colour": 1})";
  const std::string text = mistakes({"--memroy", "1g", "--spec", "job.json", "-m", "5x", "--cpus",
                                     "many", "--pids-limit", "1e3", "--network", "host", "-v", "/x",
                                     "--timeout", "-1", "--ulimit", "core", "image"});
  for (const char* expected :
       {"--memroy: unknown option (did you mean --memory?)", "--spec job.json: $.colour",
        "--memory: \"5x\"", "--cpus: \"many\"", "--pids-limit: \"1e3\"", "--network: host",
        "--volume: \"/x\"", "--timeout: \"-1\"", "--ulimit: \"core\""}) {
    EXPECT_NE(text.find(expected), std::string::npos) << expected << "\nin\n" << text;
  }
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 8) << text;
}

TEST_F(RunOptions, NumbersAreRefusedWithAnythingBehindThem) {
  for (const char* number : {"", "x", "1x", "1.5", " 1", "+1", "0x10", "99999999999999999999"}) {
    EXPECT_NE(mistakes_of({"--pids-limit", number}).find("is not a whole number"),
              std::string::npos)
        << number;
  }
  for (const char* number : {"", "x", "1x", "nan", "inf", "1e3", "0x1p3", "1,5"}) {
    EXPECT_NE(mistakes_of({"--cpus", number}).find("is not a number"), std::string::npos) << number;
  }
  for (const char* limit : {"core", "core=", "=1", "core=1:", "core=x", "core=-2", "core=1:2:3"}) {
    EXPECT_NE(mistakes_of({"--ulimit", limit}).find("is not a limit"), std::string::npos) << limit;
  }
  EXPECT_NE(mistakes_of({"--ulimit", "core=2:1"}).find("above the hard one"), std::string::npos);
}

TEST_F(RunOptions, AnOptionWithoutItsValueIsAMistakeBesideTheOthers) {
  const std::string text = mistakes({"--cpus", "many", "--memory"});
  EXPECT_NE(text.find("--memory: needs a value"), std::string::npos) << text;
  EXPECT_NE(text.find("--cpus: \"many\""), std::string::npos) << text;
  EXPECT_NE(mistakes({"-m"}).find("-m: needs a value"), std::string::npos);
}

TEST_F(RunOptions, DockersOptionsThatWeLackAreAnsweredWithWhatToDo) {
  EXPECT_NE(mistakes_of({"--cpu-shares", "5"}).find("use --cpu-weight"), std::string::npos);
  EXPECT_NE(
      mistakes_of({"--name=x"}).find("--name: is not an option of cove (sandboxes have no names"),
      std::string::npos);
  EXPECT_NE(mistakes_of({"-itd"}).find("-d: is not an option of cove"), std::string::npos);
}

TEST_F(RunOptions, ATerminalIsAskedForAsInDocker) {
  EXPECT_FALSE(spec({}).tty);
  EXPECT_EQ(spec({"-t"}).tty, true);
  EXPECT_EQ(spec({"--tty=false"}).tty, false);
  const SandboxSpec both = spec({"-it"});
  EXPECT_EQ(both.tty, true);
  EXPECT_TRUE(std::holds_alternative<StdinInherit>(*both.stdin_source));
}

TEST_F(RunOptions, DetachKeysAreDockers) {
  const auto keys = [&](const std::string& text) {
    return request({"--detach-keys", text, "image"}).detach_keys;
  };
  EXPECT_EQ(request({"image"}).detach_keys, "\x10\x11");
  EXPECT_EQ(keys("ctrl-p,ctrl-q"), "\x10\x11");
  EXPECT_EQ(keys(""), "");
  EXPECT_EQ(keys("a,B,ctrl-["), "aB\x1b");
  EXPECT_EQ(keys("ctrl-@,ctrl-_"), std::string("\0\x1f", 2));
  EXPECT_EQ(keys(",,x"), ",x");
  for (const char* wrong : {"ctrl-", "ctrl-P", "ctrl-1", "ab", "ctrl-pq", "a,,b", "shift-a"}) {
    EXPECT_NE(mistakes_of({"--detach-keys", wrong}).find("--detach-keys: does not know the key"),
              std::string::npos)
        << wrong;
  }
}

TEST_F(RunOptions, WantsJsonAlsoWhereTheRestIsWrong) {
  EXPECT_TRUE(wants_json(Strings{"--bogus", "--json", "-m", "x", "image"}));
  EXPECT_TRUE(wants_json(Strings{"--json", "-m"}));
  EXPECT_FALSE(wants_json(Strings{"image", "--json"}));
  EXPECT_FALSE(wants_json(Strings{"-e", "--json", "image"}));
}

TEST_F(RunOptions, EveryOptionOfTheTableHasAHelpLineThatFits) {
  std::vector<std::string> names;
  for (const OptionText& option : run_option_texts()) {
    EXPECT_FALSE(option.help.empty()) << option.name;
    EXPECT_LE(option.help.size(), 68u) << option.name;
    for (const std::string& name : names) EXPECT_NE(name, option.name);
    names.emplace_back(option.name);
  }
}

}  // namespace
}  // namespace cove::cli
