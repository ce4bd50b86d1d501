// cove-image from outside: every kind of archive, damage, two at once, kill -9, removal, other
// tools.

#include <spawn.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <thread>

#include "cove/engine.h"
#include "cove/image.h"
#include "cove/json.h"
#include "tests/integration/images/image_store.h"

namespace cove {
namespace {

using nlohmann::json;
using testing::cove_image;
using testing::directory;
using testing::file;
using testing::Filter;
using testing::Image;
using testing::ImageStore;
using testing::installed;
using testing::Outcome;
using testing::ScratchDirectory;
using testing::symlink;
using testing::tar;
using testing::write_file;

TEST_F(ImageStore, LoadsEveryKindOfArchive) {
  demo().oci_directory(scratch_ / "layout");
  const std::string docker = archive("docker.tar", demo().docker_archive());
  const std::string oci = archive("oci.tar", demo().oci_archive());
  const std::string zipped =
      archive("docker.tar.gz", testing::compressed(demo().docker_archive(), Filter::gzip));
  Image gzip = demo(), zstd = demo();
  gzip.filter = Filter::gzip;
  zstd.filter = Filter::zstd;
  const std::string gzip_layers = archive("gzip.tar", gzip.oci_archive());
  const std::string zstd_layers = archive("zstd.tar", zstd.oci_archive());
  for (const std::string& reference :
       {docker, oci, zipped, gzip_layers, zstd_layers, "docker-archive:" + docker,
        "oci-archive:" + oci, "oci-archive:" + oci + ":demo:v1",
        "docker-archive:" + docker + ":demo:v1", "oci:" + (scratch_ / "layout"),
        scratch_ / "layout", "oci:" + (scratch_ / "layout") + ":demo:v1"}) {
    SCOPED_TRACE(reference);
    std::filesystem::remove_all(store());
    const Outcome outcome = run("load " + reference);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(outcome.out.starts_with("Loaded demo:v1 (sha256:")) << outcome.out;
    EXPECT_NE(outcome.out.find(", 3 layers, "), std::string::npos) << outcome.out;
    EXPECT_EQ(outcome.err, "");
    expect_demo(found("demo:v1"));
    EXPECT_EQ(count("staging"), 0U);
  }
}

TEST_F(ImageStore, LoadsAPipe) {
  const std::string path = archive("d.tar", demo().docker_archive());
  const Outcome outcome = shell("cat " + path + " | " + command("load - --name piped --json"));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json answer = json::parse(outcome.out);
  EXPECT_EQ(answer["name"], "piped:latest");
  EXPECT_EQ(answer["layers"], 3);
  expect_demo(found("piped"));
}

TEST_F(ImageStore, FindsAnImageByNameDigestAndPrefix) {
  ASSERT_EQ(run("load --name localhost:5000/team/app " + archive("d.tar", demo().docker_archive()))
                .status,
            0);
  const std::string digest = found("localhost:5000/team/app:latest").digest;
  EXPECT_EQ(found("localhost:5000/team/app").name, "localhost:5000/team/app");
  EXPECT_EQ(found(digest).digest, digest);
  EXPECT_EQ(found(digest.substr(0, 7 + 12)).digest, digest);
  EXPECT_EQ(found(digest.substr(7, 12)).digest, digest);
  EXPECT_EQ(found("whatever@" + digest).digest, digest);
  const Result<ImageFacts> missing = find_image(store(), "other");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::image_not_found);
  EXPECT_NE(missing.error().hint.find("localhost:5000/team/app:latest"), std::string::npos)
      << missing.error().message();
  for (const std::string& wrong : {"sha256:" + std::string(64, '0'), std::string("sha256:0123"),
                                   "sha256:" + std::string(12, '0'), std::string("0123456789ab"),
                                   std::string("sha256:../../../etc")}) {
    const Result<ImageFacts> none = find_image(store(), wrong);
    ASSERT_FALSE(none) << wrong;
    EXPECT_EQ(none.error().code, ErrorCode::image_not_found) << none.error().message();
  }
}

TEST_F(ImageStore, FindingIsQuick) {
  ASSERT_EQ(run("load " + archive("d.tar", demo().docker_archive())).status, 0);
  std::vector<double> times;
  for (int i = 0; i < 101; ++i) {
    const auto start = std::chrono::steady_clock::now();
    ASSERT_TRUE(find_image(store(), "demo:v1"));
    times.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
            .count());
  }
  std::sort(times.begin(), times.end());
  RecordProperty("median_microseconds", std::to_string(times[50]));
  EXPECT_LT(times[50], 1000)
      << "microseconds; ten times the budget, for loaded machines and sanitizers";
}

