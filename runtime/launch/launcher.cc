#include "runtime/launch/launcher.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "runtime/init/network.h"
#include "runtime/kernel/syscalls.h"
#include "runtime/launch/disk_scratch.h"
#include "runtime/launch/request.h"
#include "runtime/launch/take_away.h"
#include "runtime/launch/uplink.h"

namespace cove {
namespace {

// The network namespace that this process stands in: the host's, or one that waits for the next
// sandbox, or, until make_ahead, the one of the sandbox cloned last.
class NetworkAhead {
 public:
  // If it fails, the next sandbox makes its own.
  void make_ahead() {
    if (!host_) return;
    stands_in_host_ = false;  // also where only loopback could not be brought up
    ready_ = make_network_namespace().has_value();
  }

  // Where the next init gets its network from. A sandbox that shares the host's must be cloned from
  // there, and one that makes its own must not be cloned from another's. What is made ahead belongs
  // to our user namespace: capabilities of the sandbox's own would not count in it.
  Result<Network> choose(const Plan& plan) {
    const auto& own = plan.namespaces;
    const bool wanted = std::find(own.begin(), own.end(), Protection::network) != own.end();
    // One with an uplink, or for a program with capabilities, is the sandbox's own to set up, and not
    // ours: it belongs to its user namespace.
    const bool plain = !plan.uplink && plan.capabilities.empty();
    if (wanted && plain && std::exchange(ready_, false)) {
      stands_in_host_ = false;
      return Network::inherited;
    }
    if (!stands_in_host_ && setns(host_.number(), CLONE_NEWNET) != 0) {
      return fail(errno_error(ErrorCode::setup_failed, "network", "return to the host's"));
    }
    stands_in_host_ = true;
    ready_ = false;
    return Network::make;
  }

  BorrowedFd host() const { return host_; }

  // Before the ground is entered, which has no path to it.
  void remember_host() {
    if (!host_) host_ = UniqueFd(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  }

 private:
  UniqueFd host_;
  bool ready_ = false;
  bool stands_in_host_ = true;
};

constexpr std::chrono::nanoseconds kPatience =
    std::chrono::seconds(1);           // with a group that is busy
constexpr int kQuietMilliseconds = 2;  // until then a launch, or its caller, is better off alone
constexpr int kEndMilliseconds = 1;    // the same for a caller that has nothing to do but to end
constexpr int kDeadlineMilliseconds = 1000;  // between looks at a deadline of seconds
constexpr std::ptrdiff_t kManyCharges = 16;  // that are over: not to be put off any longer

// A sandbox that this process has cloned, until nothing of it is left.
struct Charge {
  UniqueFd init;  // none: it is gone, and reaped
  Belongings belongings;
  std::optional<DiskScratch> disk;  // none: all of scratch is memory
  std::optional<Uplink> uplink;     // none: it never had one, or that is over
  // LayerCopies, until init's end; none: the layers are shared. The directory's lock is ours as well
  // as the keeper's, who may be killed: then nobody takes the copies for abandoned.
  UniqueFd copies, keeper;
  std::uint64_t busy_since = 0;  // when it could first have been taken away, but for a busy group

  // What ends next: init, then the engine's interest.
  BorrowedFd awaited() const { return init ? init : belongings.lease; }
  void advance() {
    if (!init) return belongings.lease.reset();
    kernel::reap(init.number());
    init.reset();
    belongings.release_image();
    copies.reset();
    keeper.reset();
    if (uplink) uplink->end();
    forget_uplink();
  }
  bool is_over() const { return !init && !uplink && !belongings.lease; }

  BorrowedFd uplink_awaited() const { return uplink ? uplink->awaited() : BorrowedFd(); }
  void forget_uplink() {
    if (uplink && uplink->is_over()) uplink.reset();
  }

  // True once there is nothing more to do for it.
  bool settle(BorrowedFd root, BorrowedFd records) {
    if (take_away(belongings, root, records, std::chrono::milliseconds(0))) return true;
    const std::uint64_t now = monotonic_now();
    if (busy_since == 0) busy_since = now;
    // It stays on record; our end of the lock goes, and the collector gets it.
    return now - busy_since > static_cast<std::uint64_t>(kPatience.count());
  }
};

class Launcher {
 public:
  Launcher(UniqueFd socket, Expect expect) : socket_(std::move(socket)), expect_(expect) {}

