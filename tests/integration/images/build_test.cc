// `cove image build`: with the real builders, and with one that only writes down its words.
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "tests/integration/images/other_tools.h"
#include "tests/support/files.h"

namespace cove::testing {
namespace {

using nlohmann::json;

constexpr const char* kDockerfile = R"(FROM scratch AS base
ARG WORD=none
COPY probe /bin/probe
COPY probe /bin/sh
ENV GIVEN=$WORD
CMD ["/bin/probe", "env", "GIVEN"]
FROM base AS last
COPY kept /kept
)";

class Context : public OtherTools {
 protected:
  Context() {
    std::filesystem::create_directory(context());
    std::filesystem::copy_file(probe_path(), context() + "/probe");
    put("kept", "kept");
    put("Dockerfile", kDockerfile);
  }
  std::string context() const { return scratch_ / "context"; }
  void put(const std::string& name, const std::string& text) const {
    write_file(context() + "/" + name, text);
  }
  Outcome build(const std::string& arguments) const {
    return with_tools(command("build --json " + arguments));
  }
  bool is_rebuilt(const std::string& arguments) const {
    const Outcome built = build(arguments + " " + context());
    EXPECT_EQ(built.status, 0) << built.err;
    return built.status == 0 && !json::parse(built.out)["already_loaded"];
  }
};

class Builders : public Context, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    if (const std::string why = why_not(GetParam()); !why.empty()) GTEST_SKIP() << why;
  }
  std::string with(const std::string& arguments) const {
    return std::string("--builder ") + GetParam() + " " + arguments;
  }
  std::string names_in_its_storage() const {
    return with_tools(std::string(GetParam()) + " images --format '{{.Repository}}'").out;
  }
};

TEST_P(Builders, BuildWhatRunsInASandbox) {
  const Outcome built = build(with("-t demo -t team/demo:v1 --build-arg WORD=hello " + context()));
  ASSERT_EQ(built.status, 0) << built.err;
  const json image = json::parse(built.out);
  EXPECT_EQ(image["names"], json::array({"demo:latest", "team/demo:v1"}));
  EXPECT_EQ(found("demo").digest, found("team/demo:v1").digest);
  EXPECT_EQ(read_file(found("demo").layers.back() + "/kept"), "kept");
  const std::vector<std::string> env = found("demo").config.env;
  EXPECT_NE(std::find(env.begin(), env.end(), "GIVEN=hello"), env.end());
  const Outcome run =
      shell("COVE_ROOT=" + store() + " " + command_path() + " run --best-effort demo");
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(names_in_its_storage().find("cove-build"), std::string::npos);
  EXPECT_EQ(count("staging"), 0U);
}

TEST_P(Builders, BuildAgainOnlyWhatHasChanged) {
  EXPECT_TRUE(is_rebuilt(with("-t demo")));
  const std::string digest = found("demo").digest;
  EXPECT_FALSE(is_rebuilt(with("-t demo -t other")));
  EXPECT_EQ(found("other").digest, digest);
  EXPECT_TRUE(is_rebuilt(with("-t demo --rebuild")));
  put("kept", "changed");
  EXPECT_TRUE(is_rebuilt(with("-t demo")));
  EXPECT_EQ(read_file(found("demo").layers.back() + "/kept"), "changed");
  EXPECT_TRUE(is_rebuilt(with("-t base --target base")));
  EXPECT_EQ(shell("ls " + found("base").layers.back() + "/kept").status, 2);
  EXPECT_TRUE(is_rebuilt(with("-t demo --no-cache")));
}

TEST_P(Builders, TellWhyABuildFails) {
  put("Dockerfile", "FROM scratch\nCOPY missing /\n");
  const Outcome loud = build(with(context())), quiet = build(with("--quiet " + context()));
  for (const Outcome& failed : {loud, quiet}) {
    EXPECT_EQ(failed.status, 125);
    EXPECT_EQ(json::parse(failed.out)["code"], "setup_failed") << failed.out;
    EXPECT_NE(failed.err.find("COPY missing"), std::string::npos) << failed.err;
    EXPECT_NE(failed.err.find("build failed with exit status"), std::string::npos) << failed.err;
  }
  EXPECT_EQ(run("ls --json").out, "[]\n");
}

