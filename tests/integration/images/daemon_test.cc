// Images of a container engine's daemon, docker-daemon:NAME: a daemon that has them, one that
// answers as it likes, and none.
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>

#include "runtime/kernel/fd.h"
#include "tests/integration/images/registries.h"
#include "tests/support/files.h"

namespace cove::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

using Faults = std::vector<json>;

constexpr const char* kAsk = "/json";
constexpr const char* kArchive = "/get";
constexpr int kOtherUser = 54321;

const std::string kHex = "c0ffee" + std::string(56, '0') + "17";  // of the image's id
const std::string kId = "sha256:" + kHex;

// daemon.py, beside this file, which says what its settings are. Ended with this object.
class FakeDaemon {
 public:
  FakeDaemon(const json& images, const Faults& faults) {
    const json settings{
        {"socket", socket()}, {"log", scratch_ / "log"}, {"images", images}, {"faults", faults}};
    write_file(scratch_ / "settings", settings.dump());
    process_ =
        std::make_unique<RunningCommand>(python_script("daemon.py", {scratch_ / "settings"}));
    EXPECT_TRUE(comes_true([&] { return std::filesystem::exists(socket()); }))
        << "it does not start";
  }

  std::string directory() const { return scratch_.path(); }
  std::string socket() const { return scratch_ / "socket"; }
  std::vector<std::string> paths(const std::string& part = "") const {
    std::vector<std::string> found;
    for (const json& request : requests_in(scratch_ / "log", part))
      found.push_back(request["path"]);
    return found;
  }
  std::size_t exports() const { return paths(kArchive).size(); }

 private:
  ScratchDirectory scratch_;
  std::unique_ptr<RunningCommand> process_;
};

class ImageOfADaemon : public ImageStore {
 protected:
  // A daemon with demo(), by these names.
  void serve(const std::vector<std::string>& names = {"demo:v1"}, const std::string& id = kId,
             const Faults& faults = {}) {
    json images = json::object();
    for (const std::string& name : names) images[name] = {{"id", id}, {"archive", demo_archive_}};
    serve_images(images, faults);
  }
  void serve_with(const json& fault) { serve({"demo:v1"}, kId, {fault}); }
  void serve_images(const json& images, const Faults& faults = {}) {
    daemon_ = std::make_unique<FakeDaemon>(images, faults);
    docker_host_ = "unix://" + daemon_->socket();
  }

  std::string load_command(const std::string& image, const std::string& options) const {
    return "env -i PATH=/usr/bin:/bin " + environment_ + " DOCKER_HOST='" + docker_host_ + "' " +
           command("load " + options + " 'docker-daemon:" + image + "'");
  }
  Outcome load(const std::string& image = "demo:v1", const std::string& options = "") const {
    return shell("exec " + load_command(image, options));
  }
  std::vector<std::string> names_after_load(const std::string& image) const {
    const Outcome outcome = load(image, "--json --quiet");
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.status == 0 ? json::parse(outcome.out)["names"] : json::array();
  }
  void expect_loaded(const Outcome& outcome, const std::string& verb = "Loaded demo:v1 ") const {
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_THAT(outcome.out, StartsWith(verb));
    EXPECT_EQ(count("staging"), 0U);
  }
  void expect_nothing_left() const {
    for (const char* place : {"staging", "layers", "implied", "blobs/sha256", "images/digests",
                              "images/names", "images/transports"})
      EXPECT_EQ(count(place), 0U) << place;
  }
  // In one line, which holds `words`.
  void expect_refused(const Outcome& outcome, const std::string& words) const {
    EXPECT_EQ(outcome.status, 125);
    EXPECT_THAT(outcome.err, HasSubstr(words));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    expect_nothing_left();
  }
  // An image of each case, "case-0:v1" and so on, at which the daemon has this fault.
  struct Case {
    const char* request;
    json fault;
    std::string words;  // of the refusal
  };
  void expect_each_refused(const std::vector<Case>& cases) {
    json images = json::object();
    Faults faults;
    std::vector<std::string> names;
    for (const Case& one : cases) {
      const std::string number = std::to_string(names.size());
      const std::string id = "sha256:" + std::string(64 - number.size(), 'a') + number;
      names.push_back("case-" + number + ":v1");
      images[names.back()] = {{"id", id}, {"archive", demo_archive_}};
      const std::string& asked = one.request == kAsk ? names.back() : id;
      faults.push_back(fault("/" + asked + one.request, one.fault));
    }
    serve_images(images, faults);
    for (std::size_t at = 0; at < cases.size(); ++at) {
      SCOPED_TRACE(faults[at].dump().substr(0, 300));
      expect_refused(load(names[at]), "docker daemon: " + names[at] + ": " + cases[at].words);
    }
  }

