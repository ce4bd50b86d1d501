#include "runtime/host/confinement.h"

#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <string_view>

#include "runtime/host/read_text.h"

namespace cove {
namespace {

constexpr const char* kProfile = "container-seccomp.json";

// 2: SECCOMP_MODE_FILTER.
bool has_filter(const std::string& status) {
  return status.find("\nSeccomp:\t2") != std::string::npos;
}

// A mount below /proc, other than the one that the host itself makes.
bool has_mounts_on_proc(const std::string& mountinfo) {
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string id, parent, device, root, target;
    words >> id >> parent >> device >> root >> target;
    if (target.starts_with("/proc/") && target != "/proc/sys/fs/binfmt_misc") return true;
  }
  return false;
}

// "docker-default (enforce)\n" -> "docker-default"
std::string enforced_profile(std::string_view label) {
  const std::size_t mode = label.find(" (enforce)");
  return mode == std::string_view::npos ? std::string() : std::string(label.substr(0, mode));
}

Container container_of(const ConfinementTexts& texts) {
  if (texts.containerenv) return Container::podman;
  if (texts.dockerenv) return Container::docker;
  return texts.container.empty() ? Container::none : Container::other;
}

}  // namespace

Confinement judge_confinement(const ConfinementTexts& texts) {
  return {container_of(texts), has_filter(texts.status), has_mounts_on_proc(texts.mountinfo),
          enforced_profile(texts.apparmor)};
}

Confinement gather_confinement() {
  ConfinementTexts texts;
  texts.dockerenv = access("/.dockerenv", F_OK) == 0;
  texts.containerenv = access("/run/.containerenv", F_OK) == 0;
  if (const char* container = std::getenv("container")) texts.container = container;
  texts.status = read_text("/proc/self/status");
  texts.mountinfo = read_text("/proc/self/mountinfo");
  texts.apparmor = read_text("/proc/self/attr/apparmor/current");
  return judge_confinement(texts);
}

std::string cure_for_confinement(const Confinement& confinement) {
  const bool known =
      confinement.container == Container::docker || confinement.container == Container::podman;
  std::string options, words;
  const auto say = [&](const std::string& option, const std::string& word) {
    options += " --security-opt " + option;
    words += (words.empty() ? "" : "; ") + word;
  };
  if (confinement.filtered) {
    say(std::string("seccomp=") + kProfile,
        "a filter of system calls (of a container, or SystemCallFilter= or RestrictNamespaces= of "
        "a "
        "service) has to let clone, unshare, mount, pivot_root and sethostname through");
  }
  if (confinement.masked_proc) {
    say(confinement.container == Container::podman ? "unmask=ALL" : "systempaths=unconfined",
        "nothing may be mounted over parts of /proc (Kubernetes: procMount: Unmasked)");
  }
  if (!confinement.apparmor.empty()) {
    say("apparmor=unconfined",
        "the AppArmor profile " + confinement.apparmor + " has to allow userns and mount");
  }
  if (!known || options.empty()) return words;
  const std::string command =
      confinement.container == Container::podman ? "podman run" : "docker run";
  return "start the container with " + command + options +
         (confinement.filtered ? " (the file is in share/cove of an installation)" : "");
}

}  // namespace cove
