// What holds in this place, by trying it: a sandbox for each limit and protection, whose program does
// what is to be held. Prints JSON, one object for each subject:
//
//   {"memory": {"cell": "cgroup-v2"}, "cpus": {"cell": "degraded", "why": "..."}, ...}
//
// A cell is the mechanism that was seen to hold, "degraded" where the result says that nothing does,
// "refused" where Cove would not run it, and "FAILS" where the result claimed what was not so; then
// the exit status is 1.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cove/host.h"
#include "tests/support/host.h"
#include "tests/support/network.h"
#include "tests/support/sandbox.h"

namespace cove::testing {
namespace {

using Json = nlohmann::ordered_json;

struct Subject {
  const char* name;
  Protection protection;
  SandboxSpec spec;
  // What the program printed and how it ended, if the protection held.
  std::function<bool(const SandboxResult&)> held;
};

bool printed(const SandboxResult& result, const std::string& text) {
  return result.cause == Cause::exited && output(result) == text;
}

// Only what a subject is about may keep its sandbox from running.
SandboxSpec modest(const std::string& commands) {
  SandboxSpec spec = probe(commands);
  spec.read_only = true;
  spec.timeout = std::chrono::seconds(60);
  return spec;
}

std::vector<Subject> limits() {
  std::vector<Subject> subjects;
  const auto add = [&](const char* name, Protection protection, const std::string& commands,
                       std::function<bool(const SandboxResult&)> held) -> SandboxSpec& {
    subjects.push_back({name, protection, modest(commands), std::move(held)});
    subjects.back().spec.require[protection] = Requirement::preferred;
    return subjects.back().spec;
  };
  add("memory", Protection::memory, "alloc 314572800", [](const SandboxResult& result) {
    return result.cause == Cause::out_of_memory;
  }).resources.memory = mebibytes(64);
  add("cpus", Protection::cpus, "burn 1", [](const SandboxResult& result) {
    return result.usage.cpu_ms.value_or(1000) < 600;
  }).resources.cpus = 0.2;
  add("pids", Protection::pids, "processes 100", [](const SandboxResult& result) {
    // A resource limit counts init as well, where that has the program's id.
    return printed(result, "processes: 19\n") || printed(result, "processes: 18\n");
  }).resources.pids_limit = 20;
  add("disk", Protection::disk, "write-file /tmp/a 16777216", [](const SandboxResult& result) {
    return result.events.disk_full && output(result).ends_with("write-file: ENOSPC\n");
  }).resources.disk = mebibytes(8);
  add("open files", Protection::open_files, "open-many 100", [](const SandboxResult& result) {
    return printed(result, "opened: 7\n");
  }).resources.open_files = 10;
  add("output", Protection::output, "write-stdout 1048576", [](const SandboxResult& result) {
    return result.stdout_stream.truncated && result.stdout_stream.bytes.size() == 4096;
  }).resources.output = Bytes{4096};
  add("timeout", Protection::timeout, "sleep 60", [](const SandboxResult& result) {
    return result.cause == Cause::timeout && result.duration_ms < 5000;
  }).timeout = std::chrono::milliseconds(300);
  add("cpu timeout", Protection::cpu_timeout, "burn 3", [](const SandboxResult& result) {
    return result.cause == Cause::cpu_timeout;
  }).cpu_timeout = std::chrono::milliseconds(300);
  return subjects;
}

Json cell(const std::string& text, const std::string& why = {}) {
  Json json{{"cell", text}};
  if (!why.empty()) json["why"] = why;
  return json;
}

Json look_at(const Subject& subject) {
  const SandboxResult result = run(subject.spec);
  if (result.error) return cell("refused", result.error->message());
  for (const Degradation& lost : result.degraded) {
    if (lost.protection == subject.protection) return cell("degraded", lost.reason);
  }
  const auto mechanism = result.enforced.find(subject.protection);
  if (mechanism == result.enforced.end()) return cell("FAILS", "neither enforced nor degraded");
  if (!subject.held(result)) return cell("FAILS", shown(result));
  return cell(mechanism->second);
}

// Without a word about what is preferred: what every run has.
Json look_at_isolation() {
  const SandboxResult result = run(modest("ps ; interfaces"));
  if (result.error) return cell("refused", result.error->message());
  if (!printed(result, "process 1: cove-init\nprocess 2: probe\ninterface: lo\n"))
    return cell("FAILS", shown(result));
  std::string lost, why;
  for (const Degradation& each : result.degraded) {
    if (each.protection >= Protection::memory) continue;  // limits
    lost += (lost.empty() ? "" : ", ") + std::string(to_string(each.protection));
    why += (why.empty() ? "" : "; ") + each.reason;
  }
  return lost.empty() ? cell("whole") : cell("without " + lost, why);
}

Json look_at_writable_root() {
  SandboxSpec spec = modest("write-file /a 4096");
  spec.read_only = false;
  spec.user = "root";
  const SandboxResult result = run(spec);
  if (result.error) return cell("refused", result.error->message());
  return printed(result, "write-file: ok\n") ? cell("overlay") : cell("FAILS", shown(result));
}

// A machine that has no network of its own is given one for this, where this process may.
SandboxResult run_with_a_network(const SandboxSpec& spec) {
  SandboxResult result = run(spec);
  if (!result.error || !has_cap_sys_admin() || access("/dev/net/tun", R_OK | W_OK) != 0)
    return result;
  const HostNetwork network;
  auto engine = Engine::create();
  return engine ? engine->run(spec) : result;
}

Json look_at_open_network() {
  SandboxSpec spec = modest("interfaces");
  spec.network = NetworkMode::open;
  const SandboxResult result = run_with_a_network(spec);
  if (result.error) return cell("refused", result.error->message());
  if (!printed(result, "interface: lo\ninterface: eth0\n")) return cell("FAILS", shown(result));
  return cell(result.enforced.at(Protection::network));
}

Json look_at_terminal() {
  SandboxSpec spec = modest("window");
  spec.tty = true;
  const SandboxResult result = run(spec);
  if (result.error) return cell("refused", result.error->message());
  return output(result).starts_with("window: ") ? cell("pty") : cell("FAILS", shown(result));
}

int survey() {
  Json cells;
  cells["isolation"] = look_at_isolation();
  cells["writable root"] = look_at_writable_root();
  for (const Subject& subject : limits()) cells[subject.name] = look_at(subject);
  cells["network open"] = look_at_open_network();
  cells["terminal"] = look_at_terminal();

  const auto host = gather_host_facts();
  const Json report{{"kernel", host ? host->kernel_release : ""},
                    {"uid", host ? host->uid : 0},
                    {"trial", try_sandbox(shared_engine()).found},
                    {"cells", cells}};
  std::puts(report.dump().c_str());
  for (const auto& [name, found] : cells.items()) {
    if (found["cell"] == "FAILS") return 1;
  }
  return 0;
}

}  // namespace
}  // namespace cove::testing

int main() { return cove::testing::survey(); }
