#include "runtime/engine/prepare.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/host/kernel_version.h"
#include "runtime/kernel/io.h"
#include "runtime/launch/take_away.h"
#include "runtime/model/capabilities.h"
#include "runtime/seccomp/filter.h"
#include "runtime/seccomp/trace.h"

namespace cove {
namespace {

Error stream_error(std::string what) {
  return errno_error(ErrorCode::resource_exhausted, "stdio", std::move(what));
}

enum class Ours { reading, writing };

// Our end does not block; the program's does, as programs expect.
Result<kernel::Pipe> make_pipe(Ours ours, std::optional<std::uint32_t> owner) {
  kernel::Pipe pipe = kernel::make_pipe();
  if (!pipe) return fail(stream_error("pipe"));
  const UniqueFd& end = ours == Ours::reading ? pipe.reading : pipe.writing;
  if (fcntl(end.number(), F_SETFL, O_NONBLOCK) != 0)
    return fail(stream_error("make a pipe non-blocking"));
  // To the sandbox's root, who may then give it to the program's user.
  if (owner && fchown(end.number(), *owner, *owner) != 0)
    return fail(stream_error("give a pipe to the sandbox"));
  return pipe;
}

Result<UniqueFd> duplicate(int fd, const char* name) {
  UniqueFd copy(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) return fail(stream_error(std::string("duplicate ") + name));
  return copy;
}

Result<void> prepare_input(const Plan& plan, const Streams& streams,
                           std::optional<std::uint32_t> owner, BorrowedFd null,
                           ProgramPipes& pipes) {
  if (std::holds_alternative<StdinNone>(plan.stdin_source)) {
    auto copy = duplicate(null.number(), "/dev/null");
    if (!copy) return fail(copy.error());
    pipes.in = std::move(*copy);
    return {};
  }
  if (pipes.terminal == TerminalUse::streams) {
    auto source = duplicate(streams.stdin_fd, "standard input");
    if (!source) return fail(source.error());
    pipes.input = InputCopier::typing(std::move(*source), streams.detach_keys);
    return {};
  }
  auto pipe = make_pipe(Ours::writing, owner);
  if (!pipe) return fail(pipe.error());
  pipes.in = std::move(pipe->reading);
  if (const auto* data = std::get_if<StdinData>(&plan.stdin_source)) {
    pipes.input.emplace(std::move(pipe->writing), data->bytes);
    return {};
  }
  auto source = duplicate(streams.stdin_fd, "standard input");
  if (!source) return fail(source.error());
  pipes.input.emplace(std::move(pipe->writing), std::move(*source));
  return {};
}

// `pipe`: our end; none where a terminal takes its place, once there is one.
Result<OutputCopier> make_copier(UniqueFd pipe, const StreamPlan& plan, const Streams& streams,
                                 int destination, BorrowedFd null) {
  if (streams.delivery == OutputDelivery::captured)
    return OutputCopier(std::move(pipe), plan, null);
  auto copy = duplicate(destination, "an output stream");
  if (!copy) return fail(copy.error());
  return OutputCopier(std::move(pipe), plan, null, std::move(*copy));
}

Result<void> prepare_outputs(const Plan& plan, const Streams& streams,
                             std::optional<std::uint32_t> owner, BorrowedFd null,
                             ProgramPipes& pipes) {
  kernel::Pipe out, err;
  if (pipes.terminal == TerminalUse::none) {
    for (kernel::Pipe* pipe : {&out, &err}) {
      auto made = make_pipe(Ours::reading, owner);
      if (!made) return fail(made.error());
      *pipe = std::move(*made);
    }
  }
  auto output =
      make_copier(std::move(out.reading), plan.stdout_stream, streams, streams.stdout_fd, null);
  if (!output) return fail(output.error());
  auto errors =
      make_copier(std::move(err.reading), plan.stderr_stream, streams, streams.stderr_fd, null);
  if (!errors) return fail(errors.error());
  pipes.output = std::move(*output);
  pipes.errors = std::move(*errors);
  pipes.out = std::move(out.writing);
  pipes.err = std::move(err.writing);
  return {};
}

TerminalUse terminal_use(const Plan& plan, const Streams& streams) {
  if (!plan.tty) return TerminalUse::none;
  const bool typed = std::holds_alternative<StdinInherit>(plan.stdin_source) &&
                     streams.input == TerminalInput::typed;
  return typed ? TerminalUse::streams : TerminalUse::output;
}

Result<void> prepare_pipes(const Plan& plan, const Streams& streams, BorrowedFd null,
                           Prepared& prepared) {
  const auto owner = prepared.belongings.first_id();
  ProgramPipes& pipes = prepared.pipes;
  pipes.terminal = terminal_use(plan, streams);
  pipes.window = streams.window;
  if (auto done = prepare_input(plan, streams, owner, null, pipes); !done) return done;
  return prepare_outputs(plan, streams, owner, null, pipes);
}

// Before anything exists that a killed process could leave: slot, then record, then groups.
Result<void> prepare_belongings(const Plan& plan, StateDirectory& state, Prepared& prepared) {
  Belongings& belongings = prepared.belongings;
  belongings.id = make_sandbox_id();
  auto lease = make_socket_pair();
  if (!lease) return fail(lease.error());
  prepared.lease = Lease(std::move(lease->first));
  belongings.lease = std::move(lease->second);

  if (plan.identity.mapping == IdMapping::range) {
    auto slot = state.take_slot(belongings.id);
    if (!slot) return fail(slot.error());
    belongings.record.slot = slot->number;
    belongings.slots = std::move(slot->lock);
  }
  belongings.record.groups = GroupTree::paths(plan.cgroup, belongings.id);
  auto written = state.write_record(belongings.id, belongings.record);
  if (!written) return fail(written.error());
  belongings.record_file = std::move(*written);
  return {};
}

Result<void> prepare_trace(Filter filter, Prepared& prepared) {
  auto traced = tracing_filter(filter.program);
  if (!traced) return fail(traced.error());
  auto link = make_socket_pair();
  if (!link) return fail(link.error());
  prepared.filters.push_back(std::move(*traced));
  prepared.trace =
      PreparedTrace{{std::move(filter.name), std::move(filter.program), std::move(link->first)},
                    std::move(link->second)};
  return {};
}

Result<void> prepare_filters(const Plan& plan, const HostFacts& host, StateDirectory& state,
                             Prepared& prepared) {
  const KernelVersion kernel = parse_kernel_version(host.kernel_release);
  const Circumstances circumstances{kernel.version, kernel.patchlevel, plan.capabilities};
  for (const std::string& name : plan.seccomp) {
    auto filter = find_filter(name, state.filter_cache().number(), circumstances);
    if (!filter) return fail(filter.error());
    prepared.filters.push_back(std::move(filter->program));
  }
  if (!plan.seccomp_trace) return {};
  auto filter = find_filter(*plan.seccomp_trace, state.filter_cache().number(), circumstances);
  return filter ? prepare_trace(std::move(*filter), prepared) : fail(filter.error());
}

}  // namespace

Result<Prepared> prepare(const Plan& plan, const HostFacts& host, StateDirectory& state,
                         BorrowedFd root) {
  Prepared prepared;
  if (auto done = prepare_filters(plan, host, state, prepared); !done) return fail(done.error());
  prepared.milestones.push_back({"filters", monotonic_now()});
  if (auto done = prepare_belongings(plan, state, prepared); !done) return fail(done.error());
  auto groups = GroupTree::begin(root, plan.cgroup, prepared.belongings.id);
  if (!groups) {
    (void)take_away(prepared.belongings, root, state.records(), std::chrono::milliseconds(0));
    return fail(groups.error());
  }
  prepared.groups = std::move(*groups);
  prepared.milestones.push_back({"record", monotonic_now()});
  return prepared;
}

Result<void> complete(const Plan& plan, const Streams& streams, BorrowedFd null,
                      Prepared& prepared) {
  auto done = prepared.groups.complete(plan.cgroup, plan.limits, prepared.belongings.first_id());
  if (!done) return done;
  prepared.milestones.push_back({"groups", monotonic_now()});
  return prepare_pipes(plan, streams, null, prepared);
}

std::string exec_order(const Plan& plan, const Prepared& prepared, std::vector<BorrowedFd>& fds) {
  ExecOrder order;
  order.argv = plan.process.argv;
  for (const auto& [name, value] : plan.process.env) order.env.push_back(name + "=" + value);
  order.workdir = plan.process.workdir;
  order.uid = plan.identity.uid;
  order.gid = plan.identity.gid;
  order.groups = plan.identity.groups;
  order.set_groups = plan.identity.mapping != IdMapping::single;
  order.capabilities = capability_mask(plan.capabilities);
  order.rlimits = plan.rlimits;
  order.has_group = static_cast<bool>(prepared.groups.main_group());
  order.traced = prepared.trace.has_value();
  order.cgroup_mount =
      std::any_of(plan.mounts.begin(), plan.mounts.end(),
                  [](const MountPlan& mount) { return mount.kind == MountKind::cgroup; });
  order.terminal = prepared.pipes.terminal;
  order.window = prepared.pipes.window;
  for (const UniqueFd* stream : {&prepared.pipes.in, &prepared.pipes.out, &prepared.pipes.err}) {
    if (*stream) fds.push_back(*stream);
  }
  if (order.has_group) fds.push_back(prepared.groups.main_group());
  if (order.traced) fds.push_back(prepared.trace->programs);
  for (BorrowedFd tasks : prepared.groups.v1_tasks()) fds.push_back(tasks);
  return encode(order);
}

}  // namespace cove
