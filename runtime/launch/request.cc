#include "runtime/launch/request.h"

#include <cerrno>
#include <cstring>

#include "runtime/model/wire.h"

namespace cove {
namespace {

constexpr std::uint32_t kNoFd = ~std::uint32_t{0};
enum class Kind : std::uint32_t { prepare = 1, copy, launch };
enum class Reply : std::uint32_t { launched = 1, failed, copied };

Error cut_short() {
  return Error{ErrorCode::internal,
               "launcher",
               EBADMSG,
               "a message between Cove's processes is cut short",
               "",
               "",
               {}};
}

// Descriptors of a message by their place in it.
class FdWriter {
 public:
  FdWriter(MessageWriter& writer, std::vector<BorrowedFd>& fds) : writer_(writer), fds_(fds) {}
  void add(BorrowedFd fd) {
    writer_.u32(fd ? static_cast<std::uint32_t>(fds_.size()) : kNoFd);
    if (fd) fds_.push_back(fd);
  }
  template <typename List>
  void add_all(const List& list) {
    writer_.u32(static_cast<std::uint32_t>(list.size()));
    for (const auto& fd : list) add(fd);
  }

 private:
  MessageWriter& writer_;
  std::vector<BorrowedFd>& fds_;
};

class FdReader {
 public:
  FdReader(MessageReader& reader, std::vector<UniqueFd>& fds) : reader_(reader), fds_(fds) {}
  UniqueFd take() {
    const std::uint32_t index = reader_.u32();
    return index < fds_.size() ? std::move(fds_[index]) : UniqueFd();
  }
  std::vector<UniqueFd> take_all() {
    std::vector<UniqueFd> list;
    for (std::uint32_t left = reader_.u32(); left > 0 && reader_.good(); --left)
      list.push_back(take());
    return list;
  }