  int serve() {
    while (!caller_gone_ || !charges_.empty() || !keepers_.empty()) {
      std::vector<pollfd> events{{caller_gone_ ? -1 : socket_.number(), POLLIN, 0}};
      for (const Charge& charge : charges_) {
        events.push_back({charge.awaited().number(), POLLIN, 0});
        events.push_back({charge.uplink_awaited().number(), POLLIN, 0});
      }
      for (const UniqueFd& keeper : keepers_) events.push_back({keeper.number(), POLLIN, 0});
      const int count = poll(events.data(), events.size(), patience());
      if (count < 0 && errno != EINTR) return 1;
      for (std::size_t i = 0; i < charges_.size(); ++i) {
        if (events[2 + 2 * i].revents != 0) advance_uplink(charges_[i]);
        if (events[1 + 2 * i].revents != 0) charges_[i].advance();
      }
      reap_keepers(std::span(events).subspan(1 + 2 * charges_.size()));
      end_late_uplinks();
      if (events[0].revents != 0) receive();
      if (count == 0) do_chores();
      if (count == 0 || over() >= kManyCharges) settle();
    }
    return 0;
  }

 private:
  // For how long nothing needs to be done, as poll(2) takes it.
  int patience() const {
    const int quiet = caller_gone_ ? kEndMilliseconds : kQuietMilliseconds;
    if (over() > 0 || (chores_ && !caller_gone_)) return quiet;
    const bool connecting = std::any_of(charges_.begin(), charges_.end(), [](const Charge& charge) {
      return charge.uplink && charge.uplink->deadline();
    });
    return connecting ? kDeadlineMilliseconds : -1;
  }

  // Where the host is, seen from the ground.
  HostPlace host_place() const {
    if (ground_->privilege() == Privilege::user)
      return {{}, {}, ground_->host_root(), ground_->host_proc()};
    return {host_mounts_, network_.host(), root_, ground_->host_proc()};
  }

  void advance_uplink(Charge& charge) {
    charge.uplink->advance(host_place());
    charge.forget_uplink();
  }

  void end_late_uplinks() {
    for (Charge& charge : charges_) {
      const auto deadline = charge.uplink ? charge.uplink->deadline() : std::nullopt;
      if (!deadline || monotonic_now() < *deadline) continue;
      charge.uplink->on_deadline();
      charge.forget_uplink();
    }
  }

