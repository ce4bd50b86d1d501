// What is said over a sandbox's control socket.
//
//   launcher                     init                      supervisor
//      | --- maps ---------------> |                             |   its ids are mapped
//      | --- mounts + fds -------> |                             |   it builds its root
//      | == hands its end of the socket over ==================> |
//                                  | <--- exec + fds ----------- |   sent at once, read when init is ready
//                                  | ---- started (+ fd) ------> |   the program's exec succeeded; its terminal
//                                  | <--- signal, resize ------- |
//                                  | ---- exited --------------> |   and no other process is left
//      or                          | ---- failed --------------> |   a step before the exec failed
//
// A sandbox with an uplink has a second socket, between init and launcher; see launch/uplink.h. Where
// the program is traced, it says one thing itself, to the supervisor; see traced_filter.h.
//
// End of file on the socket ends the other side: the supervisor holds its end alone, so init
// notices whatever way it dies, and the kernel kills a pid namespace with its init.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cove/plan.h"
#include "cove/result.h"
#include "cove/units.h"
#include "runtime/kernel/fd.h"
#include "runtime/kernel/message.h"

namespace cove {

enum class Order : std::uint32_t { maps = 1, mounts, exec, signal, resize, connected };
enum class Report : std::uint32_t { failed = 101, started, exited, network };

// What the program has for a terminal.
enum class TerminalUse : std::uint32_t {
  none,
  output,   // stdout and stderr
  streams,  // stdin too
};

// A program to start. Its descriptors travel beside it: those of stdin, stdout and stderr that are
// no terminal, then, where has_group, the v2 group to start in, then, where traced, the link over
// which the listener of the last filter goes up, then the v1 `tasks` files to enter.
struct ExecOrder {
  std::vector<std::string> argv;
  std::vector<std::string> env;  // "NAME=value"
  std::string workdir;
  std::uint32_t uid = 0, gid = 0;
  std::vector<std::uint32_t> groups;
  bool set_groups = true;  // false where the kernel forbids setgroups(2): a single id is mapped
  std::uint64_t capabilities = 0;  // bit n: the program holds capability n
  std::vector<RlimitPlan> rlimits;
  bool has_group = false;
  bool traced = false;        // the last filter has a listener (runtime/init/traced_filter.h)
  bool cgroup_mount = false;  // a cgroup2 of its own on /sys/fs/cgroup
  TerminalUse terminal = TerminalUse::none;
  WindowSize window;
};

// A moment of the launch, in nanoseconds of CLOCK_MONOTONIC.
struct Milestone {
  std::string name;
  std::uint64_t at = 0;
};

struct StartedReport {
  std::vector<Milestone> milestones;  // the last one is the exec itself
};

struct ExitedReport {
  int wait_status = 0;                           // of the program, as waitpid(2) gives it
  std::uint64_t at = 0;                          // CLOCK_MONOTONIC, nanoseconds
  std::uint64_t user_usec = 0, system_usec = 0;  // of every process that init reaped
  std::uint64_t peak_resident_kib = 0;
  std::uint64_t read_blocks = 0, written_blocks = 0;  // of 512 bytes
};

struct FailedReport {
  ErrorCode code = ErrorCode::setup_failed;
  std::string step;
  int sys_errno = 0;
  std::string what, where, hint;
};

std::string encode(const ExecOrder& order);
std::string encode(const StartedReport& report);
std::string encode(const ExitedReport& report);
std::string encode(const FailedReport& report);

// Each takes the body behind the kind; false in `good()` of the reader becomes an Error.
Result<ExecOrder> decode_exec(MessageReader& reader);
Result<StartedReport> decode_started(MessageReader& reader);
Result<ExitedReport> decode_exited(MessageReader& reader);
Result<FailedReport> decode_failed(MessageReader& reader);

FailedReport to_report(const Error& error);
Error to_error(const FailedReport& report);

// Async-signal-safe: one send of a few bytes that does not block.
void send_signal_order(int control, int signal) noexcept;
void send_resize_order(int control, WindowSize window) noexcept;

std::uint64_t monotonic_now();

}  // namespace cove