 private:
  MessageReader& reader_;
  std::vector<UniqueFd>& fds_;
};

void write_belongings(const Belongings& belongings, MessageWriter& writer, FdWriter& fds) {
  const SandboxRecord& record = belongings.record;
  writer.text(belongings.id);
  writer.u32(record.slot.has_value()).u32(record.slot.value_or(0));
  writer.u32(static_cast<std::uint32_t>(record.groups.size()));
  for (const std::string& group : record.groups) writer.text(group);
  for (const UniqueFd* fd :
       {&belongings.record_file, &belongings.slots, &belongings.image, &belongings.lease})
    fds.add(*fd);
}

Belongings read_belongings(MessageReader& reader, FdReader& fds) {
  Belongings belongings;
  belongings.id = reader.text();
  const bool has_slot = reader.u32() != 0;
  const std::uint32_t slot = reader.u32();
  if (has_slot) belongings.record.slot = slot;
  for (std::uint32_t left = reader.u32(); left > 0 && reader.good(); --left)
    belongings.record.groups.push_back(reader.text());
  for (UniqueFd* fd :
       {&belongings.record_file, &belongings.slots, &belongings.image, &belongings.lease})
    *fd = fds.take();
  return belongings;
}

std::string bytes_of(const std::vector<sock_filter>& filter) {
  return {reinterpret_cast<const char*>(filter.data()), filter.size() * sizeof(sock_filter)};
}

std::vector<sock_filter> filter_of(const std::string& bytes) {
  std::vector<sock_filter> filter(bytes.size() / sizeof(sock_filter));
  std::memcpy(filter.data(), bytes.data(), filter.size() * sizeof(sock_filter));
  return filter;
}

}  // namespace

std::string encode_prepare(const Standing& standing) {
  MessageWriter writer;
  writer.u32(static_cast<std::uint32_t>(Kind::prepare));
  writer.u32(static_cast<std::uint32_t>(standing.privilege));
  const SubordinateIds ids = standing.subordinate_ids.value_or(SubordinateIds{});
  writer.u32(standing.subordinate_ids.has_value()).u32(ids.first_uid).u32(ids.first_gid);
  return writer.body();
}

namespace {

Result<Request> decode_prepare(MessageReader& reader) {
  Standing standing;
  standing.privilege = static_cast<Privilege>(reader.u32());
  const bool has_ids = reader.u32() != 0;
  const std::uint32_t first_uid = reader.u32(), first_gid = reader.u32();
  if (has_ids) standing.subordinate_ids = SubordinateIds{first_uid, first_gid};
  if (!reader.good()) return fail(cut_short());
  return standing;
}

Result<Request> decode_copy(MessageReader& reader, FdReader& fds) {
  CopyOrder order;
  order.privilege = static_cast<Privilege>(reader.u32());
  order.base = reader.text();
  for (std::uint32_t left = reader.u32(); left > 0 && reader.good(); --left)
    order.layers.push_back(reader.text());
  order.root = fds.take();
  order.socket = fds.take();
  if (!reader.good() || !order.socket) return fail(cut_short());
  return Request(std::move(order));
}

}  // namespace

std::string encode_copy(const Plan& plan, BorrowedFd root, BorrowedFd socket,
                        std::vector<BorrowedFd>& fds) {
  const bool own_range = plan.identity.mapping == IdMapping::range;
  MessageWriter writer;
  FdWriter fd_writer(writer, fds);
  writer.u32(static_cast<std::uint32_t>(Kind::copy));
  writer.u32(static_cast<std::uint32_t>(own_range ? Privilege::root : Privilege::user));
  writer.text(plan.root.copies_directory);
  writer.u32(static_cast<std::uint32_t>(plan.root.layers.size()));
  for (const std::string& layer : plan.root.layers) writer.text(layer);
  fd_writer.add(root);
  fd_writer.add(socket);
  return writer.body();
}

std::string encode_copied(const DuplicatedFiles& files) {
  MessageWriter writer;
  writer.u32(static_cast<std::uint32_t>(Reply::copied));
  writer.u64(files.reflinked).u64(files.copied);
  return writer.body();
}

std::string encode_request(const LaunchInputs& inputs, const std::vector<SourceFacts>& sources,
                           std::vector<BorrowedFd>& fds) {
  Plan plan = inputs.plan;
  plan.process.argv.clear();
  plan.process.env.clear();
  plan.stdin_source = StdinNone{};
  MessageWriter writer;
  FdWriter fd_writer(writer, fds);
  writer.u32(static_cast<std::uint32_t>(Kind::launch));
  writer.text(encode(plan));
  writer.u32(static_cast<std::uint32_t>(sources.size()));
  for (const SourceFacts& source : sources) writer.text(encode(source));
  write_belongings(inputs.belongings, writer, fd_writer);
  writer.u32(inputs.device_nodes == DeviceNodes::make);
  fd_writer.add_all(inputs.mounts.layers);
  fd_writer.add_all(inputs.mounts.directories);
  fd_writer.add_all(inputs.mounts.binds);
  fd_writer.add(inputs.init_group);
  fd_writer.add(inputs.root);
  fd_writer.add(inputs.records);
  fd_writer.add(inputs.copies);
  fd_writer.add(inputs.keeper);
  writer.u32(static_cast<std::uint32_t>(inputs.filters.size()));
  for (const auto& filter : inputs.filters) writer.text(bytes_of(filter));
  return writer.body();
}

Result<Request> decode_request(Message message) {
  MessageReader reader(message.body);
  FdReader fd_reader(reader, message.fds);
  const auto kind = static_cast<Kind>(reader.u32());
  if (kind == Kind::prepare) return decode_prepare(reader);
  if (kind == Kind::copy) return decode_copy(reader, fd_reader);
  OwnedRequest request;
  auto plan = decode<Plan>(reader.text());
  if (!plan) return fail(plan.error());
  request.plan = std::move(*plan);
  for (std::uint32_t left = reader.u32(); left > 0 && reader.good(); --left) {
    auto source = decode<SourceFacts>(reader.text());
    if (!source) return fail(source.error());
    request.sources.push_back(std::move(*source));
  }
  request.belongings = read_belongings(reader, fd_reader);
  request.device_nodes = reader.u32() != 0 ? DeviceNodes::make : DeviceNodes::bind;
  request.mounts.layers = fd_reader.take_all();
  request.mounts.directories = fd_reader.take_all();
  request.mounts.binds = fd_reader.take_all();
  request.init_group = fd_reader.take();
  request.root = fd_reader.take();
  request.records = fd_reader.take();
  request.copies = fd_reader.take();
  request.keeper = fd_reader.take();
  for (std::uint32_t left = reader.u32(); left > 0 && reader.good(); --left)
    request.filters.push_back(filter_of(reader.text()));
  if (!reader.good()) return fail(cut_short());
  return Request(std::move(request));
}

std::string encode_reply(const Launched& launched, std::vector<BorrowedFd>& fds) {
  MessageWriter writer;
  writer.u32(static_cast<std::uint32_t>(Reply::launched));
  writer.text(encode(StartedReport{launched.milestones}));
  fds = {launched.pidfd, launched.control, launched.scratch};
  return writer.body();
}

std::string encode_reply(const Error& error) {
  MessageWriter writer;
  writer.u32(static_cast<std::uint32_t>(Reply::failed));
  writer.text(encode(to_report(error)));
  return writer.body();
}

namespace {

// What encode_reply made of an Error, behind its kind.
Error decode_error(MessageReader& reader) {
  const std::string text = reader.text();
  if (!reader.good()) return cut_short();
  MessageReader inner(text);
  inner.u32();  // the kind of report, which the reply's own kind implies
  auto report = decode_failed(inner);
  return report ? to_error(*report) : report.error();
}

}  // namespace

Result<LayerCopies> decode_copied(Message message) {
  MessageReader reader(message.body);
  const auto kind = static_cast<Reply>(reader.u32());
  if (kind == Reply::failed) return fail(decode_error(reader));
  const DuplicatedFiles files{reader.u64(), reader.u64()};
  if (kind != Reply::copied || !reader.good() || message.fds.size() != 1) return fail(cut_short());
  return LayerCopies{std::move(message.fds[0]), {}, files};
}

Result<Launched> decode_reply(Message message) {
  MessageReader reader(message.body);
  const auto kind = static_cast<Reply>(reader.u32());
  if (kind == Reply::failed) return fail(decode_error(reader));
  const std::string text = reader.text();
  if (!reader.good()) return fail(cut_short());
  MessageReader inner(text);
  inner.u32();
  auto started = decode_started(inner);
  if (!started || message.fds.size() != 3) return fail(cut_short());
  return Launched{std::move(message.fds[0]),
                  std::move(message.fds[1]),
                  std::move(message.fds[2]),
                  std::move(started->milestones),
                  {}};
}

}  // namespace cove
