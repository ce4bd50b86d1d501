#include "runtime/launch/uplink.h"

#include <utility>

#include "runtime/init/protocol.h"
#include "runtime/kernel/message.h"
#include "runtime/network/frame_filter.h"
#include "runtime/network/prefix.h"

namespace cove {
namespace {

constexpr std::uint32_t kNobody = 65534;
constexpr std::uint64_t kPatience = 10'000'000'000;  // nanoseconds; it takes some 30 milliseconds

Result<std::vector<sock_filter>> filter_of(const UplinkPlan& plan) {
  const auto resolvers = parse_prefixes(plan.resolvers);
  const auto blocked = parse_prefixes(plan.blocked);
  if (!resolvers) return fail(resolvers.error());
  if (!blocked) return fail(blocked.error());
  return compile_frame_filter(*resolvers, *blocked);
}

}  // namespace

Uplink::Uplink(const Plan& plan, const Belongings& belongings, UniqueFd link, UniqueFd group)
    : plan_(plan.uplink.value_or(UplinkPlan{})), link_(std::move(link)), group_(std::move(group)) {
  if (plan.identity.mapping == IdMapping::single) {
    uid_ = plan.identity.uid;
    gid_ = plan.identity.gid;
    return;
  }
  uid_ = gid_ = kNobody;
  // Subordinate ids are the same on the ground as inside.
  outer_uid_ = belongings.first_id().value_or(0) + kNobody;
}

BorrowedFd Uplink::awaited() const {
  if (!pasta_) return link_;
  return link_ ? pasta_->ready() : pasta_->process();
}

void Uplink::advance(const HostPlace& host) {
  if (!link_) return pasta_.reset();
  const auto done = pasta_ ? connect(host) : start(host);
  if (!done) give_up(done.error());
}

std::optional<std::uint64_t> Uplink::deadline() const {
  return link_ && pasta_ ? std::optional(deadline_) : std::nullopt;
}

void Uplink::on_deadline() {
  give_up(
      Error{ErrorCode::setup_failed, "network", 0, "pasta is not ready after 10 s", "", "", {}});
}

void Uplink::end() {
  link_.reset();
  if (pasta_) pasta_->kill();
}

Result<void> Uplink::start(const HostPlace& host) {
  auto message = receive_message(link_);
  if (!message) return fail(message.error());
  if (message->fds.size() != 2) {
    link_.reset();  // init is gone: it has told the supervisor why
    return {};
  }
  auto pasta = Pasta::start(
      {plan_.pasta, host, message->fds[0], message->fds[1], uid_, gid_, outer_uid_, group_});
  group_.reset();
  if (!pasta) return fail(pasta.error());
  pasta_.emplace(std::move(*pasta));
  deadline_ = monotonic_now() + kPatience;
  return {};
}

Result<void> Uplink::connect(const HostPlace& host) {
  const auto filter = filter_of(plan_);
  if (!filter) return fail(filter.error());
  if (auto done = pasta_->go_on(host.proc, *filter); !done) return done;
  MessageWriter connected;
  connected.u32(static_cast<std::uint32_t>(Order::connected));
  // An init that is gone is noticed by its pidfd.
  (void)send_message(link_, connected.body());
  link_.reset();
  return {};
}

void Uplink::give_up(const Error& error) {
  (void)send_message(link_, encode(to_report(error)));
  link_.reset();
  pasta_.reset();
}

}  // namespace cove