INSTANTIATE_TEST_SUITE_P(Real, Builders, ::testing::Values("buildah", "podman", "docker"),
                         [](const auto& one) { return std::string(one.param); });

// A builder that writes down how it was called, and gives an image that is there already.
class FakeBuilder : public Context {
 protected:
  FakeBuilder() {
    Image image = demo();
    image.name.clear();
    archive("image.tar", image.docker_archive());
    std::filesystem::create_directory(scratch_ / "bin");
    for (const char* name : {"buildah", "podman", "docker"}) install(name);
  }
  void install(const std::string& name) const {
    const std::string program = scratch_ / "bin/" + name;
    write_file(program, "#!/bin/sh\n{ printf '%s' '" + name +
                            "'; printf ' <%s>' \"$@\"; echo; } >>" + (scratch_ / "calls") +
                            "\ncase $1 in\nbuild) " + while_building_ +
                            " ;;\nimages) echo sha256:1234 ;;\nsave|push) cat " +
                            (scratch_ / "image.tar") + " ;;\nesac\n");
    chmod(program.c_str(), 0755);
  }
  Outcome build(const std::string& arguments, const std::string& environment = "") const {
    return shell("PATH=" + (scratch_ / "bin") + ":$PATH " + environment + " " +
                 command("build --json " + arguments));
  }
  bool is_rebuilt(const std::string& arguments = "") const {
    const Outcome built = build(arguments + " " + context());
    EXPECT_EQ(built.status, 0) << built.err;
    return built.status == 0 && !json::parse(built.out)["already_loaded"];
  }
  // Since the last time, without the name that is random.
  std::string calls() const {
    return shell("sed -E 's/cove-build:[0-9a-f]{16}/cove-build:TAG/g' " + (scratch_ / "calls") +
                 "; rm -f " + (scratch_ / "calls"))
        .out;
  }

  std::string while_building_ = ":";
};

TEST_F(FakeBuilder, GetsItsWordsWhereNoneIsAnOption) {
  const std::string name = "localhost/cove-build:TAG";
  const std::string wish = "--target=--net --build-arg A='b $(c) d' --build-arg B -f " + context() +
                           "/Dockerfile " + context();
  const std::string words =
      " <--file=" + context() +
      "/Dockerfile> <--target=--net> <--build-arg=A=b $(c) d> <--build-arg=B>";
  ASSERT_EQ(build("--builder docker --pull --no-cache " + wish).status, 0);
  EXPECT_EQ(calls(), "docker <build> <--tag=" + name + ">" + words +
                         " <--force-rm> <--no-cache> <--pull> <--> <" + context() +
                         ">\ndocker <images> <--quiet> <--no-trunc> <--> <" + name +
                         ">\ndocker <save> <--> <sha256:1234>\ndocker <rmi> <--no-prune> <--> <" +
                         name + ">\n");
  ASSERT_EQ(build("--builder podman --pull " + wish).status, 0);
  EXPECT_EQ(calls(), "podman <build> <--tag=" + name + ">" + words + " <--pull=always> <--> <" +
                         context() + ">\npodman <images> <--quiet> <--no-trunc> <--> <" + name +
                         ">\npodman <save> <--> <sha256:1234>\npodman <rmi> <--no-prune> <--> <" +
                         name + ">\n");
  ASSERT_EQ(build(wish).status, 0);
  EXPECT_EQ(calls(),
            "buildah <build> <--tag=" + name + ">" + words + " <--> <" + context() +
                ">\nbuildah <images> <--quiet> <--no-trunc> <--> <" + name +
                ">\nbuildah <push> <--quiet> <--> <sha256:1234> <docker-archive:/dev/stdout>"
                "\nbuildah <rmi> <--> <" +
                name + ">\n");
}

