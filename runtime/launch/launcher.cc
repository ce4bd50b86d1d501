#include "runtime/launch/launcher.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "runtime/init/network.h"
#include "runtime/launch/request.h"

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
  // there, and one that makes its own must not be cloned from another's.
  Result<Network> choose(const Plan& plan) {
    const auto& own = plan.namespaces;
    const bool wanted = std::find(own.begin(), own.end(), Protection::network) != own.end();
    if (wanted && std::exchange(ready_, false)) {
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

  // Before the ground is entered, which has no path to it.
  void remember_host() { host_ = UniqueFd(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)); }

 private:
  UniqueFd host_;
  bool ready_ = false;
  bool stands_in_host_ = true;
};

class Launcher {
 public:
  explicit Launcher(UniqueFd socket) : socket_(std::move(socket)) {}

  int serve() {
    for (;;) {
      std::vector<pollfd> events{{socket_.number(), POLLIN, 0}};
      for (const UniqueFd& init : inits_) events.push_back({init.number(), POLLIN, 0});
      if (poll(events.data(), events.size(), -1) < 0 && errno != EINTR) return 1;
      for (std::size_t i = events.size(); i-- > 1;) {
        if (events[i].revents != 0) reap(i - 1);
      }
      if (events[0].revents == 0) continue;
      auto message = receive_message(socket_);
      if (!message || message->body.empty()) return 0;  // the caller is gone
      if (!answer(std::move(*message))) return 0;
    }
  }

 private:
  void reap(std::size_t index) {
    reap_init(inits_[index]);
    inits_.erase(inits_.begin() + static_cast<std::ptrdiff_t>(index));
  }

  Result<void> answer(Message message) {
    auto launched = launch(std::move(message));
    if (!launched) {
      clear_stage();
      return send_message(socket_, encode_reply(launched.error()));
    }
    std::vector<BorrowedFd> fds;
    const std::string body = encode_reply(*launched, fds);
    auto sent = send_message(socket_, body, fds);
    inits_.push_back(std::move(launched->pidfd));
    // The answer is out; now for the next one.
    clear_stage();
    if (ground_->privilege() == Privilege::root) network_.make_ahead();
    return sent;
  }

  Result<Launched> launch(Message message) {
    auto request = decode_request(std::move(message));
    if (!request) return fail(request.error());
    const Privilege privilege = request->first_id ? Privilege::root : Privilege::user;
    if (!ground_) {
      network_.remember_host();
      auto entered = Ground::enter(privilege);
      if (!entered) return fail(entered.error());
      ground_ = std::move(*entered);
    }
    if (ground_->privilege() == Privilege::user) {
      auto acquired = acquire_mounts(request->plan, request->sources, {}, ground_->host_root(),
                                     FindBinds::by_path);
      if (!acquired) return fail(acquired.error());
      request->mounts = std::move(*acquired);
    }
    auto network = network_.choose(request->plan);
    if (!network) return fail(network.error());
    LaunchInputs inputs{request->plan,
                        std::move(request->mounts),
                        request->first_id,
                        request->init_group,
                        {request->hold.begin(), request->hold.end()},
                        request->filters,
                        request->device_nodes,
                        *network};
    return launch_sandbox(*ground_, std::move(inputs));
  }

  UniqueFd socket_;
  std::optional<Ground> ground_;
  NetworkAhead network_;
  std::vector<UniqueFd> inits_;
};

}  // namespace

int serve_launches(UniqueFd socket) { return Launcher(std::move(socket)).serve(); }

}  // namespace cove
