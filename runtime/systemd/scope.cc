#include "runtime/systemd/scope.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "runtime/cgroup/file.h"
#include "runtime/systemd/bus.h"

namespace cove {
namespace {

using Clock = std::chrono::steady_clock;

// D-Bus gives 25 seconds; nobody waits so long for a launch.
constexpr std::chrono::seconds kPatience{5};
constexpr std::chrono::milliseconds kPause{1};
constexpr const char* kLeaf = "launcher";

Error scope_error(std::string what) {
  return Error{ErrorCode::setup_failed, "", 0, std::move(what), "", "", {}};
}

Error scope_errno(std::string what, std::string where) {
  Error error = errno_error(ErrorCode::setup_failed, "", std::move(what));
  error.where = std::move(where);
  return error;
}

// StartTransientUnit(in s name, in s mode, in a(sv) properties, in a(sa(sv)) aux, out o job):
// org.freedesktop.systemd1(5).
BusCall start_scope(const std::string& unit, pid_t pid) {
  BusBody body;
  body.string(unit);
  body.string("fail");
  const auto property = [&](const char* name, const char* type) {
    body.structure();
    body.string(name);
    body.signature(type);
  };
  body.array(8, [&] {
    property("Description", "s");
    body.string("Cove sandboxes of process " + std::to_string(getpid()));
    property("PIDs", "au");
    body.array(4, [&] { body.u32(static_cast<std::uint32_t>(pid)); });
    property("Delegate", "b");
    body.u32(1);
    // Else a unit that has failed would stay behind where a process was killed for memory.
    property("CollectMode", "s");
    body.string("inactive-or-failed");
  });
  body.array(8, [] {});
  return {
      "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
      "StartTransientUnit",       "ssa(sv)a(sa(sv))",          body.bytes()};
}

std::string read_file(BorrowedFd root, const std::string& path) {
  return read_group_file(root, path.c_str() + 1);
}

// systemd would take our number for another process's, were its pid namespace not ours. Seen from
// ours, a process of a namespace below has more than one number, and one of another has 0.
bool shares_pids(const ScopeInputs& inputs) {
  const std::string pids = read_file(inputs.root, inputs.manager + "/init.scope/cgroup.procs");
  const long pid = std::strtol(pids.c_str(), nullptr, 10);
  if (pid <= 0) return false;
  const std::string status = read_file(inputs.root, "/proc/" + std::to_string(pid) + "/status");
  const std::string own = "\nNSpid:\t" + std::to_string(pid) + "\n";
  return status.find(own) != std::string::npos;
}

// systemd answers before it has moved the process. Empty: it has not, within the time.
std::string await_scope(const ScopeInputs& inputs, const std::string& unit,
                        Clock::time_point deadline) {
  const std::string file = "/proc/" + std::to_string(inputs.pid) + "/cgroup";
  const std::string manager = inputs.manager.substr(inputs.manager.rfind('/'));
  do {
    // "0::/user.slice/user-1000.slice/user@1000.service/app.slice/cove-7.scope", of v2
    const std::string groups = "\n" + read_file(inputs.root, file);
    const std::size_t v2 = groups.find("\n0::/");
    const std::size_t from = groups.find(manager + "/", std::min(v2, groups.size()));
    const std::size_t to = groups.find("/" + unit + "\n", from);
    if (from != std::string::npos && to != std::string::npos) {
      const std::size_t below = from + manager.size();
      return inputs.manager + groups.substr(below, to + 1 + unit.size() - below);
    }
    std::this_thread::sleep_for(kPause);
  } while (Clock::now() < deadline);
  return {};
}

// Into a leaf, so that the scope may hand controllers down. All that is in it: the process may have
// made children meanwhile (newuidmap).
Result<void> empty_into_leaf(BorrowedFd root, const std::string& scope,
                             Clock::time_point deadline) {
  const UniqueFd group(openat(root.number(), scope.c_str() + 1, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!group || mkdirat(group.number(), kLeaf, 0755) != 0)
    return fail(scope_errno("make a group in the scope", scope));
  const UniqueFd leaf(openat(group.number(), kLeaf, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!leaf) return fail(scope_errno("open the group", scope + "/" + kLeaf));
  for (;;) {
    const std::string pids = read_group_file(group, "cgroup.procs");
    if (pids.empty()) return {};
    const auto moved = write_group_file(leaf, "cgroup.procs", pids.substr(0, pids.find('\n')));
    // ESRCH: it has ended.
    if (!moved && moved.error().sys_errno != ESRCH) return fail(moved.error());
    if (Clock::now() >= deadline) return fail(scope_error("the scope does not get empty"));
  }
}

}  // namespace

Result<std::string> move_into_scope(const ScopeInputs& inputs) {
  if (!shares_pids(inputs)) return fail(scope_error("it is not in this process's pid namespace"));
  const auto deadline = Clock::now() + kPatience;
  const std::string unit = "cove-" + std::to_string(inputs.pid) + ".scope";
  if (auto asked = call_on_bus(inputs.bus, start_scope(unit, inputs.pid), deadline); !asked)
    return fail(asked.error());
  std::string scope = await_scope(inputs, unit, deadline);
  if (scope.empty()) return fail(scope_error("it did not move the launcher within the time"));
  if (auto done = empty_into_leaf(inputs.root, scope, deadline); !done) return fail(done.error());
  return scope;
}

}  // namespace cove