TEST_F(FakeBuilder, IsChosenByOptionThenEnvironmentThenOrder) {
  const auto used = [&](const std::string& options, const std::string& environment) {
    EXPECT_EQ(build("--rebuild " + options + " " + context(), environment).status, 0);
    const std::string text = calls();
    return text.substr(0, text.find(' '));
  };
  EXPECT_EQ(used("", ""), "buildah");
  EXPECT_EQ(used("", "COVE_BUILDER=docker"), "docker");
  EXPECT_EQ(used("--builder podman", "COVE_BUILDER=docker"), "podman");
  EXPECT_EQ(build(context(), "COVE_BUILDER=kaniko").status, 125);
  std::filesystem::create_directory(scratch_ / "none");
  const std::string nothing = "PATH=" + (scratch_ / "none");
  const Outcome none = shell(nothing + " " + command("build " + context()));
  EXPECT_EQ(none.status, 125);
  EXPECT_EQ(none.err,
            "build: there is no program that builds images from a Dockerfile (install "
            "package buildah, podman or docker.io)\n");
  const Outcome one = shell(nothing + " " + command("build --builder docker " + context()));
  EXPECT_EQ(one.err, "build: docker is not installed (Debian has it in package docker.io)\n");
}

TEST_F(FakeBuilder, IsCalledAgainForEachChangeOfWhatItReads) {
  EXPECT_TRUE(is_rebuilt());
  EXPECT_FALSE(is_rebuilt());
  const auto change = [&](const std::string& script) {
    ASSERT_EQ(shell("cd " + context() + " && " + script).status, 0) << script;
  };
  for (const char* script :
       {"echo more >>kept", "chmod 755 kept", "mv kept other", "mkdir empty", "chmod 700 empty",
        "ln -s other link", "ln -sf elsewhere link", "mkfifo fifo", "echo '#' >>Dockerfile",
        "mkdir -p a/b && echo x >a/b/c", "mv a/b/c a/c", "rm -r a/b",
        "setfattr -n user.x -v y other", "echo nothing >.dockerignore"}) {
    ASSERT_NO_FATAL_FAILURE(change(script));
    EXPECT_TRUE(is_rebuilt()) << script;
    EXPECT_FALSE(is_rebuilt()) << script;
  }
  // What COPY does not keep.
  ASSERT_NO_FATAL_FAILURE(change("touch -d 2001-01-01 other && cp -a . ../elsewhere"));
  EXPECT_FALSE(is_rebuilt());
  EXPECT_TRUE(json::parse(build(scratch_ / "elsewhere").out)["already_loaded"])
      << "where it lies is not part of it";
  for (const char* words : {"--target a", "--build-arg A=b", "--build-arg A=c", "--builder podman",
                            "--build-arg A=b --build-arg C=d"}) {
    EXPECT_TRUE(is_rebuilt(words)) << words;
    EXPECT_FALSE(is_rebuilt(words)) << words;
  }
  EXPECT_FALSE(json::parse(build("--build-arg E " + context(), "E=1").out)["already_loaded"]);
  EXPECT_TRUE(json::parse(build("--build-arg E " + context(), "E=1").out)["already_loaded"]);
  EXPECT_FALSE(json::parse(build("--build-arg E " + context(), "E=2").out)["already_loaded"]);
}

TEST_F(FakeBuilder, IsNotCalledForWhatIsIgnored) {
  put(".dockerignore", "*.log\nbuild\n!build/needed\n");
  std::filesystem::create_directory(context() + "/build");
  EXPECT_TRUE(is_rebuilt());
  put("a.log", "x");
  put("build/object", "x");
  EXPECT_FALSE(is_rebuilt());
  put("build/needed", "x");
  EXPECT_TRUE(is_rebuilt());
  // Another ignore file, which some builders prefer: then nothing is ignored.
  put(".containerignore", "");
  EXPECT_TRUE(is_rebuilt());
  put("a.log", "y");
  EXPECT_TRUE(is_rebuilt());
}

