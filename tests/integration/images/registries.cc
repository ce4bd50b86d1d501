#include "tests/integration/images/registries.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <chrono>
#include <functional>
#include <sstream>
#include <thread>

#include "runtime/kernel/fd.h"

namespace cove::testing {
namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// One that nobody listens on at this moment.
int free_port() {
  const UniqueFd socket_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  EXPECT_EQ(bind(socket_fd.number(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(socket_fd.number(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

bool listens(int port) {
  const UniqueFd socket_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(port);
  return connect(socket_fd.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
         0;
}

std::vector<std::string> lines_of(const std::string& file) {
  std::istringstream text(read_file(file));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

}  // namespace

std::vector<std::string> python_script(const std::string& name,
                                       const std::vector<std::string>& words) {
  const bool usual = std::filesystem::exists("/usr/bin/python3");
  std::vector<std::string> argv{usual ? "/usr/bin/python3" : "python3",
                                COVE_SOURCE_DIR "/tests/integration/images/" + name};
  argv.insert(argv.end(), words.begin(), words.end());
  return argv;
}

std::vector<json> requests_in(const std::string& log, const std::string& part) {
  std::vector<json> found;
  for (const std::string& line : lines_of(log)) {
    const json request = json::parse(line);
    if (std::string(request["path"]).find(part) != std::string::npos) found.push_back(request);
  }
  return found;
}

bool comes_true(const std::function<bool()>& condition) {
  for (int pause = 0; pause < 1000; ++pause) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

FaultyRegistry::FaultyRegistry(const std::string& layout, json settings) {
  const std::string port = scratch_ / "port";
  settings["port"] = port;
  settings["log"] = scratch_ / "log";
  write_file(scratch_ / "settings", settings.dump());
  process_ = std::make_unique<RunningCommand>(
      python_script("registry.py", {layout, scratch_ / "settings"}));
  EXPECT_TRUE(comes_true([&] { return std::filesystem::exists(port); })) << "it does not start";
  port_ = read_file(port);
}

std::vector<json> FaultyRegistry::requests(const std::string& part) const {
  return requests_in(scratch_ / "log", part);
}

json fault(const std::string& path, json what, int times) {
  what["path"] = path;
  if (times > 0) what["times"] = times;
  return what;
}

DockerRegistry::DockerRegistry(const std::string& settings, const std::string& http)
    : port_(std::to_string(free_port())) {
  write_file(
      scratch_ / "config.yml",
      "version: 0.1\nlog: {accesslog: {disabled: false}}\nstorage: {filesystem: {rootdirectory: " +
          scratch_ / "storage" + "}}\nhttp:\n  addr: " + host() + "\n" + http + settings);
  const std::string log = scratch_ / "log";
  process_ = std::make_unique<RunningCommand>(std::vector<std::string>{
      "/bin/sh", "-c",
      "exec docker-registry serve " + scratch_ / "config.yml" + " >" + log + " 2>&1"});
  EXPECT_TRUE(comes_true([&] { return listens(std::stoi(port_)); })) << read_file(log);
}

void DockerRegistry::push(const std::string& archive, const std::string& tag,
                          const std::string& options) const {
  const std::string copy = "skopeo copy -q --insecure-policy --dest-tls-verify=false " + options +
                           " " + archive + " docker://" + place() + ":" + tag;
  ASSERT_EQ(std::system((copy + " >" + scratch_ / "push" + " 2>&1").c_str()), 0)
      << read_file(scratch_ / "push");
}

std::size_t DockerRegistry::requests(const std::string& part) const {
  std::size_t count = 0;
  for (const std::string& line : lines_of(scratch_ / "log"))
    count += line.find(part) == std::string::npos ? 0 : 1;
  return count;
}

std::string noise(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

PullingStore::PullingStore() { std::filesystem::create_directory(home()); }

std::vector<std::string> PullingStore::bare_environment() const {
  return {"PATH=" + home() + "/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
          "HOME=" + home(), "CONTAINERS_REGISTRIES_CONF=" + home() + "/registries.conf"};
}

Outcome PullingStore::cove(const std::string& arguments, const std::string& before) const {
  std::string line = before + "exec env -i";
  for (const std::string& variable : bare_environment()) line += " " + variable;
  const bool retries = arguments.starts_with("pull") || arguments.starts_with("login");
  return shell(line + " " + command(arguments) + (retries ? " --retry-delay 0.02" : ""));
}

void PullingStore::put_at_home(const std::string& path, const std::string& text) const {
  const std::filesystem::path file = home() + "/" + path;
  std::filesystem::create_directories(file.parent_path());
  write_file(file, text);
}

std::string PullingStore::put_blob(const std::string& layout, const std::string& text) {
  write_file(layout + "/blobs/sha256/" + hex_of(text), text);
  return sha256_of(text);
}

std::string PullingStore::layout_of(const Image& image) const {
  std::string path = scratch_ / "layout";
  while (std::filesystem::exists(path)) path += "-";
  image.oci_directory(path);
  return path;
}

Image PullingStore::large() {
  return {{tar({directory("etc"), file("etc/one", noise(600'000, 1))}),
           tar({file("two", noise(300'000, 2))})},
          Filter::none,
          "demo:v1"};
}

void PullingStore::expect_sound_and_empty() const {
  EXPECT_EQ(run("verify").status, 0);
  EXPECT_EQ(run("ls --quiet").out, "");
  EXPECT_EQ(count("staging"), 0U);
  EXPECT_EQ(count("layers"), 0U);
  EXPECT_EQ(count("blobs/sha256"), 0U);
}

void PullingStore::expect_pulled(const Outcome& outcome, const std::string& name,
                                 std::size_t layers) const {
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(found(name).layers.size(), layers);
  const Outcome verified = run("verify");
  EXPECT_EQ(verified.status, 0) << verified.out << verified.err;
  EXPECT_EQ(count("staging"), 0U);
}

void PullingStore::expect_refused(const Outcome& outcome, const std::string& words) const {
  EXPECT_EQ(outcome.status, 125);
  EXPECT_NE(outcome.err.find(words), std::string::npos) << outcome.err;
  expect_sound_and_empty();
}

}  // namespace cove::testing
