// Each limit, and the best mechanism that this host has for it: cgroup v2, cgroup v1, a resource
// limit, the size of a tmpfs, the supervisor's own clock. What no mechanism holds is lost, and
// said.
#include <algorithm>
#include <array>
#include <cmath>

#include "runtime/host/cgroup_facts.h"
#include "runtime/host/kernel_version.h"
#include "runtime/plan/draft.h"

namespace cove {
namespace {

constexpr std::int64_t kCpuPeriodUs = 100000;  // the kernel's default, in v1 and v2

struct CgroupFile {
  std::string name;
  std::string value;
};

// A limit as both versions would write it.
struct CgroupLimit {
  Protection protection;
  const char* controller;
  CgroupFile v2;
  CgroupFile v1;
};

const ControllerFacts* usable_controller(const Draft& draft, const std::string& name) {
  const auto& controllers = draft.host.cgroup.controllers;
  const auto found = controllers.find(name);
  if (found == controllers.end() || !found->second.usable) return nullptr;
  // A v2 controller without a v2 group to use it in is a contradiction of recorded facts.
  if (found->second.version == 2 && !draft.host.cgroup.v2_usable) return nullptr;
  return &found->second;
}

Loss loss_of_controller(const Draft& draft, const std::string& name) {
  const auto& controllers = draft.host.cgroup.controllers;
  const auto found = controllers.find(name);
  const std::string reason = found == controllers.end() || found->second.reason.empty()
                                 ? "no cgroup hierarchy is mounted that has the controller " + name
                                 : found->second.reason;
  return {reason, cure_for_cgroup(reason, draft.host.uid)};
}

// False where the controller cannot be used here.
bool hold_in_cgroup(Draft& draft, const CgroupLimit& limit) {
  const ControllerFacts* controller = usable_controller(draft, limit.controller);
  if (!controller) return false;
  CgroupPlan& cgroup = draft.plan.cgroup;
  if (controller->version == 2) {
    cgroup.v2_controllers = true;
    if (std::find(cgroup.v2_delegate.begin(), cgroup.v2_delegate.end(), limit.controller) ==
        cgroup.v2_delegate.end()) {
      cgroup.v2_delegate.push_back(limit.controller);
    }
    draft.hold({limit.protection, "cgroup-v2", limit.v2.name, limit.v2.value});
  } else {
    cgroup.parents[limit.controller] = group_path(controller->mount_point, controller->group);
    draft.hold({limit.protection, "cgroup-v1", limit.v1.name, limit.v1.value});
  }
  return true;
}

std::string bytes_text(Bytes bytes) { return std::to_string(bytes.count); }

void plan_memory(Draft& draft) {
  if (!draft.wanted(Protection::memory)) return;
  const Bytes memory = draft.spec.resources.memory.value_or(kDefaultMemory);
  const std::string value = bytes_text(memory);
  if (!hold_in_cgroup(draft, {Protection::memory,
                              "memory",
                              {"memory.max", value},
                              {"memory.limit_in_bytes", value}})) {
    draft.lose(Protection::memory, loss_of_controller(draft, "memory"), to_string(memory));
  }
}

// After the memory limit: v1 refuses a memsw below it.
void plan_swap(Draft& draft) {
  if (!draft.wanted(Protection::swap)) return;
  const Bytes swap = draft.spec.resources.swap.value_or(kDefaultSwap);
  const Bytes memory = draft.spec.resources.memory.value_or(kDefaultMemory);
  // Kernels without CONFIG_SWAP have neither swap nor the files.
  if (draft.host.swap_total.count == 0) {
    draft.hold({Protection::swap, "no-swap-on-host", {}, bytes_text(swap)});
    return;
  }
  const ControllerFacts* controller = usable_controller(draft, "memory");
  if (controller && controller->version == 1 && !draft.holds(Protection::memory)) {
    draft.lose(
        Protection::swap,
        {"cgroup v1 counts swap together with memory, whose limit is off", "set a memory limit"},
        to_string(swap));
    return;
  }
  const std::uint64_t both =
      swap.count > ~memory.count ? ~std::uint64_t{0} >> 1 : memory.count + swap.count;
  if (!hold_in_cgroup(draft, {Protection::swap,
                              "memory",
                              {"memory.swap.max", bytes_text(swap)},
                              {"memory.memsw.limit_in_bytes", std::to_string(both)}})) {
    draft.lose(Protection::swap, loss_of_controller(draft, "memory"), to_string(swap));
  }
}

// "0.5", not "0.500000".
std::string decimal(double number) {
  std::string text = std::to_string(number);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

void plan_cpus(Draft& draft) {
  const std::optional<double> cpus = draft.spec.resources.cpus;
  if (!cpus || !draft.wanted(Protection::cpus)) return;
  if (!(*cpus >= 0.01 && *cpus <= 1024)) return;  // check_spec has refused it
  const auto quota = std::max<std::int64_t>(1000, std::llround(*cpus * kCpuPeriodUs));
  const std::string text = std::to_string(quota);
  if (!hold_in_cgroup(draft, {Protection::cpus,
                              "cpu",
                              {"cpu.max", text + " " + std::to_string(kCpuPeriodUs)},
                              {"cpu.cfs_quota_us", text}})) {
    draft.lose(Protection::cpus, loss_of_controller(draft, "cpu"), decimal(*cpus) + " cpus");
  }
}

// v1's default of 1024 shares is v2's default weight of 100, and both are proportions: systemd
// converts so too.
std::string shares_for(std::int64_t weight) {
  return std::to_string(std::clamp<std::int64_t>(weight * 1024 / 100, 2, 262144));
}

void plan_weights(Draft& draft) {
  const ResourceSpec& resources = draft.spec.resources;
  if (resources.cpu_weight && draft.wanted(Protection::cpu_weight)) {
    const std::int64_t weight = std::clamp<std::int64_t>(*resources.cpu_weight, 1, 10000);
    const std::string text = std::to_string(weight);
    if (!hold_in_cgroup(draft, {Protection::cpu_weight,
                                "cpu",
                                {"cpu.weight", text},
                                {"cpu.shares", shares_for(weight)}})) {
      draft.lose(Protection::cpu_weight, loss_of_controller(draft, "cpu"), "a weight of " + text);
    }
  }
  if (resources.io_weight && draft.wanted(Protection::io_weight)) {
    const std::string text = std::to_string(*resources.io_weight);
    const ControllerFacts* controller = usable_controller(draft, "io");
    // v1 has no weight that works (see cgroup_facts.cc), whatever recorded facts say.
    if (!controller || controller->version != 2 ||
        !hold_in_cgroup(draft, {Protection::io_weight, "io", {"io.weight", text}, {}})) {
      draft.lose(Protection::io_weight, loss_of_controller(draft, "io"), "a weight of " + text);
    }
  }
}

// RLIMIT_NPROC counts per user and, since 5.14, per user namespace, so it counts one sandbox alone.
// The kernel never holds its own root to it, and with one id that may be who we are, unless the 0
// that we are is somebody else outside. Who may change its id is counted anew with each.
bool rlimit_can_count(const Draft& draft) {
  const HostFacts& host = draft.host;
  if (host.privileged && holds_capability(draft, "setuid")) return false;
  return parse_kernel_version(host.kernel_release) >= kKernelForCgroupKill &&
         (host.privileged || host.uid != 0 || host.uid_outside != 0);
}

void plan_pids(Draft& draft) {
  if (!draft.wanted(Protection::pids)) return;
  const std::string value = std::to_string(draft.spec.resources.pids_limit.value_or(kDefaultPids));
  if (hold_in_cgroup(draft, {Protection::pids, "pids", {"pids.max", value}, {"pids.max", value}})) {
    return;
  }
  if (rlimit_can_count(draft)) {
    draft.hold({Protection::pids, "rlimit", {}, value});
  } else {
    draft.lose(Protection::pids, loss_of_controller(draft, "pids"), value + " processes");
  }
}

void plan_disk(Draft& draft) {
  if (!draft.wanted(Protection::disk)) return;  // scratch_size stays 0: no limit but the memory's
  const std::optional<Bytes> named = draft.spec.resources.disk;
  std::optional<Bytes> memory;
  if (draft.holds(Protection::memory)) {
    memory = draft.spec.resources.memory.value_or(kDefaultMemory);
  }
  const Bytes usual = memory ? std::min(kDefaultDisk, Bytes{memory->count / 2}) : kDefaultDisk;
  const Bytes disk = named.value_or(usual);
  if (disk.count == 0) {
    draft.refuse(problem(ErrorCode::invalid_argument, "limit disk", path_of(Protection::disk),
                         "it is 0, which a filesystem takes for no limit",
                         "the least is 4096 bytes"));
  } else if (memory && disk >= *memory) {
    // The OOM killer would come first: tmpfs is charged as memory and cannot be reclaimed.
    draft.refuse(problem(ErrorCode::invalid_argument, "limit disk", path_of(Protection::disk),
                         to_string(disk) + " of disk does not fit into " + to_string(*memory) +
                             " of memory, where it lies",
                         "give less disk, or more memory; half of the memory is a good measure"));
  }
  draft.plan.root.scratch_size = disk;
  if (keeps_root_on_disk(draft)) {
    draft.lose(Protection::disk,
               {"what is changed in the root lies in " + draft.host.scratch_directory +
                    ", which has no limit (/tmp and /dev/shm have)",
                "use a read-only root (--read-only), Linux 6.6 without --scratch, or run as root"},
               to_string(disk) + " of disk");
    return;
  }
  draft.hold({Protection::disk, "tmpfs-size", {}, bytes_text(disk)});
}

void add_rlimit(Draft& draft, const std::string& name, std::uint64_t soft, std::uint64_t hard) {
  auto& rlimits = draft.plan.rlimits;
  const auto known = std::find_if(rlimits.begin(), rlimits.end(),
                                  [&](const RlimitPlan& rlimit) { return rlimit.name == name; });
  if (known == rlimits.end()) {
    rlimits.push_back({name, soft, hard});
  } else {
    *known = {name, soft, hard};
  }
}

void plan_open_files(Draft& draft) {
  if (!draft.wanted(Protection::open_files)) return;
  const std::uint64_t most = draft.host.open_files_hard;
  const std::optional<std::int64_t> named = draft.spec.resources.open_files;
  std::uint64_t soft = std::min(kDefaultOpenFilesSoft, most);
  std::uint64_t hard = std::min(kDefaultOpenFilesHard, most);
  if (named) {
    soft = hard = static_cast<std::uint64_t>(std::max<std::int64_t>(*named, 0));
    if (hard > most) {
      draft.lose(Protection::open_files,
                 {"the caller's own hard limit is " + std::to_string(most),
                  "raise it: ulimit -Hn, or LimitNOFILE= of the service"},
                 std::to_string(hard) + " open files");
      soft = hard = most;
    }
  }
  add_rlimit(draft, "nofile", soft, hard);
  if (named && hard < static_cast<std::uint64_t>(std::max<std::int64_t>(*named, 0))) return;
  draft.hold({Protection::open_files, "rlimit", {}, std::to_string(hard)});
}

// The spec's own, over ours. A pids limit that stands on RLIMIT_NPROC is only ever made narrower.
void plan_rlimits(Draft& draft) {
  add_rlimit(draft, "core", 0, 0);
  plan_open_files(draft);
  for (const auto& [name, limit] : draft.spec.resources.rlimits) {
    add_rlimit(draft, name, limit.soft, limit.hard);
    if (name != "nofile") continue;
    if (limit.hard > draft.host.open_files_hard) {
      draft.refuse(problem(
          ErrorCode::limit_not_enforceable, "limit open_files", "$.resources.rlimits.nofile",
          "its hard value is above the caller's own, " + std::to_string(draft.host.open_files_hard),
          "raise that: ulimit -Hn, or LimitNOFILE= of the service"));
    }
    for (LimitPlan& known : draft.plan.limits) {
      if (known.protection == Protection::open_files) known.value = std::to_string(limit.hard);
    }
  }

  for (const LimitPlan& limit : draft.plan.limits) {
    if (limit.protection != Protection::pids || limit.mechanism != "rlimit") continue;
    std::uint64_t most = std::stoull(limit.value);
    for (const RlimitPlan& rlimit : draft.plan.rlimits) {
      if (rlimit.name == "nproc") most = std::min(most, rlimit.hard);
    }
    add_rlimit(draft, "nproc", most, most);
  }
}

void plan_clocks(Draft& draft) {
  const SandboxSpec& spec = draft.spec;
  draft.plan.grace = spec.grace.value_or(Duration{0});
  if (spec.timeout && draft.wanted(Protection::timeout)) {
    draft.plan.timeout = spec.timeout;
    draft.hold({Protection::timeout, "supervisor", {}, to_string(*spec.timeout)});
  }
  if (!spec.cpu_timeout || !draft.wanted(Protection::cpu_timeout)) return;
  // The time of processes that have ended is known to cpu.stat alone; it needs no controller.
  if (draft.host.cgroup.v2_usable) {
    draft.plan.cpu_timeout = spec.cpu_timeout;
    draft.hold({Protection::cpu_timeout, "supervisor", "cpu.stat", to_string(*spec.cpu_timeout)});
  } else {
    draft.lose(
        Protection::cpu_timeout,
        {draft.host.cgroup.v2_reason, cure_for_cgroup(draft.host.cgroup.v2_reason, draft.host.uid)},
        to_string(*spec.cpu_timeout) + " of CPU time");
  }
}

// These have no default: to require one without saying how much is a mistake.
void refuse_required_without_value(Draft& draft) {
  const SandboxSpec& spec = draft.spec;
  struct Valueless {
    Protection protection;
    bool given;
  };
  const std::array<Valueless, 6> limits{{
      {Protection::cpus, spec.resources.cpus.has_value()},
      {Protection::cpu_weight, spec.resources.cpu_weight.has_value()},
      {Protection::io_weight, spec.resources.io_weight.has_value()},
      {Protection::output,
       spec.resources.output.has_value() || draft.delivery == OutputDelivery::captured},
      {Protection::timeout, spec.timeout.has_value()},
      {Protection::cpu_timeout, spec.cpu_timeout.has_value()},
  }};
  for (const Valueless& limit : limits) {
    if (limit.given || draft.requirement(limit.protection) != Requirement::required) continue;
    const std::string name(to_string(limit.protection));
    draft.refuse(problem(ErrorCode::invalid_argument, "limit " + name, "$.require." + name,
                         "it is required, but no value is given",
                         "give " + path_of(limit.protection)));
  }
}

// Even without a controller: kill, freeze and CPU time. But a scope, which takes its time, only for
// what has been promised.
void plan_v2_parent(Draft& draft) {
  const CgroupFacts& facts = draft.host.cgroup;
  CgroupPlan& cgroup = draft.plan.cgroup;
  if (!facts.v2_usable) return;
  const bool promised = cgroup.v2_controllers || draft.plan.cpu_timeout;
  if (!facts.scope_bus.empty() && !promised) return;
  cgroup.parents[""] = group_path(facts.v2_mount_point, facts.v2_group);
  cgroup.scope_bus = facts.scope_bus;
}

}  // namespace

void plan_limits(Draft& draft) {
  refuse_required_without_value(draft);
  plan_memory(draft);
  plan_swap(draft);
  plan_cpus(draft);
  plan_weights(draft);
  plan_pids(draft);
  plan_disk(draft);
  plan_rlimits(draft);
  plan_clocks(draft);
  plan_v2_parent(draft);
}

}  // namespace cove