TEST_F(FakeBuilder, IsCalledAgainWhereTheImageIsGoneOrItsRecordDamaged) {
  EXPECT_TRUE(is_rebuilt("-t demo"));
  EXPECT_EQ(count("images/builds"), 1U);
  const std::string record =
      std::filesystem::directory_iterator(store() + "/images/builds")->path();
  for (const char* damage : {"", "{}", "[]", "null", R"({"version": 1, "digest": "sha256:../x"})",
                             R"({"version": "1", "digest": 5})"}) {
    write_file(record, damage);
    EXPECT_TRUE(is_rebuilt("-t demo")) << damage;
  }
  const json manifest =
      json::parse(read_file(store() + "/blobs/sha256/" + found("demo").digest.substr(7)));
  const std::string blob = manifest["layers"][0]["digest"];
  std::filesystem::remove(store() + "/blobs/sha256/" + blob.substr(7));
  EXPECT_TRUE(is_rebuilt("-t demo"));
  ASSERT_EQ(run("rm demo").status, 0);
  EXPECT_EQ(count("images/builds"), 0U) << "it goes with its image";
  EXPECT_TRUE(is_rebuilt("-t demo"));
}

TEST_F(FakeBuilder, IsNotTrustedWithAContextThatChangedMeanwhile) {
  while_building_ = "echo more >>" + context() + "/kept";
  install("buildah");
  EXPECT_TRUE(is_rebuilt());
  EXPECT_EQ(count("images/builds"), 0U);
  EXPECT_TRUE(is_rebuilt());
}

TEST_F(FakeBuilder, WhoseArchiveIsNoneLeavesNothing) {
  archive("image.tar", "no archive");
  const Outcome wrong = build("-t demo " + context());
  EXPECT_EQ(wrong.status, 125);
  EXPECT_NE(wrong.err.find("what the builder gave: "), std::string::npos) << wrong.err;
  EXPECT_NE(calls().find("<rmi>"), std::string::npos);
  EXPECT_EQ(run("ls --json").out, "[]\n");
  EXPECT_EQ(count("images/builds"), 0U);
  EXPECT_EQ(count("staging"), 0U);
}

TEST_F(FakeBuilder, EndsWithItsCaller) {
  while_building_ = "echo $$ >" + (scratch_ / "pid") + "; exec sleep 100";
  install("buildah");
  RunningCommand building({"/usr/bin/env", "PATH=" + (scratch_ / "bin") + ":/usr/bin:/bin",
                           cove_image(), "--store", store(), "build", context()});
  std::string pid;
  for (const double end = seconds_now() + 10; !pid.ends_with('\n') && seconds_now() < end;)
    pid = read_file(scratch_ / "pid");
  building.kill(SIGKILL);
  building.wait();
  const std::string process = "/proc/" + pid.substr(0, pid.size() - 1);
  for (const double end = seconds_now() + 10;
       std::filesystem::exists(process) && seconds_now() < end;)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(std::filesystem::exists(process));
}

TEST_F(FakeBuilder, TellsAllMistakesAtOnce) {
  const Outcome wrong = build("-t 'A B' -t sha256:x --build-arg =x --build-arg 'a b=c' -f " +
                              (scratch_ / "missing") + " --builder kaniko " + (scratch_ / "nodir"));
  EXPECT_EQ(wrong.status, 125);
  EXPECT_EQ(std::count(wrong.err.begin(), wrong.err.end(), '\n'), 7) << wrong.err;
  std::filesystem::remove(context() + "/Dockerfile");
  const Outcome none = build(context());
  EXPECT_EQ(none.err,
            "build: " + context() + "/Dockerfile: is no file (name the Dockerfile with --file)\n");
  put("Containerfile", kDockerfile);
  EXPECT_TRUE(is_rebuilt());
  EXPECT_NE(calls().find("/Containerfile>"), std::string::npos);
}

}  // namespace
}  // namespace cove::testing