TEST_F(ImageStore, TellsHowFarALoadIs) {
  const std::string path = archive("d.tar", demo().docker_archive());
  const Outcome lines = run("load " + path);
  EXPECT_EQ(lines.progress.size(), 3U);
  for (const std::string& line : lines.progress) EXPECT_NE(line.find(" of 3: sha256:"), line.npos);
  std::filesystem::remove_all(store());

  const Outcome events = run("load --json " + path);
  std::set<int> done;
  for (const std::string& line : events.progress) {
    const json event = json::parse(line);
    EXPECT_EQ(event["layers"], 3);
    EXPECT_LE(event["bytes"], event["total"]);
    if (event["state"] == "done") EXPECT_TRUE(done.insert(event["layer"].get<int>()).second);
  }
  EXPECT_EQ(done, (std::set<int>{1, 2, 3}));
  EXPECT_EQ(json::parse(events.out)["layers"], 3) << "the result is the last line";
  EXPECT_TRUE(run("load --quiet " + path).progress.empty());
}

TEST_F(ImageStore, AFailureHasItsCodeInJsonAndInALaunch) {
  const std::string none = "docker-archive:" + scratch_ / "none.tar";
  const std::string broken =
      "docker-archive:" + archive("broken.tar", tar({file("manifest.json", "{")}));
  EngineOptions options;
  options.store = store();
  options.libexec = std::filesystem::path(cove_image()).parent_path();
  Result<Engine> engine = Engine::create(options);
  ASSERT_TRUE(engine) << engine.error().message();
  for (const auto& [reference, code] :
       {std::pair{none, ErrorCode::image_not_found}, {broken, ErrorCode::image_invalid}}) {
    const Outcome outcome = run("load --json " + reference);
    EXPECT_EQ(outcome.status, 125);
    EXPECT_EQ(json::parse(outcome.out)["code"], to_string(code)) << outcome.out;
    const Result<Error> told = error_from_json(outcome.out);
    ASSERT_TRUE(told) << told.error().message();
    EXPECT_EQ(told->message() + "\n", outcome.err);

    SandboxSpec spec;
    spec.image = reference;
    spec.command = {{"true"}};
    const auto launched = engine->launch(spec, {});
    ASSERT_FALSE(launched);
    EXPECT_EQ(launched.error().code, code);
    EXPECT_EQ(launched.error().message() + "\n", "load " + reference + ": " + outcome.err);
  }
}

TEST_F(ImageStore, KnowsAnUnchangedArchiveAgain) {
  const std::string path = archive("d.tar", demo().docker_archive());
  const std::string reference = "docker-archive:" + path;
  ASSERT_FALSE(find_image(store(), reference)) << "not loaded yet";
  ASSERT_EQ(run("load " + reference).status, 0);
  expect_demo(found(reference));
  EXPECT_EQ(found(reference).name, reference);
  EXPECT_TRUE(json::parse(run("load --json " + reference).out)["already_loaded"]);

  Image other = demo();
  other.layers.pop_back();
  archive("d.tar", other.docker_archive());
  const Result<ImageFacts> changed = find_image(store(), reference);
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, ErrorCode::image_not_found);
  EXPECT_FALSE(json::parse(run("load --json " + reference).out)["already_loaded"]);
  EXPECT_EQ(found(reference).layers.size(), 2U);

  ASSERT_EQ(run("rm demo:v1").status, 0);
  EXPECT_FALSE(find_image(store(), reference)) << "removed";
  ASSERT_EQ(run("load " + reference).status, 0);
  EXPECT_EQ(found(reference).layers.size(), 2U);
}