  const std::string demo_archive_ = archive("demo.tar", demo().docker_archive());
  std::unique_ptr<FakeDaemon> daemon_;
  std::string docker_host_;
  std::string environment_;  // more of it: "NAME=value ..."
};

// ---- a daemon as it should be ----

TEST_F(ImageOfADaemon, IsAskedForItsIdAndLoadedByThat) {
  serve();
  expect_loaded(load());
  expect_demo(found("demo:v1"));
  EXPECT_THAT(daemon_->paths(), ElementsAre("/images/demo:v1/json", "/images/" + kId + "/get"));
  EXPECT_EQ(run("verify").status, 0);
}

TEST_F(ImageOfADaemon, IsLoadedHoweverItIsSent) {
  const Image large{{tar({file("one", noise(600'000, 1))}), tar({file("two", noise(50'000, 2))})},
                    Filter::none,
                    "large:v1"};
  const std::string path = archive("large.tar", large.docker_archive());
  for (const json& fault_here :
       Faults{json::object(), {{"sized", true}}, {{"until_closed", true}}}) {
    serve_images({{"large:v1", {{"id", kId}, {"archive", path}}}}, {fault(kArchive, fault_here)});
    expect_loaded(load("large:v1"), "Loaded large:v1 ");
    EXPECT_EQ(read_file(found("large:v1").layers[0] + "/one"), noise(600'000, 1));
    EXPECT_EQ(read_file(found("large:v1").layers[1] + "/two"), noise(50'000, 2));
    ASSERT_EQ(run("rm -q large:v1").status, 0);
  }
}

TEST_F(ImageOfADaemon, GetsTheNameThatItWasAskedForBy) {
  const std::string digest = "sha256:" + std::string(64, 'd');
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases{
      {"demo", {"demo:latest"}},
      {"demo:v2", {"demo:v2"}},
      {"docker.io/library/demo:v1", {"demo:v1"}},
      {"localhost:5000/team/demo:v1", {"localhost:5000/team/demo:v1"}},
      {"demo:v1@" + digest, {"demo:v1"}},
      {"demo@" + digest, {}},
      {"cafe", {"cafe:latest"}},                  // of hex digits, and no id
      {"cafecafecafe", {"cafecafecafe:latest"}},  // the same, as long as one
      {kId, {}},
      {kHex, {}},
      {kHex.substr(0, 12), {}},
      {kId.substr(0, 7 + 12), {}}};
  std::vector<std::string> known;
  for (const auto& [asked, names] : cases) known.push_back(asked);
  serve(known);
  for (const auto& [asked, names] : cases) {
    SCOPED_TRACE(asked);
    EXPECT_EQ(names_after_load(asked), names);
    EXPECT_THAT(daemon_->paths("/images/" + asked + "/json"), SizeIs(1));
  }
  EXPECT_EQ(daemon_->exports(), 1U);
}

TEST_F(ImageOfADaemon, WithoutANameIsFoundByItsDigest) {
  serve();
  const Outcome outcome = load(kHex.substr(0, 12), "--json --quiet");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(json::parse(outcome.out)["names"], json::array());
  expect_demo(found(json::parse(outcome.out)["digest"]));
}

// Podman's ids are bare.
TEST_F(ImageOfADaemon, MayHaveAnIdWithoutItsKind) {
  serve({"demo:v1"}, kHex);
  expect_loaded(load());
  expect_loaded(load(), "Up to date: demo:v1 ");
  EXPECT_EQ(daemon_->exports(), 1U);
}

TEST_F(ImageOfADaemon, IsNotSentAgainWhileItsIdIsTheSame) {
  serve();
  expect_loaded(load());
  expect_loaded(load(), "Up to date: demo:v1 ");
  expect_loaded(load("demo:v1", "--name other:v1"), "Up to date: other:v1 ");
  expect_demo(found("other:v1"));
  EXPECT_EQ(daemon_->exports(), 1U);
  EXPECT_EQ(daemon_->paths(kAsk).size(), 3U);
}

TEST_F(ImageOfADaemon, IsSentAgainOnceItIsGoneOrAnother) {
  serve();
  expect_loaded(load());
  ASSERT_EQ(run("rm -q demo:v1").status, 0);
  expect_loaded(load());
  EXPECT_EQ(daemon_->exports(), 2U);
  const Image changed{{tar({file("changed")})}, Filter::none, "whatever:v9"};
  serve_images({{"demo:v1",
                 {{"id", "sha256:" + std::string(64, '1')},
                  {"archive", archive("changed.tar", changed.docker_archive())}}}});
  expect_loaded(load());
  EXPECT_EQ(read_file(found("demo:v1").layers.at(0) + "/changed"), "x");
  EXPECT_EQ(daemon_->exports(), 1U);
}

class RunFromADaemon : public ImageOfADaemon {
 protected:
  Outcome in_a_sandbox(const std::string& image) const {
    return shell("COVE_ROOT=" + store() + " DOCKER_HOST=" + docker_host_ + " " + command_path() +
                 " run --best-effort -u root -w / --entrypoint /bin/probe docker-daemon:" + image +
                 " -- print hello");
  }
};

TEST_F(RunFromADaemon, LoadsOnceAndRunsEachTime) {
  Entry probe = file("bin/probe", read_file(probe_path()));
  probe.mode = 0755;
  const Image image{{tar({directory("bin"), probe})}, Filter::none, "probe:v1"};
  serve_images(
      {{"probe:v1", {{"id", kId}, {"archive", archive("probe.tar", image.docker_archive())}}}});
  for (int round = 0; round < 2; ++round) {
    const Outcome outcome = in_a_sandbox("probe:v1");
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr("hello"));
  }
  EXPECT_EQ(daemon_->exports(), 1U);
  EXPECT_EQ(daemon_->paths(kAsk).size(), 2U);
}

TEST_F(RunFromADaemon, SaysWhatTheDaemonSays) {
  serve();
  expect_refused(in_a_sandbox("other:v1"),
                 "load docker-daemon:other:v1: docker daemon: other:v1: the daemon has no such "
                 "image: No such image: other:v1\n");
}

// ---- what it answers ----

TEST_F(ImageOfADaemon, IsNotThere) {
  serve();
  expect_refused(
      load("other:v1"),
      "docker daemon: other:v1: the daemon has no such image: No such image: other:v1\n");
  EXPECT_THAT(daemon_->paths(), ElementsAre("/images/other:v1/json"));
  expect_each_refused({
      {kAsk, {{"status", 404}, {"body", "page not found"}}, "the daemon has no such image\n"},
      // Removed in between.
      {kArchive,
       {{"status", 404}, {"body", R"({"message":"gone"})"}},
       "the daemon has no such image: gone\n"},
  });
}

TEST_F(ImageOfADaemon, IsRefusedWithTheDaemonsOwnWords) {
  std::vector<Case> cases;
  for (const char* request : {kAsk, kArchive}) {
    cases.push_back({request,
                     {{"status", 500}, {"body", R"({"message":"disk on fire"})"}},
                     "the daemon answers with status 500: disk on fire\n"});
    cases.push_back({request,
                     {{"status", 403}, {"body", R"({"message":7})"}},
                     "the daemon answers with status 403\n"});
    cases.push_back(
        {request, {{"status", 204}, {"body", ""}}, "the daemon answers with status 204\n"});
  }
  expect_each_refused(cases);
}

TEST_F(ImageOfADaemon, SaysNothingThatATerminalWouldObey) {
  const json message{{"message",
                      "\x1b]0;owned\x07\n\xc2\x9b"
                      "2J"}};
  serve_with(fault(kAsk, {{"status", 500}, {"body", message.dump()}}));
  const Outcome outcome = load();
  expect_refused(outcome, "the daemon answers with status 500: ?]0;owned????2J\n");
  for (const char* bytes : {"\x1b", "\x07", "\xc2\x9b"})
    EXPECT_THAT(outcome.err, Not(HasSubstr(bytes)));
}

TEST_F(ImageOfADaemon, NeedsAnAnswerWithAnId) {
  std::vector<Case> cases;
  for (const std::string& answer :
       std::vector<std::string>{"", "<html>", "[]", "\"Id\"", "{}", R"({"id":"sha256:1"})",
                                R"({"Id":7})", R"({"Id":null})", R"({"Id":["sha256:1"]})",
                                R"({"Id":"sha256:1")", std::string(100'000, '[')})
    cases.push_back({kAsk, {{"body", answer}}, "the daemon's answer has no Id\n"});
  cases.push_back(
      {kAsk, {{"body", std::string((8 << 20) + 1, ' ')}}, "the answer is longer than 8192 KiB\n"});
  expect_each_refused(cases);
  EXPECT_EQ(daemon_->exports(), 0U);
}

TEST_F(ImageOfADaemon, NeedsAnIdThatIsADigest) {
  std::vector<Case> cases;
  for (const std::string& id :
       {std::string(), std::string("sha256:"), std::string("sha256:../../x"), std::string("../x"),
        kHex.substr(1), kHex + "0", "sha256:" + std::string(64, 'A'), "sha512:" + kHex,
        "sha256:" + kId, "/" + kHex.substr(1), std::string(61, '0') + "/.."})
    cases.push_back(
        {kAsk, {{"body", json{{"Id", id}}.dump()}}, "the daemon's answer has no proper Id\n"});
  expect_each_refused(cases);
  EXPECT_EQ(daemon_->exports(), 0U);
}

TEST_F(ImageOfADaemon, IsNotTakenFromAnAnswerThatEndsEarly) {
  const std::size_t half = std::filesystem::file_size(demo_archive_) / 2;
  const std::string broke = "the connection broke: ";
  expect_each_refused({
      {kAsk, {{"length", 1000}, {"cut", 20}}, broke},
      {kAsk, {{"raw", ""}}, broke},
      {kArchive, {{"raw", ""}}, broke},
      {kArchive, {{"cut", half}}, broke},
      {kArchive, {{"cut", half}, {"sized", true}}, broke},
      {kArchive, {{"cut", 0}}, broke},
      // All of it came, but for the last chunk, which says so.
      {kArchive, {{"cut", half * 3}}, broke},
  });
  serve_with(fault(kArchive, {{"cut", half}, {"until_closed", true}}));
  expect_refused(load(), "image: demo:v1: is not an image archive: Truncated tar archive\n");
}

TEST_F(ImageOfADaemon, IsNotTakenFromWhatIsNoHttp) {
  const json ssh{{"raw", "SSH-2.0-server\r\n"}};
  expect_each_refused(
      {{kAsk, ssh, "the answer is no HTTP: "}, {kArchive, ssh, "the answer is no HTTP: "}});
}

TEST_F(ImageOfADaemon, HasToBeAnArchive) {
  for (const std::string& body : {std::string("hello"), std::string(20'000, 'x')}) {
    serve_with(fault(kArchive, {{"body", body}}));
    expect_refused(load(),
                   "image: demo:v1: is not an image archive: Unrecognized archive format\n");
  }
  serve_with(fault(kArchive, {{"body", ""}}));
  expect_refused(load(), "image: demo:v1: is not an image archive: Unrecognized archive format\n");
}

// It was no archive: what still comes, and when, matters to nobody.
TEST_F(ImageOfADaemon, IsNotWaitedForOnceItIsRefused) {
  serve_with(fault(kArchive, {{"body", std::string(20'000, 'x')}, {"stall", 20'000}}));
  const double began = seconds_now();
  expect_refused(load(), "image: demo:v1: is not an image archive: Unrecognized archive format\n");
  EXPECT_LT(seconds_now() - began, 10);
}

// Docker writes all layers to its disk before the first byte comes.
TEST_F(ImageOfADaemon, MayTakeItsTimeToCome) {
  serve_with(fault(kArchive, {{"delay", 2.2}}));
  expect_loaded(load("demo:v1", "--stall-timeout 1"));
}

TEST_F(ImageOfADaemon, IsNotWaitedForWhereNoAnswerComes) {
  serve_with(fault(kAsk, {{"stall", 0}}));
  expect_refused(load("demo:v1", "--stall-timeout 1"),
                 "docker daemon: demo:v1: the host does not answer: ");
}

TEST_F(ImageOfADaemon, IsNotFetchedFromWhereTheDaemonRedirects) {
  std::vector<Case> cases;
  for (const std::string& place :
       std::vector<std::string>{"http://127.0.0.1:1/", "https://127.0.0.1:1/",
                                "/images/" + kId + "/json", "file:///etc/passwd"}) {
    for (const int status : {301, 307})
      cases.push_back({kAsk,
                       {{"status", status}, {"headers", {{"Location", place}}}},
                       "the daemon answers with status " + std::to_string(status)});
  }
  expect_each_refused(cases);
  EXPECT_THAT(daemon_->paths(), SizeIs(cases.size()));
}

TEST_F(ImageOfADaemon, IsFetchedThroughNoProxy) {
  serve();
  for (const char* variable : {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"})
    environment_ += std::string(variable) + "=http://127.0.0.1:1 ";
  expect_loaded(load());
}

TEST_F(ImageOfADaemon, HasANameThatIsNoPath) {
  serve();
  for (const std::string name :
       {"../../x", "demo/../x", "/demo", "demo?x=y", "demo#x", "demo:v1/json?", "%2e%2e/x", "Demo",
        "a b", "demo:", "demo@sha256:123", "sha256:c0ffee?", "demo:v1\x1b[2J"}) {
    SCOPED_TRACE(name);
    const Outcome outcome = load(name);
    expect_refused(outcome, "image name: \"");
    EXPECT_THAT(outcome.err, Not(HasSubstr("\x1b")));
  }
  expect_refused(load(""), "\"docker-daemon:\" names no image (write docker-daemon:NAME)\n");
  EXPECT_THAT(daemon_->paths(), IsEmpty());
}

TEST_F(ImageOfADaemon, HasNoRoomOnAFullDisk) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to mount";
  const Image large{{tar({file("big", noise(3 << 20, 1))})}, Filter::none, "large:v1"};
  serve_images(
      {{"large:v1", {{"id", kId}, {"archive", archive("large.tar", large.docker_archive())}}}});
  for (const std::string room : {"2m", "5m"}) {  // for half of the archive; for it, but no layer
    std::filesystem::create_directory(store());
    ASSERT_EQ(mount("small", store().c_str(), "tmpfs", 0, ("mode=700,size=" + room).c_str()), 0);
    const Outcome outcome = load("large:v1");
    expect_refused(outcome, "the file system of " + store() + " has ");
    EXPECT_THAT(outcome.err, HasSubstr("ENOSPC"));
    EXPECT_EQ(umount2(store().c_str(), MNT_DETACH), 0);
  }
}

// ---- where it is ----

class SocketOfADaemon : public ImageOfADaemon {
 protected:
  static constexpr const char* kIsItRunning =
      " (is the daemon running? DOCKER_HOST names another socket)\n";

  void expect_no_connection(const std::string& socket, const std::string& why) {
    docker_host_ = "unix://" + socket;
    expect_refused(load(), "docker daemon: " + socket + ": cannot connect: " + why);
  }
  // In a mount namespace in which /var/run holds nothing but what `before` puts there.
  Outcome load_with_own_run(const std::string& before) const {
    return shell("unshare -m sh -ec '" + before +
                 " exec env -i PATH=/usr/bin:/bin XDG_RUNTIME_DIR=" + (scratch_ / "run") + " " +
                 command("load docker-daemon:demo:v1") + "'");
  }
  static constexpr const char* kEmptyRun = "mount -t tmpfs none /var/run; ";
  std::string at_the_usual_place() const {
    return std::string(kEmptyRun) + "touch /var/run/docker.sock; mount --bind " +
           daemon_->socket() + " /var/run/docker.sock; ";
  }
  static void leave_a_socket(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const UniqueFd socket_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(socket_fd.number(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  // As a user without rights, who has a store of its own.
  Outcome load_as_other_user() const {
    std::filesystem::copy_file(cove_image(), scratch_ / "cove-image");
    std::filesystem::create_directory(scratch_ / "home");
    EXPECT_EQ(chmod(scratch_.path().c_str(), 0755), 0);
    EXPECT_EQ(chown((scratch_ / "home").c_str(), kOtherUser, kOtherUser), 0);
    const std::string user = std::to_string(kOtherUser);
    return shell("exec env -i PATH=/usr/bin:/bin HOME=/nonexistent DOCKER_HOST=" + docker_host_ +
                 " setpriv --reuid " + user + " --regid " + user + " --clear-groups " +
                 (scratch_ / "cove-image") + " --store " + users_store() +
                 " load docker-daemon:demo:v1");
  }
  std::string users_store() const { return scratch_ / "home/store"; }
};

TEST_F(SocketOfADaemon, IsNotThere) {
  expect_no_connection(scratch_ / "none",
                       std::string("ENOENT (No such file or directory)") + kIsItRunning);
  expect_no_connection(demo_archive_ + "/none",
                       std::string("ENOTDIR (Not a directory)") + kIsItRunning);
}

TEST_F(SocketOfADaemon, HasNobodyWhoListens) {
  leave_a_socket(scratch_ / "left");
  for (const std::string& path : {scratch_ / "left", demo_archive_})
    expect_no_connection(path, std::string("ECONNREFUSED (Connection refused)") + kIsItRunning);
}

TEST_F(SocketOfADaemon, HasAPathThatIsNotTooLong) {
  const std::string longest = scratch_ / std::string(107 - scratch_.path().size() - 1, 'x');
  serve();
  std::filesystem::rename(daemon_->socket(), longest);
  docker_host_ = "unix://" + longest;
  expect_loaded(load());
  ASSERT_EQ(run("rm -q demo:v1").status, 0);
  ASSERT_EQ(run("prune -q --all").status, 0);
  docker_host_ += "x";
  const Outcome outcome = load();
  EXPECT_EQ(outcome.status, 125);
  EXPECT_THAT(outcome.err,
              HasSubstr("cannot connect: ENAMETOOLONG (File name too long) (the path of a socket "
                        "has 107 bytes at most)\n"));
}

TEST_F(SocketOfADaemon, IsNamedByDockerHostAsAUnixSocket) {
  serve();
  for (const std::string& host :
       {std::string("tcp://127.0.0.1:2375"), std::string("http://127.0.0.1"), std::string("fd://"),
        std::string("ssh://host"), daemon_->socket(), "unix:" + daemon_->socket(),
        std::string("unix://"), std::string("tcp://\x1b[2J")}) {
    docker_host_ = host;
    const Outcome outcome = load();
    expect_refused(outcome, "docker daemon: DOCKER_HOST: \"");
    EXPECT_THAT(outcome.err, HasSubstr("\" is no Unix socket (write unix:///PATH, or load what "
                                       "docker save writes)\n"));
    EXPECT_THAT(outcome.err, Not(HasSubstr("\x1b")));
  }
  EXPECT_THAT(daemon_->paths(), IsEmpty());
}

TEST_F(SocketOfADaemon, IsTheUsualOneWhereNoneIsNamed) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to mount";
  serve();
  expect_loaded(load_with_own_run(at_the_usual_place()));
}

TEST_F(SocketOfADaemon, IsThatOfTheSessionWhereTheUsualOneIsNoUse) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to mount";
  std::filesystem::create_directory(scratch_ / "run");
  const std::string both = "/var/run/docker.sock: cannot connect: ";
  expect_refused(load_with_own_run(kEmptyRun), both + "ENOENT (No such file or directory)");
  expect_refused(load_with_own_run(std::string(kEmptyRun) + "touch /var/run/docker.sock; "),
                 both + "ECONNREFUSED (Connection refused)");
  serve();
  std::filesystem::rename(daemon_->socket(), scratch_ / "run/docker.sock");
  expect_loaded(load_with_own_run(kEmptyRun));
  expect_loaded(load_with_own_run(std::string(kEmptyRun) + "touch /var/run/docker.sock; "),
                "Up to date: demo:v1 ");
}

TEST_F(SocketOfADaemon, OfAnotherUserIsRefusedToAPlainUser) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  serve();
  ASSERT_EQ(chmod(daemon_->directory().c_str(), 0755), 0);
  ASSERT_EQ(chmod(daemon_->socket().c_str(), 0600), 0);
  const Outcome outcome = load_as_other_user();
  EXPECT_EQ(outcome.status, 125);
  EXPECT_EQ(outcome.err, "docker daemon: " + daemon_->socket() +
                             ": cannot connect: EACCES (Permission denied) (be root or of the "
                             "group docker)\n");
  EXPECT_TRUE(std::filesystem::is_empty(users_store() + "/staging"));
  EXPECT_THAT(daemon_->paths(), IsEmpty());
}

TEST_F(SocketOfADaemon, ServesAPlainUserWhoMayWriteToIt) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  serve();
  ASSERT_EQ(chmod(daemon_->directory().c_str(), 0755), 0);
  ASSERT_EQ(chmod(daemon_->socket().c_str(), 0666), 0);
  const Outcome outcome = load_as_other_user();
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Result<ImageFacts> facts = find_image(users_store(), "demo:v1");
  ASSERT_TRUE(facts) << facts.error().message();
  expect_demo(*facts);
}

// As `podman system service` of a user has it.
TEST_F(SocketOfADaemon, OfAPlainUserServesRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to give the socket away";
  serve();
  ASSERT_EQ(chmod(daemon_->socket().c_str(), 0600), 0);
  ASSERT_EQ(chown(daemon_->socket().c_str(), kOtherUser, kOtherUser), 0);
  ASSERT_EQ(chown(daemon_->directory().c_str(), kOtherUser, kOtherUser), 0);
  expect_loaded(load());
}

}  // namespace
}  // namespace cove::testing
