#include "runtime/supervise/supervisor.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace cove {
namespace {

constexpr std::uint64_t kRoleBits = 4;
constexpr std::size_t kRoles = 10;
constexpr std::uint64_t kWakeSerial = 0;

}  // namespace

struct Supervisor::Entry {
  struct Registered {
    int fd = -1;
    std::uint32_t events = 0;
  };
  std::unique_ptr<Supervision> supervision;
  std::shared_ptr<Ticket> ticket;
  std::array<Registered, kRoles> registered{};
};

Supervisor::Supervisor(Mode mode) : mode_(mode) {}

Result<std::shared_ptr<Supervisor>> Supervisor::create(Mode mode) {
  std::shared_ptr<Supervisor> supervisor(new Supervisor(mode));
  supervisor->epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  supervisor->wake_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_event event{EPOLLIN, {.u64 = kWakeSerial}};
  if (!supervisor->epoll_ || !supervisor->wake_ ||
      epoll_ctl(supervisor->epoll_.number(), EPOLL_CTL_ADD, supervisor->wake_.number(), &event) !=
          0) {
    return fail(errno_error(ErrorCode::resource_exhausted, "supervisor", "make an epoll set"));
  }
  if (mode == Mode::thread) {
    // The thread inherits the mask: no signal of the caller's is ever taken by it.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    supervisor->thread_ = std::thread(&Supervisor::run_thread, supervisor.get());
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  return supervisor;
}

Supervisor::~Supervisor() {
  stop_ = true;
  wake();
  if (thread_.joinable()) thread_.join();
}

void Supervisor::wake() {
  const std::uint64_t one = 1;
  (void)!write(wake_.number(), &one, sizeof one);
}

std::shared_ptr<Ticket> Supervisor::add(std::unique_ptr<Supervision> supervision) {
  auto entry = std::make_unique<Entry>();
  entry->ticket = std::make_shared<Ticket>();
  entry->ticket->id = supervision->id();
  entry->ticket->control = UniqueFd(fcntl(supervision->control_fd(), F_DUPFD_CLOEXEC, 3));
  entry->supervision = std::move(supervision);
  std::shared_ptr<Ticket> ticket = entry->ticket;
  {
    const std::lock_guard lock(mutex_);
    added_.push_back(std::move(entry));
    ++alive_;
  }
  wake();
  return ticket;
}

void Supervisor::end(const std::string& id, Cause reason) {
  {
    const std::lock_guard lock(mutex_);
    ends_.emplace_back(id, reason);
  }
  wake();
}

void Supervisor::wait_ended(Ticket& ticket) {
  if (mode_ == Mode::inline_loop) {
    while (!ticket.ended) run_once(0);
    return;
  }
  std::unique_lock lock(ticket.mutex);
  ticket.changed.wait(lock, [&] { return ticket.ended; });
}

void Supervisor::end_all(std::chrono::milliseconds patience) {
  {
    const std::lock_guard lock(mutex_);
    end_everything_ = true;
  }
  wake();
  const std::uint64_t until =
      monotonic_now() + static_cast<std::uint64_t>(patience.count()) * 1'000'000;
  if (mode_ == Mode::inline_loop) {
    do {
      take_requests();
      if (entries_.empty()) break;
      run_once(until);
    } while (monotonic_now() < until);
    return;
  }
  std::unique_lock lock(mutex_);
  fewer_.wait_for(lock, patience, [&] { return alive_ == 0; });
}

void Supervisor::run_thread() {
  pthread_setname_np(pthread_self(), "cove-supervisor");
  while (!stop_) run_once(0);
}

void Supervisor::take_requests() {
  std::vector<std::unique_ptr<Entry>> added;
  std::vector<std::pair<std::string, Cause>> ends;
  bool everything = false;
  {
    const std::lock_guard lock(mutex_);
    added.swap(added_);
    ends.swap(ends_);
    everything = end_everything_;
  }
  for (auto& entry : added) {
    const std::uint64_t serial = next_serial_++;
    sync(serial, *entry);
    entries_.emplace(serial, std::move(entry));
  }
  std::vector<std::uint64_t> touched;
  for (auto& [serial, entry] : entries_) {
    for (const auto& [id, reason] : ends) {
      if (entry->supervision->id() == id) {
        entry->supervision->end(reason);
        touched.push_back(serial);
      }
    }
    if (everything) {
      entry->supervision->end(Cause::cancelled);
      touched.push_back(serial);
    }
  }
  for (std::uint64_t serial : touched) settle(serial);
}

std::uint64_t Supervisor::next_deadline() const {
  std::uint64_t next = 0;
  for (const auto& [serial, entry] : entries_) {
    const auto deadline = entry->supervision->deadline();
    if (deadline && (next == 0 || *deadline < next)) next = *deadline;
  }
  return next;
}

void Supervisor::run_once(std::uint64_t until) {
  take_requests();
  std::uint64_t deadline = next_deadline();
  if (until != 0 && (deadline == 0 || until < deadline)) deadline = until;
  timespec timeout{};
  if (deadline != 0) {
    const std::uint64_t now = monotonic_now();
    const std::uint64_t left = deadline > now ? deadline - now : 0;
    timeout = {static_cast<time_t>(left / 1'000'000'000), static_cast<long>(left % 1'000'000'000)};
  }
  std::array<epoll_event, 64> events;  // NOLINT: filled by epoll_pwait2
  const int count = epoll_pwait2(epoll_.number(), events.data(), static_cast<int>(events.size()),
                                 deadline != 0 ? &timeout : nullptr, nullptr);
  for (int i = 0; i < count; ++i) {
    const std::uint64_t serial = events[static_cast<std::size_t>(i)].data.u64 >> kRoleBits;
    if (serial == kWakeSerial) {
      std::uint64_t drained = 0;
      (void)!read(wake_.number(), &drained, sizeof drained);
      continue;
    }
    const auto entry = entries_.find(serial);
    if (entry == entries_.end()) continue;
    const auto role = static_cast<std::size_t>(events[static_cast<std::size_t>(i)].data.u64 &
                                               ((1u << kRoleBits) - 1));
    // An earlier event of this round may have ended the interest.
    if (entry->second->registered[role].fd < 0) continue;
    entry->second->supervision->on_event(static_cast<Supervision::Role>(role));
    settle(serial);
  }
  const std::uint64_t now = monotonic_now();
  std::vector<std::uint64_t> late;
  for (const auto& [serial, entry] : entries_) {
    const auto wanted = entry->supervision->deadline();
    if (wanted && *wanted <= now) late.push_back(serial);
  }
  for (std::uint64_t serial : late) {
    entries_[serial]->supervision->on_time(now);
    settle(serial);
  }
}

// After anything happened to a sandbox: what it waits for now, and what its caller may know.
void Supervisor::settle(std::uint64_t serial) {
  Entry& entry = *entries_[serial];
  sync(serial, entry);
  if (!entry.supervision->ended()) return;
  const std::shared_ptr<Ticket> ticket = entry.ticket;
  {
    const std::lock_guard lock(ticket->mutex);
    ticket->result = entry.supervision->take_result();
    ticket->ended = true;
    ticket->changed.notify_all();
  }
  // What follows is in nobody's way but our own, where the loop runs in the caller's thread.
  if (mode_ == Mode::inline_loop) ended_.push_back(std::move(entries_[serial]));
  entries_.erase(serial);
  const std::lock_guard lock(mutex_);
  --alive_;
  fewer_.notify_all();
}

void Supervisor::let_go(const Ticket& ticket) {
  std::erase_if(ended_, [&](const auto& entry) { return entry->ticket.get() == &ticket; });
}

void Supervisor::sync(std::uint64_t serial, Entry& entry) {
  std::array<Entry::Registered, kRoles> wanted{};
  for (const Supervision::Interest& interest : entry.supervision->interests()) {
    wanted[static_cast<std::size_t>(interest.role)] = {interest.fd, interest.events};
  }
  for (std::size_t role = 0; role < kRoles; ++role) {
    Entry::Registered& have = entry.registered[role];
    if (have.fd == wanted[role].fd && have.events == wanted[role].events) continue;
    if (have.fd >= 0) (void)epoll_ctl(epoll_.number(), EPOLL_CTL_DEL, have.fd, nullptr);
    have = wanted[role];
    if (have.fd < 0) continue;
    epoll_event event{have.events, {.u64 = serial << kRoleBits | role}};
    (void)epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, have.fd, &event);
  }
  entry.supervision->close_given_up();
}

}  // namespace cove
