#include "tests/support/host.h"

#include <dirent.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "cove/host.h"
#include "tests/support/command.h"
#include "tests/support/files.h"
#include "tests/support/sandbox.h"

// There, where a sanitizer's runtime is linked.
extern "C" {
[[gnu::weak]] void __asan_init();  // NOLINT(bugprone-reserved-identifier)
[[gnu::weak]] void __tsan_init();  // NOLINT(bugprone-reserved-identifier)
}

namespace cove::testing {
namespace {

// Mount points of cgroup hierarchies.
std::vector<std::string> hierarchies() {
  std::vector<std::string> found;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const std::size_t separator = line.find(" - cgroup");
    if (separator == std::string::npos) continue;
    std::istringstream fields(line);
    std::string field;
    for (int i = 0; i < 5; ++i) fields >> field;
    found.push_back(field);
  }
  return found;
}

void find_groups(const std::string& directory, const std::string& text,
                 std::vector<std::string>& found) {
  DIR* const listing = opendir(directory.c_str());
  if (listing == nullptr) return;
  while (const dirent* entry = readdir(listing)) {
    if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
    const std::string path = directory + "/" + entry->d_name;
    if (path.find(text) != std::string::npos) found.push_back(path);
    find_groups(path, text, found);
  }
  closedir(listing);
}

std::vector<pid_t> all_processes() {
  std::vector<pid_t> pids;
  for (const std::string& name : names_in("/proc")) {
    const pid_t pid = std::atoi(name.c_str());
    if (pid > 0) pids.push_back(pid);
  }
  return pids;
}

// State and parent, from /proc/PID/stat behind the name, which may have any character.
struct Stat {
  char state = 'X';
  pid_t parent = 0;
};

Stat stat_of(pid_t pid) {
  const std::string text = contents_of("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t end = text.rfind(')');
  Stat stat;
  if (end == std::string::npos) return stat;
  std::istringstream(text.substr(end + 1)) >> stat.state >> stat.parent;
  return stat;
}

}  // namespace

double slowness() {
  static const bool emulated =
      contents_of("/sys/class/dmi/id/sys_vendor").find("QEMU") != std::string::npos &&
      contents_of("/proc/cpuinfo").find("TCG") != std::string::npos;
  return emulated ? 5 : 1;
}

bool is_sanitized() { return __asan_init != nullptr || __tsan_init != nullptr; }

const HostFacts& host_facts() {
  static const HostFacts facts = gather_host_facts().value();
  return facts;
}

std::string mechanism_of(const std::string& controller) {
  const auto& controllers = host_facts().cgroup.controllers;
  const auto found = controllers.find(controller);
  if (found == controllers.end() || !found->second.usable) return {};
  return found->second.version == 2 ? "cgroup-v2" : "cgroup-v1";
}

std::vector<std::string> groups_named(const std::string& text) {
  std::vector<std::string> found;
  for (const std::string& hierarchy : hierarchies()) find_groups(hierarchy, text, found);
  return found;
}

std::vector<std::string> groups_left(const std::string& text, double seconds) {
  const double end = seconds_now() + seconds;
  for (;;) {
    std::vector<std::string> left = groups_named(text);
    if (left.empty() || seconds_now() > end) return left;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

std::vector<pid_t> processes_with(const std::string& marker) {
  std::vector<pid_t> found;
  for (const pid_t pid : all_processes()) {
    if (pid == getpid()) continue;
    const std::string command = contents_of("/proc/" + std::to_string(pid) + "/cmdline");
    if (command.find(marker) != std::string::npos && stat_of(pid).state != 'Z')
      found.push_back(pid);
  }
  return found;
}

std::size_t processes_left(const std::string& marker, double seconds) {
  const double end = seconds_now() + seconds;
  for (;;) {
    const std::size_t left = processes_with(marker).size();
    if (left == 0 || seconds_now() > end) return left;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

std::vector<pid_t> descendants_of(pid_t pid) {
  std::vector<std::pair<pid_t, pid_t>> parents;
  for (const pid_t each : all_processes()) parents.emplace_back(each, stat_of(each).parent);
  std::vector<pid_t> found{pid};
  for (std::size_t i = 0; i < found.size(); ++i) {
    for (const auto& [child, parent] : parents) {
      if (parent == found[i]) found.push_back(child);
    }
  }
  found.erase(found.begin());
  return found;
}

std::string unique_marker() {
  static std::atomic<int> count{0};
  return "cove-marker-" + std::to_string(getpid()) + "-" + std::to_string(++count) + "-";
}

std::string why_no_idmapped_binds() {
  const TempDirectory directory;
  struct statfs filesystem {};
  const bool on_tmpfs =
      statfs(directory.path().c_str(), &filesystem) == 0 && filesystem.f_type == TMPFS_MAGIC;
  int major = 0, minor = 0;
  std::sscanf(host_facts().kernel_release.c_str(), "%d.%d", &major, &minor);
  const bool old = major < 6 || (major == 6 && minor < 3);
  return geteuid() == 0 && on_tmpfs && old ? "kernel 6.3 (idmapped tmpfs)" : "";
}

bool has_cap_sys_admin() {
  constexpr int kCapSysAdmin = 21;
  const std::string held = line_after(contents_of("/proc/self/status"), "CapEff:\t");
  return (std::stoull(held, nullptr, 16) >> kCapSysAdmin & 1) != 0;
}

bool is_filtered() { return line_after(contents_of("/proc/self/status"), "Seccomp:\t") != "0"; }

std::size_t open_descriptors() {
  std::size_t count = 0;
  for (int quiet = 0; quiet < 20; ++quiet) {
    const std::size_t now = names_in("/proc/self/fd").size() - 1;  // without the one of the listing
    if (now != count) quiet = 0;
    count = now;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return count;
}

std::size_t mount_count() {
  const std::string text = contents_of("/proc/self/mountinfo");
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

std::string namespaces() {
  std::string text;
  for (const std::string& name : names_in("/proc/thread-self/ns")) {
    std::array<char, 128> target{};
    if (readlink(("/proc/thread-self/ns/" + name).c_str(), target.data(), target.size() - 1) > 0) {
      text += name + ": " + target.data() + "\n";
    }
  }
  return text;
}

PrivateGroups::PrivateGroups() {
  static int count = 0;
  parent_ = "/itests-" + std::to_string(getpid()) + "-" + std::to_string(++count);
  for (const std::string& hierarchy : hierarchies()) {
    const std::string directory = hierarchy + parent_;
    if (mkdir(directory.c_str(), 0755) == 0) directories_.push_back(directory);
  }
}

PrivateGroups::~PrivateGroups() {
  for (const std::string& directory : directories_) {
    std::vector<std::string> below;
    find_groups(directory, "", below);
    for (auto group = below.rbegin(); group != below.rend(); ++group) rmdir(group->c_str());
    rmdir(directory.c_str());
  }
}

std::vector<std::string> PrivateGroups::left() const {
  std::vector<std::string> found;
  for (const std::string& directory : directories_) find_groups(directory, "", found);
  return found;
}

}  // namespace cove::testing