TEST_F(ImageStore, AKnownArchiveGetsItsNameBack) {
  const std::string path = archive("d.tar", demo().docker_archive());
  ASSERT_EQ(run("load " + path).status, 0);
  const std::string digest = found("demo:v1").digest;
  Image other = demo();
  other.layers.pop_back();
  ASSERT_EQ(run("load " + archive("e.tar", other.docker_archive())).status, 0);
  ASSERT_NE(found("demo:v1").digest, digest);
  ASSERT_EQ(run("load " + path).status, 0);
  EXPECT_EQ(found("demo:v1").digest, digest);
}

TEST_F(ImageStore, StacksEqualLayersOnceAndNothingBelowAnOpaqueRoot) {
  const std::string empty = tar({});
  const std::string base = tar({file("base")});
  Image doubled{{base, empty, base, empty}, Filter::none, "doubled:v1"};
  ASSERT_EQ(run("load " + archive("d.tar", doubled.docker_archive())).status, 0);
  const ImageFacts facts = found("doubled:v1");
  ASSERT_EQ(facts.layers.size(), 2U);
  EXPECT_TRUE(std::filesystem::exists(facts.layers[0] + "/base"));

  Image opaque{{base, tar({file(".wh..wh..opq", ""), file("only")}), tar({file("top")})},
               Filter::none,
               "opaque:v1"};
  ASSERT_EQ(run("load " + archive("o.tar", opaque.docker_archive())).status, 0);
  const ImageFacts hidden = found("opaque:v1");
  ASSERT_EQ(hidden.layers.size(), 2U);
  EXPECT_TRUE(std::filesystem::exists(hidden.layers[0] + "/only"));
}

