#include "runtime/launch/layer_keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "runtime/kernel/descriptors.h"
#include "runtime/kernel/message.h"
#include "runtime/kernel/syscalls.h"
#include "runtime/launch/disk_scratch.h"
#include "runtime/launch/request.h"
#include "runtime/state/state_directory.h"

namespace cove {
namespace {

constexpr const char* kName = "cove-keeper";

Error keeper_error(std::string what, const std::string& where) {
  Error error = errno_error(ErrorCode::setup_failed, "private rootfs", std::move(what));
  error.where = where;
  return error;
}

class Keeper {
 public:
  Keeper(const Ground& ground, const CopyOrder& order)
      : order_(order),
        root_(order.privilege == Privilege::user ? ground.host_root() : order.root.borrow()) {}

  void run(BorrowedFd host_network) {
    if (!kernel::close_all_but({order_.socket.number(), root_.number(), host_network.number()}))
      return answer(keeper_error("close_range", ""));
    prctl(PR_SET_NAME, kName);
    // Else it would keep some sandbox's network alive. A plain user's launcher never leaves the
    // host's, and may not enter it anew.
    if (host_network) setns(host_network.number(), CLONE_NEWNET);
    auto scratch = make();
    if (!scratch) return answer(scratch.error());
    const std::vector<BorrowedFd> fds{scratch->directory()};
    if (send_message(order_.socket, encode_copied(files_), fds)) wait_for_end();
  }

 private:
  Result<DiskScratch> make() {
    auto scratch = DiskScratch::make(root_, order_.base, make_sandbox_id());
    if (!scratch) {
      scratch.error().step = "private rootfs";
      scratch.error().hint = "name a directory for the copies with --scratch";
      return scratch;
    }
    for (std::size_t i = 0; i < order_.layers.size(); ++i) {
      if (auto done = copy_layer(order_.layers[i], scratch->directory(), layer_copy(i)); !done)
        return fail(done.error());
    }
    return scratch;
  }

  Result<void> copy_layer(const std::string& path, BorrowedFd scratch, const std::string& name) {
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    const std::string below = path.substr(std::min(path.find_first_not_of('/'), path.size()));
    const UniqueFd source(openat(root_.number(), below.c_str(), kFlags));
    if (!source) return fail(keeper_error("open the layer", path));
    if (mkdirat(scratch.number(), name.c_str(), 0700) != 0)
      return fail(keeper_error("make a directory in", order_.base));
    const UniqueFd target(openat(scratch.number(), name.c_str(), kFlags | O_NOFOLLOW));
    if (!target) return fail(keeper_error("open a directory in", order_.base));
    auto copied = duplicate_tree({source, target, path, abandoned_});
    if (!copied) {
      if (copied.error().code == ErrorCode::resource_exhausted)
        copied.error().hint = "make room where the copies lie, in " + order_.base +
                              ", or name another directory with --scratch";
      return fail(copied.error());
    }
    files_.reflinked += copied->reflinked;
    files_.copied += copied->copied;
    return {};
  }

  void answer(const Error& error) { (void)send_message(order_.socket, encode_reply(error)); }

  // Nobody says anything over this socket.
  void wait_for_end() { (void)receive_message(order_.socket); }
  bool is_abandoned() const {
    pollfd end{order_.socket.number(), POLLIN, 0};
    return poll(&end, 1, 0) > 0;
  }

  const CopyOrder& order_;
  const BorrowedFd root_;
  const std::function<bool()> abandoned_ = [this] { return is_abandoned(); };
  DuplicatedFiles files_;
};

}  // namespace

std::string layer_copy(std::size_t index) { return "layer-" + std::to_string(index); }

Result<UniqueFd> start_keeper(const Ground& ground, const CopyOrder& order,
                              BorrowedFd host_network) {
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_PIDFD;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  const pid_t pid = kernel::clone3(args);
  if (pid < 0) {
    Error error = keeper_error("clone the keeper of the copies", "");
    error.code = ErrorCode::resource_exhausted;
    error.hint = "a limit on processes is reached: ulimit -u, or pids.max of this process's cgroup";
    return fail(std::move(error));
  }
  if (pid == 0) {
    Keeper(ground, order).run(host_network);
    _exit(0);
  }
  return UniqueFd(pidfd);
}

}  // namespace cove
