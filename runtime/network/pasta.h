// pasta: passt's process that carries a sandbox's packets to sockets of the host's network.
//
// Its rights are those of nobody in the sandbox's user namespace (of a plain user: of the one id
// there), with CAP_SYS_ADMIN and CAP_NET_ADMIN over that sandbox alone. On the host it has none,
// but it stands in the host's network. It has a pid namespace of its own, and shuts itself into an
// empty file system under a filter before it carries a packet (isolation.c of passt).
//
// It is a child of this process, gives it no SIGCHLD, and ends with it (PR_SET_PDEATHSIG).
//
//   auto pasta = Pasta::start(inputs);
//   poll(pasta->ready()) ...
//   if (auto done = pasta->go_on(proc, filter); !done) ...  // the interface inside is up, and judged
//   pasta->kill(); poll(pasta->process()) ...               // and reaped by the destructor
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

// Where the host is, as the process that starts pasta has it.
struct HostPlace {
  BorrowedFd mounts, network;  // namespaces to go back to; none: it stands in them
  BorrowedFd root;             // the host's root directory
  BorrowedFd proc;             // a procfs that knows its children
};

struct PastaInputs {
  const std::vector<std::string>& command;
  HostPlace host;
  BorrowedFd network, user;                // the sandbox's namespaces
  std::uint32_t uid = 0, gid = 0;          // in there
  std::optional<std::uint32_t> outer_uid;  // the same for this process; none: its own
  BorrowedFd group;                        // of cgroup v2, to start in; none: this process's
};

class Pasta {
 public:
  static Result<Pasta> start(const PastaInputs& inputs);
  Pasta(Pasta&&) noexcept = default;
  Pasta& operator=(Pasta&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(pidfd_, other.pidfd_);
    std::swap(ready_, other.ready_);
    std::swap(complaints_, other.complaints_);
    return *this;
  }
  // Kills it, and waits for its end.
  ~Pasta();

  // Readable once go_on can tell what became of the start.
  BorrowedFd ready() const { return ready_; }
  // Once, then: has the kernel judge by `filter` every frame that pasta's tap device is sent.
  // Errors: setup_failed, with what pasta said before it ended.
  Result<void> go_on(BorrowedFd proc, const std::vector<sock_filter>& filter);

  // A pidfd: readable once it has ended.
  BorrowedFd process() const { return pidfd_; }
  void kill() const;

 private:
  Pasta(pid_t pid, UniqueFd pidfd, UniqueFd ready, UniqueFd complaints)
      : pid_(pid),
        pidfd_(std::move(pidfd)),
        ready_(std::move(ready)),
        complaints_(std::move(complaints)) {}
  Error explain_end() const;

  pid_t pid_;
  UniqueFd pidfd_;
  UniqueFd ready_;       // it writes its pid there
  UniqueFd complaints_;  // its stderr; open to the end, since a write into nothing raises SIGPIPE
};

}  // namespace cove