  // `events`: one for each of them.
  void reap_keepers(std::span<const pollfd> events) {
    for (std::size_t i = events.size(); i-- > 0;) {
      if (events[i].revents == 0) continue;
      kernel::reap(keepers_[i].number());
      keepers_.erase(keepers_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  std::ptrdiff_t over() const {
    return std::count_if(charges_.begin(), charges_.end(), std::mem_fn(&Charge::is_over));
  }

  void settle() {
    std::erase_if(charges_, [this](Charge& charge) {
      return charge.is_over() && charge.settle(root_, records_);
    });
  }

  // Between two launches: what the next one need not wait for.
  void do_chores() {
    if (!std::exchange(chores_, false)) return;
    if (ground_ && ground_->privilege() == Privilege::root) network_.make_ahead();
    empty_stage();
  }

  void empty_stage() {
    if (std::exchange(stage_used_, false)) clear_stage();
  }

  void receive() {
    auto message = receive_message(socket_);
    if (!message) return reply(message.error());  // too many descriptors, for one of us
    if (message->body.empty()) return caller_is_gone();
    auto request = decode_request(std::move(*message));
    if (!request) return reply(request.error());
    if (const auto* standing = std::get_if<Standing>(&*request)) return prepare(*standing);
    if (const auto* order = std::get_if<CopyOrder>(&*request)) return have_layers_copied(*order);
    answer(std::get<OwnedRequest>(std::move(*request)));
  }

  // And so are its sandboxes, whatever it was that ended. The socket stays open: a caller that only
  // lets us go waits for its end (LauncherClient::leave).
  void caller_is_gone() {
    caller_gone_ = true;
    for (Charge& charge : charges_) {
      charge.belongings.lease.reset();
      if (charge.init) kernel::pidfd_send_signal(charge.init.number(), SIGKILL);
    }
  }

  // The network first: to enter the ground is to wait, in the end, for a grace period of the
  // kernel's, while the engine keeps its processor busy.
  void prepare(const Standing& standing) {
    if (host_mounts_) return;
    // What is mounted below the host's root is found as long as its mount namespace lives; the
    // caller's may end with the caller.
    host_mounts_ = UniqueFd(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
    network_.remember_host();
    mark("began");
    if (standing.privilege == Privilege::root) network_.make_ahead();
    mark("network");
    standing_ = standing;
    (void)stand_on_ground(standing.privilege);
    mark("ground");
    // Only where the launch waits for this is it a part of it.
    if (expect_ == Expect::many) milestones_.clear();
  }

  void mark(const char* name) { milestones_.push_back({name, monotonic_now()}); }

  Result<void> stand_on_ground(Privilege privilege) {
    if (ground_ && ground_->privilege() == privilege) return {};
    if (ground_) {
      return fail(Error{ErrorCode::permission_denied,
                        "launcher",
                        0,
                        "the caller's privileges have changed since the engine was made",
                        "",
                        "make a new engine",
                        {}});
    }
    // A process that could not enter it has gone half the way, and cannot try again.
    if (!ground_error_) {
      auto entered = Ground::enter({privilege, standing_.subordinate_ids});
      if (entered) {
        ground_ = std::move(*entered);
        return {};
      }
      ground_error_ = entered.error();
    }
    return fail(*ground_error_);
  }

  void answer(OwnedRequest request) {
    if (!root_) {
      root_ = std::move(request.root);
      records_ = std::move(request.records);
    }
    mark("request");
    auto disk = make_disk(request);
    if (!disk) return reply(disk.error());
    auto launched = launch(request, *disk ? (*disk)->directory() : BorrowedFd());
    if (launched)
      launched->milestones.insert(launched->milestones.begin(), milestones_.begin(),
                                  milestones_.end());
    milestones_.clear();
    chores_ = expect_ == Expect::many;
    if (!launched) return reply(launched.error());
    std::vector<BorrowedFd> fds;
    const std::string body = encode_reply(*launched, fds);
    Charge charge{std::move(launched->pidfd), std::move(request.belongings),
                  std::move(*disk),           std::nullopt,
                  std::move(request.copies),  std::move(request.keeper)};
    if (launched->link)
      charge.uplink.emplace(request.plan, charge.belongings, std::move(launched->link),
                            std::move(request.init_group));
    charges_.push_back(std::move(charge));
    if (!send_message(socket_, body, fds)) caller_is_gone();
  }

  // The answer comes from the keeper, if there is one.
  void have_layers_copied(const CopyOrder& order) {
    const auto refuse = [&](const Error& error) {
      (void)send_message(order.socket, encode_reply(error));
    };
    if (auto done = stand_on_ground(order.privilege); !done) return refuse(done.error());
    auto keeper = start_keeper(*ground_, order, network_.host());
    if (!keeper) return refuse(keeper.error());
    keepers_.push_back(std::move(*keeper));
  }

  // What a sandbox that never was leaves behind is the engine's: it gets the error.
  void reply(const Error& error) {
    if (!send_message(socket_, encode_reply(error))) caller_is_gone();
  }

  static Privilege privilege_of(const OwnedRequest& request) {
    return request.belongings.first_id() ? Privilege::root : Privilege::user;
  }

  Result<std::optional<DiskScratch>> make_disk(const OwnedRequest& request) {
    const std::string& base = request.plan.root.scratch_directory;
    if (base.empty()) return std::optional<DiskScratch>();
    if (auto done = stand_on_ground(privilege_of(request)); !done) return fail(done.error());
    auto made = DiskScratch::make(ground_->host_root(), base, request.belongings.id);
    if (!made) return fail(made.error());
    return std::optional<DiskScratch>(std::move(*made));
  }

  Result<Launched> launch(OwnedRequest& request, BorrowedFd disk) {
    const Privilege privilege = privilege_of(request);
    if (auto done = stand_on_ground(privilege); !done) return fail(done.error());
    empty_stage();
    stage_used_ = true;
    if (privilege == Privilege::user) {
      auto acquired = acquire_mounts(request.plan, request.sources, {}, ground_->host_root(),
                                     FindBinds::by_path, request.copies);
      if (!acquired) return fail(acquired.error());
      request.mounts = std::move(*acquired);
    }
    auto network = network_.choose(request.plan);
    if (!network) return fail(network.error());
    return launch_sandbox(*ground_, {request.plan,
                                     std::move(request.mounts),
                                     request.belongings,
                                     request.init_group,
                                     {},
                                     {},
                                     request.filters,
                                     request.device_nodes,
                                     *network,
                                     disk});
  }

  UniqueFd socket_;
  bool caller_gone_ = false;
  const Expect expect_;
  UniqueFd root_, records_, host_mounts_;
  Standing standing_;  // as the caller said it
  std::optional<Ground> ground_;
  std::optional<Error> ground_error_;
  NetworkAhead network_;
  std::vector<Milestone> milestones_;  // of the next reply
  std::vector<Charge> charges_;
  std::vector<UniqueFd> keepers_;  // pidfds
  bool chores_ = false;
  bool stage_used_ = false;
};

}  // namespace

int serve_launches(UniqueFd socket, Expect expect) {
  return Launcher(std::move(socket), expect).serve();
}

}  // namespace cove
