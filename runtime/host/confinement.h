// What already surrounds this process: a container, a filter of system calls, a masked /proc. Facts
// say what the kernel has; these keep a caller from it.
#pragma once

#include <string>

namespace cove {

enum class Container { none, docker, podman, other };

struct Confinement {
  Container container = Container::none;
  bool filtered = false;     // seccomp(2) judges this process's calls
  bool masked_proc = false;  // something is mounted over parts of /proc: no new procfs is granted
  std::string apparmor;      // the profile that holds; empty: none does
};

// What it is judged from, as read from the system.
struct ConfinementTexts {
  bool dockerenv = false;     // /.dockerenv exists, which Docker makes
  bool containerenv = false;  // /run/.containerenv, Podman
  std::string container;      // $container, by systemd-nspawn(1) and others
  std::string status;         // /proc/self/status
  std::string mountinfo;      // /proc/self/mountinfo
  std::string apparmor;       // /proc/self/attr/apparmor/current
};

Confinement judge_confinement(const ConfinementTexts& texts);

// The same, of this process.
Confinement gather_confinement();

// How to start what surrounds this process so that sandboxes can be set up in it: one sentence that
// has every option. Empty where nothing surrounds it.
std::string cure_for_confinement(const Confinement& confinement);

}  // namespace cove
