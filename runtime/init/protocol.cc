#include "runtime/init/protocol.h"

#include <sys/socket.h>
#include <time.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace cove {
namespace {

void put(MessageWriter& writer, const std::vector<std::string>& texts) {
  writer.u32(static_cast<std::uint32_t>(texts.size()));
  for (const std::string& text : texts) writer.text(text);
}

std::vector<std::string> take_texts(MessageReader& reader) {
  std::vector<std::string> texts;
  for (std::uint32_t left = reader.u32(); left > 0 && reader.good(); --left)
    texts.push_back(reader.text());
  return texts;
}

template <typename T>
Result<T> checked(T value, const MessageReader& reader) {
  if (reader.good()) return value;
  return fail(Error{ErrorCode::internal,
                    "protocol",
                    EBADMSG,
                    "a message between Cove's processes is cut short",
                    "",
                    "",
                    {}});
}

template <typename Kind>
MessageWriter start(Kind kind) {
  MessageWriter writer;
  writer.u32(static_cast<std::uint32_t>(kind));
  return writer;
}

// A message without MessageWriter, which allocates: 'i' is its inline form (message.h).
template <std::size_t N>
void send_numbers(int control, const std::array<std::uint32_t, N>& numbers) noexcept {
  const int saved_errno = errno;
  std::array<char, 1 + N * sizeof(std::uint32_t)> body{'i'};
  std::memcpy(body.data() + 1, numbers.data(), N * sizeof(std::uint32_t));
  // A full or closed socket loses the order, as a dead process would.
  (void)send(control, body.data(), body.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  errno = saved_errno;
}

constexpr std::uint32_t number(Order order) { return static_cast<std::uint32_t>(order); }

}  // namespace

std::string encode(const ExecOrder& order) {
  MessageWriter writer = start(Order::exec);
  put(writer, order.argv);
  put(writer, order.env);
  writer.text(order.workdir).u32(order.uid).u32(order.gid);
  writer.u32(static_cast<std::uint32_t>(order.groups.size()));
  for (std::uint32_t group : order.groups) writer.u32(group);
  writer.u32(order.set_groups).u64(order.capabilities);
  writer.u32(static_cast<std::uint32_t>(order.rlimits.size()));
  for (const RlimitPlan& limit : order.rlimits)
    writer.text(limit.name).u64(limit.soft).u64(limit.hard);
  writer.u32(order.has_group).u32(order.traced).u32(order.cgroup_mount);
  writer.u32(static_cast<std::uint32_t>(order.terminal));
  writer.u32(order.window.rows).u32(order.window.columns);
  return writer.body();
}

Result<ExecOrder> decode_exec(MessageReader& reader) {
  ExecOrder order;
  order.argv = take_texts(reader);
  order.env = take_texts(reader);
  order.workdir = reader.text();
  order.uid = reader.u32();
  order.gid = reader.u32();
  for (std::uint32_t left = reader.u32(); left > 0 && reader.good(); --left)
    order.groups.push_back(reader.u32());
  order.set_groups = reader.u32() != 0;
  order.capabilities = reader.u64();
  for (std::uint32_t left = reader.u32(); left > 0 && reader.good(); --left) {
    RlimitPlan limit;
    limit.name = reader.text();
    limit.soft = reader.u64();
    limit.hard = reader.u64();
    order.rlimits.push_back(std::move(limit));
  }
  order.has_group = reader.u32() != 0;
  order.traced = reader.u32() != 0;
  order.cgroup_mount = reader.u32() != 0;
  order.terminal = static_cast<TerminalUse>(reader.u32());
  order.window.rows = static_cast<std::uint16_t>(reader.u32());
  order.window.columns = static_cast<std::uint16_t>(reader.u32());
  return checked(std::move(order), reader);
}

std::string encode(const StartedReport& report) {
  MessageWriter writer = start(Report::started);
  writer.u32(static_cast<std::uint32_t>(report.milestones.size()));
  for (const Milestone& milestone : report.milestones)
    writer.text(milestone.name).u64(milestone.at);
  return writer.body();
}

Result<StartedReport> decode_started(MessageReader& reader) {
  StartedReport report;
  for (std::uint32_t left = reader.u32(); left > 0 && reader.good(); --left) {
    Milestone milestone;
    milestone.name = reader.text();
    milestone.at = reader.u64();
    report.milestones.push_back(std::move(milestone));
  }
  return checked(std::move(report), reader);
}

std::string encode(const ExitedReport& report) {
  MessageWriter writer = start(Report::exited);
  writer.u32(static_cast<std::uint32_t>(report.wait_status)).u64(report.at);
  writer.u64(report.user_usec).u64(report.system_usec).u64(report.peak_resident_kib);
  writer.u64(report.read_blocks).u64(report.written_blocks);
  return writer.body();
}

Result<ExitedReport> decode_exited(MessageReader& reader) {
  ExitedReport report;
  report.wait_status = static_cast<int>(reader.u32());
  report.at = reader.u64();
  report.user_usec = reader.u64();
  report.system_usec = reader.u64();
  report.peak_resident_kib = reader.u64();
  report.read_blocks = reader.u64();
  report.written_blocks = reader.u64();
  return checked(report, reader);
}

std::string encode(const FailedReport& report) {
  MessageWriter writer = start(Report::failed);
  writer.u32(static_cast<std::uint32_t>(report.code))
      .text(report.step)
      .u32(static_cast<std::uint32_t>(report.sys_errno));
  writer.text(report.what).text(report.where).text(report.hint);
  return writer.body();
}

Result<FailedReport> decode_failed(MessageReader& reader) {
  FailedReport report;
  report.code = static_cast<ErrorCode>(reader.u32());
  report.step = reader.text();
  report.sys_errno = static_cast<int>(reader.u32());
  report.what = reader.text();
  report.where = reader.text();
  report.hint = reader.text();
  return checked(std::move(report), reader);
}

FailedReport to_report(const Error& error) {
  return {error.code, error.step, error.sys_errno, error.what, error.where, error.hint};
}

Error to_error(const FailedReport& report) {
  Error error{report.code, report.step, report.sys_errno, report.what, report.where,
              report.hint, {}};
  return error;
}

void send_signal_order(int control, int signal) noexcept {
  send_numbers<2>(control, {number(Order::signal), static_cast<std::uint32_t>(signal)});
}

void send_resize_order(int control, WindowSize window) noexcept {
  send_numbers<3>(control, {number(Order::resize), window.rows, window.columns});
}

std::uint64_t monotonic_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace cove