TEST_F(ImageStore, MarksOpaqueDirectoriesForBothKindsOfOverlay) {
  Image image{
      {tar({file("d/low")}), tar({directory("d"), file("d/.wh..wh..opq", ""), file("d/high")})},
      Filter::none,
      "o:v1"};
  ASSERT_EQ(run("load " + archive("o.tar", image.docker_archive())).status, 0);
  const std::string path = found("o:v1").layers[1] + "/d";
  char value = 0;
  EXPECT_EQ(lgetxattr(path.c_str(), "user.overlay.opaque", &value, 1), 1);
  EXPECT_EQ(value, 'y');
  struct stat status {};
  ASSERT_EQ(lstat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mtim.tv_sec, 1'700'000'000);
  if (geteuid() != 0) GTEST_SKIP() << "trusted.* needs root";
  EXPECT_EQ(lgetxattr(path.c_str(), "trusted.overlay.opaque", &value, 1), 1);
}

// What overlayfs makes of the layers is the judge.
TEST_F(ImageStore, LayersStackAsTheImageMeans) {
  if (geteuid() != 0) GTEST_SKIP() << "mounting needs root";
  Image image{{tar({file("etc/gone"), file("d/low"), file("kept"), directory("r"), file("r/old")}),
               tar({file("etc/.wh.gone", ""), file("d/.wh..wh..opq", ""), file("d/high"),
                    file(".wh.r", ""), file("r/new")})},
              Filter::none,
              "merge:v1"};
  ASSERT_EQ(run("load " + archive("m.tar", image.docker_archive())).status, 0);
  const ImageFacts facts = found("merge:v1");
  for (const char* options : {"", ",userxattr"}) {
    const Outcome seen =
        shell("unshare -m sh -ec 'mount -t overlay overlay -o lowerdir=" + facts.layers[1] + ":" +
              facts.layers[0] + options + " /mnt; cd /mnt; find . -type f | sort'");
    ASSERT_EQ(seen.status, 0) << seen.err;
    EXPECT_EQ(seen.out, "./d/high\n./kept\n./r/new\n") << options;
  }
}

TEST_F(ImageStore, NamesExpectedAndFoundDigests) {
  Image image = demo();
  image.filter = Filter::gzip;
  const auto files = image.oci_files();
  for (std::size_t at = 0; at < files.size(); ++at) {
    if (!files[at].first.starts_with("blobs/")) continue;
    SCOPED_TRACE(files[at].first);
    std::vector<testing::Entry> entries;
    for (std::size_t i = 0; i < files.size(); ++i) {
      std::string content = files[i].second;
      if (i == at) content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 1);
      entries.push_back(file(files[i].first, content));
    }
    const Outcome outcome = run("load " + archive("bad.tar", tar(entries)));
    EXPECT_EQ(outcome.status, 125);
    EXPECT_NE(outcome.err.find("expected sha256:" + files[at].first.substr(13)), std::string::npos)
        << outcome.err;
    EXPECT_NE(outcome.err.find("found sha256:"), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_EQ(count("layers") + count("blobs/sha256") + count("staging"), 0U) << "nothing stays";
    EXPECT_FALSE(find_image(store(), "demo:v1"));
  }
}

TEST_F(ImageStore, RefusesALayerThatIsNotWhatTheConfigurationSays) {
  Image image = demo();
  const std::string honest = image.config();
  const std::string other_id = sha256_of("something else");
  std::string lying = honest;
  lying.replace(lying.find(sha256_of(image.layers[1])), 71, other_id);
  std::string bytes =
      R"([{"Config":"c.json","RepoTags":["demo:v1"],"Layers":["0.tar","1.tar","2.tar"]}])";
  const std::string path = archive(
      "bad.tar",
      tar({file("c.json", lying), file("0.tar", image.layers[0]), file("1.tar", image.layers[1]),
           file("2.tar", image.layers[2]), file("manifest.json", bytes)}));
  const Outcome outcome = run("load " + path);
  EXPECT_EQ(outcome.status, 125);
  EXPECT_NE(outcome.err.find("layer 2 of 3"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("expected " + other_id + ", found " + sha256_of(image.layers[1])),
            std::string::npos)
      << outcome.err;
  EXPECT_EQ(count("layers"), 0U);
}

TEST_F(ImageStore, RefusesWhatIsNoImage) {
  const std::string docker = demo().docker_archive();
  const std::string zipped = testing::compressed(docker, Filter::gzip);
  const struct {
    const char* name;
    std::string bytes;
    const char* says;
  } cases[] = {
      {"empty.tar", "", "is not an image archive"},
      {"text.tar", "just some text, nothing else", "is not an image archive"},
      {"other.tar", tar({file("README", "hello")}),
       "holds neither index.json (OCI) nor manifest.json"},
      {"cut.tar", docker.substr(0, docker.size() / 2), "is not an image archive"},
      {"cut.tar.gz", zipped.substr(0, zipped.size() / 2), "truncated"},
      {"twice.tar", tar({file("manifest.json", "[]"), file("manifest.json", "[]")}),
       "is in the archive twice"},
      {"none.tar", tar({file("manifest.json", "[]")}), "the archive holds no image"},
      {"json.tar", tar({file("manifest.json", "[{")}), "is not JSON"},
      {"deep.tar", tar({file("manifest.json", std::string(200'000, '['))}), "manifest.json"},
      {"missing.tar", tar({file("manifest.json", R"([{"Config":"c","Layers":[]}])")}),
       "is missing in the archive"},
      {"escape.tar",
       tar({file("manifest.json", R"([{"Config":"../../../etc/passwd","Layers":[]}])")}),
       "is missing in the archive"},
      {"link.tar",
       tar({symlink("c", "/etc/passwd"), file("manifest.json", R"([{"Config":"c","Layers":[]}])")}),
       "is missing in the archive"},
      {"loop.tar",
       tar({symlink("c", "c"), file("manifest.json", R"([{"Config":"c","Layers":[]}])")}),
       "is missing in the archive"},
      {"platform.tar",
       tar({file("c",
                 R"({"os":"linux","architecture":"vax","rootfs":{"type":"layers","diff_ids":[]}})"),
            file("manifest.json", R"([{"Config":"c","Layers":[]}])")}),
       "is for linux/vax"},
      {"confused.tar",
       tar({file("oci-layout", "{}"),
            file("index.json", R"({"schemaVersion":2,"manifests":[],"layers":[]})")}),
       "could be read as an index and as a manifest"},
      {"digest.tar",
       tar({file("oci-layout", "{}"),
            file("index.json",
                 R"({"schemaVersion":2,"manifests":[{"digest":"sha256:../../x","size":1}]})")}),
       "malformed or unknown digest"},
      {"hostile.tar", Image{{tar({file("../x")})}, Filter::none, "h:v1"}.docker_archive(),
       "[path-dotdot]"},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.name);
    const Outcome outcome = run("load " + archive(one.name, one.bytes));
    EXPECT_EQ(outcome.status, 125);
    EXPECT_NE(outcome.err.find(one.says), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(count("layers") + count("blobs/sha256") + count("staging"), 0U);
  }
}

TEST_F(ImageStore, ALayoutsBlobMayNotBeALinkOutOfIt) {
  demo().oci_directory(scratch_ / "layout");
  const std::string blob =
      (scratch_ / "layout") + "/blobs/sha256/" + testing::hex_of(demo().layers[0]);
  std::filesystem::rename(blob, scratch_ / "elsewhere");
  std::filesystem::create_symlink(scratch_ / "elsewhere", blob);
  const Outcome outcome = run("load oci:" + (scratch_ / "layout"));
  EXPECT_EQ(outcome.status, 125);
  EXPECT_NE(outcome.err.find("leads out of the layout"), std::string::npos) << outcome.err;
}

TEST_F(ImageStore, TellsWhichNamesThereAreToChooseFrom) {
  Image one = demo();
  const std::string config = one.config();
  const std::string list =
      R"([{"Config":"c","RepoTags":["a:1"],"Layers":["0","1","2"]},{"Config":"c","RepoTags":["b:2"],"Layers":["0","1","2"]}])";
  const std::string path =
      archive("two.tar", tar({file("c", config), file("0", one.layers[0]), file("1", one.layers[1]),
                              file("2", one.layers[2]), file("manifest.json", list)}));
  const Outcome several = run("load " + path);
  EXPECT_EQ(several.status, 125);
  EXPECT_NE(several.err.find("a:1, b:2"), std::string::npos) << several.err;
  EXPECT_EQ(run("load docker-archive:" + path + ":b:2").status, 0);
  expect_demo(found("b:2"));
  EXPECT_FALSE(find_image(store(), "a:1"));
  const Outcome wrong = run("load docker-archive:" + path + ":c:3");
  EXPECT_EQ(wrong.status, 125);
  EXPECT_NE(wrong.err.find("a:1, b:2"), std::string::npos) << wrong.err;
}

TEST_F(ImageStore, RemovesWhatNoOtherImageUses) {
  Image one = demo(), two = demo();
  two.layers.back() = tar({file("different")});
  two.name = "two:v1";
  ASSERT_EQ(run("load " + archive("1.tar", one.docker_archive())).status, 0);
  ASSERT_EQ(run("load " + archive("2.tar", two.docker_archive())).status, 0);
  EXPECT_EQ(count("layers"), 4U) << "two are shared";
  const Outcome wrong = run("rm missing:v1 demo:v1 other:v2");
  EXPECT_EQ(wrong.status, 125);
  EXPECT_EQ(std::count(wrong.err.begin(), wrong.err.end(), '\n'), 2) << wrong.err;
  EXPECT_EQ(wrong.out, "Removed demo:v1\n");
  EXPECT_EQ(count("layers"), 3U);
  EXPECT_EQ(found("two:v1").layers.size(), 3U);
  EXPECT_TRUE(std::filesystem::exists(found("two:v1").layers.front() + "/bin/tool"));
  ASSERT_EQ(run("rm " + found("two:v1").digest.substr(7, 12)).status, 0);
  EXPECT_EQ(count("layers") + count("blobs/sha256") + count("images/digests") +
                count("images/names") + count("images/transports"),
            0U);
  EXPECT_EQ(json::parse(run("ls --json").out), json::array());
}

TEST_F(ImageStore, ListsAndInspects) {
  ASSERT_EQ(run("load " + archive("1.tar", demo().docker_archive())).status, 0);
  ASSERT_EQ(run("load --name again --quiet " + (scratch_ / "1.tar")).out, "");
  const json list = json::parse(run("ls --json").out);
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0]["name"], "again:latest");
  EXPECT_EQ(list[1]["name"], "demo:v1");
  EXPECT_EQ(list[0]["digest"], list[1]["digest"]);
  const json one = json::parse(run("inspect demo:v1").out);
  EXPECT_EQ(one["names"], (json{"again:latest", "demo:v1"}));
  EXPECT_EQ(one["config"]["user"], "app");
  ASSERT_EQ(run("rm again").status, 0);
  expect_demo(found("demo:v1"));
}

TEST_F(ImageStore, NeverTakesOverADirectoryWithSomethingElseInIt) {
  std::filesystem::create_directories(store());
  write_file(store() + "/precious", "data");
  chmod(store().c_str(), 0755);
  const Outcome outcome = run("load " + archive("1.tar", demo().docker_archive()));
  EXPECT_EQ(outcome.status, 125);
  EXPECT_NE(outcome.err.find("is no store and not empty"), std::string::npos) << outcome.err;
  struct stat status {};
  ASSERT_EQ(stat(store().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0755U);
}

TEST_F(ImageStore, IsClosedToOthers) {
  std::filesystem::create_directories(store());
  chmod(store().c_str(), 0755);
  ASSERT_EQ(run("load " + archive("1.tar", demo().docker_archive())).status, 0);
  struct stat status {};
  ASSERT_EQ(stat(store().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0700U) << "an empty directory becomes ours";
  chmod(store().c_str(), 0755);
  const Outcome outcome = run("load " + (scratch_ / "1.tar"));
  EXPECT_EQ(outcome.status, 125);
  EXPECT_NE(outcome.err.find("open to other users"), std::string::npos) << outcome.err;
}

// Large enough that loads overlap and can be killed in their midst.
Image large_image() {
  std::vector<std::string> layers;
  for (int l = 0; l < 3; ++l) {
    std::vector<testing::Entry> entries;
    for (int i = 0; i < 1500; ++i) {
      entries.push_back(
          file("l" + std::to_string(l) + "/d" + std::to_string(i / 50) + "/f" + std::to_string(i),
               std::string(6000, static_cast<char>('a' + i % 26))));
    }
    layers.push_back(tar(entries));
  }
  return {layers, Filter::gzip, "large:v1"};
}

pid_t start(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(), environ);
  // Never a pid of -1: a test kills what it started, and kill(-1) is everybody.
  if (error != 0 || pid <= 0) throw std::runtime_error("cannot start " + arguments[0]);
  return pid;
}

int finish(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return status;
}

TEST_F(ImageStore, ConcurrentLoadsOfOneImageBothSucceed) {
  const std::string path = archive("large.tar", large_image().docker_archive());
  std::vector<pid_t> loads;
  for (int i = 0; i < 3; ++i) {
    loads.push_back(start({cove_image(), "--store", store(), "load", "--quiet", path, "--name",
                           "n" + std::to_string(i)}));
  }
  for (const pid_t pid : loads) EXPECT_EQ(finish(pid), 0);
  EXPECT_EQ(count("layers"), 3U);
  EXPECT_EQ(count("staging"), 0U);
  EXPECT_EQ(found("n0").digest, found("n2").digest);
  EXPECT_EQ(json::parse(testing::read_file(store() + "/index.json"))["manifests"].size(), 3U);
  EXPECT_TRUE(std::filesystem::exists(found("n1").layers[2] + "/l2/d29/f1499"));
}

TEST_F(ImageStore, AKilledLoadLeavesNothingThatIsUsed) {
  const std::string path = archive("large.tar", large_image().docker_archive());
  int killed = 0;
  for (int delay_ms = 2; delay_ms <= 200; delay_ms += 18) {
    const pid_t pid = start({cove_image(), "--store", store(), "load", "--quiet", path});
    std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    kill(pid, SIGKILL);
    if (!WIFSIGNALED(finish(pid))) break;
    ++killed;
    if (const auto facts = find_image(store(), "large:v1")) {
      EXPECT_TRUE(std::filesystem::exists(facts->layers.at(2) + "/l2/d29/f1499"))
          << "named before it was complete";
    }
  }
  EXPECT_GT(killed, 0);
  // The unpacking processes of the last one end a moment after it, and hold its staging until then.
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const Outcome outcome = run("load " + path);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(count("staging"), 0U) << "what the killed ones left";
  const ImageFacts facts = found("large:v1");
  ASSERT_EQ(facts.layers.size(), 3U);
  for (int l = 0; l < 3; ++l) {
    EXPECT_EQ(testing::read_file(facts.layers[static_cast<std::size_t>(l)] + "/l" +
                                 std::to_string(l) + "/d29/f1499")
                  .size(),
              6000U);
  }
}

TEST_F(ImageStore, OtherToolsReadTheStoreAndWeReadTheirs) {
  if (!installed("umoci") || !installed("skopeo"))
    GTEST_SKIP() << "umoci or skopeo is not installed";
  const Outcome made = shell(
      "cd " + scratch_.path() +
      " && umoci init --layout oci && umoci new --image oci:app && mkdir -p r/etc r/bin && "
      "echo 'root:x:0:0::/:' > r/etc/passwd && echo hello > r/bin/tool && chmod 4755 r/bin/tool && "
      "umoci insert --image oci:app r / && umoci config --image oci:app --config.cmd run "
      "--config.user 7 && "
      "umoci insert --image oci:app --whiteout /bin/tool && "
      "skopeo copy oci:oci:app docker-archive:docker.tar:app:v2 && skopeo copy oci:oci:app "
      "oci-archive:oci.tar:app:v3");
  ASSERT_EQ(made.status, 0) << made.err;
  for (const std::string& reference : {"oci:" + (scratch_ / "oci") + ":app --name app:v1",
                                       scratch_ / "docker.tar", scratch_ / "oci.tar"}) {
    const Outcome outcome = run("load " + reference);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
  }
  for (const char* name : {"app:v1", "app:v2", "app:v3"}) {
    SCOPED_TRACE(name);
    const ImageFacts facts = found(name);
    EXPECT_EQ(facts.passwd, "root:x:0:0::/:\n");
    EXPECT_EQ(facts.config.command, std::vector<std::string>{"run"});
    EXPECT_EQ(facts.config.user, "7");
    ASSERT_EQ(facts.layers.size(), 3U) << "and one with the time of /bin, which the second has not";
    struct stat status {};
    ASSERT_EQ(stat((facts.layers[0] + "/bin/tool").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, geteuid() == 0 ? 04755U : 0755U);
    ASSERT_EQ(lstat((facts.layers[1] + "/bin/tool").c_str(), &status), 0);
    EXPECT_TRUE(S_ISCHR(status.st_mode));
    const Outcome back = shell("skopeo inspect oci:" + store() + ":" + name);
    ASSERT_EQ(back.status, 0) << back.err;
    EXPECT_EQ(json::parse(back.out)["Digest"], facts.digest);
  }
  // What they add to our layout survives our garbage collection.
  ASSERT_EQ(
      shell("skopeo copy oci:" + (scratch_ / "oci") + ":app oci:" + store() + ":theirs").status, 0);
  ASSERT_EQ(run("rm app:v1 app:v2 app:v3").status, 0);
  const Outcome theirs = shell("skopeo copy oci:" + store() + ":theirs dir:" + (scratch_ / "copy"));
  EXPECT_EQ(theirs.status, 0) << theirs.err;
}

TEST_F(ImageStore, MistakesOfTheCommandLineAreOneLine) {
  for (const char* arguments :
       {"load", "load --what x", "frobnicate", "", "load /does/not/exist", "load --name 'a b' x",
        "inspect nothing", "load oci:", "load --max-bytes nonsense x"}) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.status, 125) << arguments;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1)
        << arguments << ": " << outcome.err;
    EXPECT_EQ(outcome.out, "") << arguments;
  }
  EXPECT_EQ(run("--help").status, 0);
}

}  // namespace
}  // namespace cove
