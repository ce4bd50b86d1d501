#include "cove/engine.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <climits>
#include <mutex>

#include "cove/image.h"
#include "runtime/cgroup/group_tree.h"
#include "runtime/engine/load_image.h"
#include "runtime/engine/prepare.h"
#include "runtime/engine/sources.h"
#include "runtime/host/host_facts.h"
#include "runtime/host/network_facts.h"
#include "runtime/launch/launch.h"
#include "runtime/launch/launcher.h"
#include "runtime/launch/take_away.h"
#include "runtime/state/state_directory.h"
#include "runtime/supervise/supervisor.h"
#include "runtime/systemd/scope.h"

namespace cove {
namespace {

constexpr std::chrono::milliseconds kPatience{2000};  // for sandboxes to go when their engine does
constexpr std::uint64_t kBetweenCollections = 5'000'000'000;  // nanoseconds

Standing standing_of_caller() {
  const CallerRights rights = caller_rights();
  return {rights.privileged ? Privilege::root : Privilege::user, rights.subordinate_ids};
}

// See EngineOptions::scratch_directory.
std::string scratch_directory(const HostFacts& host, const EngineOptions& options) {
  if (host.privileged) return {};
  if (!options.scratch_directory.empty() || host.tmpfs_user_xattr) return options.scratch_directory;
  return "/var/tmp/cove-" + std::to_string(host.uid_outside);
}

std::string absolute_path(const std::string& path) {
  std::array<char, PATH_MAX> here{};
  if (path.starts_with('/') || !getcwd(here.data(), here.size())) return path;
  return std::string(here.data()) + "/" + path;
}

// See HostFacts::copies_directory.
std::string copies_directory(const EngineOptions& options) {
  if (!options.scratch_directory.empty()) return options.scratch_directory;
  return absolute_path(options.store.empty() ? default_store() : options.store) + "/copies";
}

}  // namespace

class Sandbox::Impl {
 public:
  Impl(std::shared_ptr<Supervisor> supervisor, std::shared_ptr<Ticket> ticket)
      : supervisor_(std::move(supervisor)), ticket_(std::move(ticket)) {}
  ~Impl() {
    if (waited_) {
      supervisor_->let_go(*ticket_);
    } else {
      supervisor_->end(ticket_->id, Cause::cancelled);
    }
  }

  const std::string& id() const { return ticket_->id; }
  void signal(int number) const { send_signal_order(ticket_->control.number(), number); }
  void resize(WindowSize window) const { send_resize_order(ticket_->control.number(), window); }
  void cancel() const { supervisor_->end(ticket_->id, Cause::cancelled); }
  SandboxResult wait() {
    supervisor_->wait_ended(*ticket_);
    waited_ = true;
    const std::lock_guard lock(ticket_->mutex);
    return ticket_->result;
  }

 private:
  std::shared_ptr<Supervisor> supervisor_;
  std::shared_ptr<Ticket> ticket_;
  std::atomic<bool> waited_{false};
};

class Engine::Impl {
 public:
  Impl(EngineOptions options, std::optional<StateDirectory> state,
       std::optional<LauncherClient> launcher, std::shared_ptr<Supervisor> supervisor,
       UniqueFd root, UniqueFd null)
      : options_(std::move(options)),
        host_(options_.cgroup_parent),
        state_(std::move(state)),
        launcher_(std::move(launcher)),
        supervisor_(std::move(supervisor)),
        root_(std::move(root)),
        null_(std::move(null)) {}
  ~Impl() {
    supervisor_->end_all(kPatience);
    if (launcher_) launcher_->leave(kPatience);
  }

  // With what keeps them true: descriptors, and the image's layers in the store.
  struct Gathered {
    Facts facts;
    OpenedSources sources;
    HeldImage image;  // its facts have gone to `facts`
  };

  Result<Gathered> gather(const SandboxSpec& spec) {
    Gathered gathered;
    Facts& facts = gathered.facts;
    auto host = host_.gather(spec.env_allowlist);
    if (!host) return fail(host.error());
    facts.host = std::move(*host);
    facts.host.scratch_directory = scratch_directory(facts.host, options_);
    facts.host.copies_directory = copies_directory(options_);
    // Read anew every time: a machine moves from network to network. Not where nothing asks for it.
    if (spec.network.value_or(NetworkMode::none) != NetworkMode::none || spec.profile)
      gather_network_facts(facts.host);
    auto image = find_root(spec);
    if (!image) return fail(image.error());
    gathered.image = std::move(*image);
    facts.image = std::move(gathered.image.facts);
    gathered.sources = open_sources(spec);
    facts.sources = gathered.sources.facts;
    return gathered;
  }

  Result<Plan> plan(const SandboxSpec& spec, OutputDelivery delivery) {
    auto gathered = gather(spec);
    if (!gathered) return fail(gathered.error());
    const Facts& facts = gathered->facts;
    return make_plan(spec, facts.host, facts.image, facts.sources, delivery);
  }

  Result<Sandbox> launch(const SandboxSpec& spec, const Streams& streams) {
    const std::uint64_t began = monotonic_now();
    std::vector<Milestone> milestones;
    const auto mark = [&](const char* name) { milestones.push_back({name, monotonic_now()}); };

    if (auto done = have_launcher_and_state(); !done) return fail(done.error());
    auto gathered = gather(spec);
    if (!gathered) return fail(gathered.error());
    Facts& facts = gathered->facts;
    mark("gather");
    auto plan = make_plan(spec, facts.host, facts.image, facts.sources, streams.delivery);
    if (!plan) return fail(plan.error());
    mark("plan");
    if (!plan->cgroup.scope_bus.empty()) {
      plan = plan_in_scope(spec, facts, std::move(*plan), streams.delivery);
      if (!plan) return fail(plan.error());
      mark("scope");
    }
    auto copies = copy_layers(*plan);
    if (!copies) return fail(copies.error());
    if (copies->keeper) mark("copy layers");
    auto prepared = prepare(*plan, facts.host, *state_, root_);
    if (!prepared) {
      host_.forget();
      return fail(prepared.error());
    }
    prepared->belongings.image = UniqueFd(gathered->image.hold.release());
    auto launched = clone_sandbox(facts, *plan, streams, gathered->sources, *copies, *prepared);
    if (!launched) return fail(launched.error());
    milestones.insert(milestones.end(), prepared->milestones.begin(), prepared->milestones.end());
    mark("await launcher");

    copies->keeper.reset();  // the launcher's from here on
    std::vector<BorrowedFd> fds;
    const std::string order = exec_order(*plan, *prepared, fds);
    // If init is gone already, its report is in the socket: the supervisor will find it.
    (void)send_message(launched->control, order, fds);
    // Not before: while the program starts, nobody waits for us. The launcher has it as well, and
    // keeps it until init is gone.
    if (prepared->belongings.image && !gathered->image.use_is_noted)
      note_use(prepared->belongings.image.number());
    prepared->belongings.image.reset();
    auto ticket =
        supervisor_->add(supervise(std::move(*plan), std::move(*prepared), std::move(*launched),
                                   streams.on_detach, began, std::move(milestones)));
    collect_now_and_then();
    return Sandbox(std::make_shared<Sandbox::Impl>(supervisor_, std::move(ticket)));
  }

  Result<int> collect() {
    if (auto done = open_state(); !done) return fail(done.error());
    return state_->collect(
        [this](const SandboxRecord& record) { return remove_groups(root_, record.groups); });
  }

 private:
  Result<HeldImage> find_root(const SandboxSpec& spec) {
    if (spec.rootfs) {
      auto described = describe_rootfs(*spec.rootfs);
      if (!described) return fail(described.error());
      return HeldImage{std::move(*described), {}, true};
    }
    if (!spec.image) return HeldImage{};  // planning refuses it, with everything else that is wrong
    const std::string store = options_.store.empty() ? default_store() : options_.store;
    auto found = hold_image(store, *spec.image);
    if (found || !is_transport(*spec.image) || found.error().code != ErrorCode::image_not_found)
      return found;
    const auto digest = load_image(store, *spec.image, options_.libexec);
    if (!digest) return fail(digest.error());
    found = hold_image(store, *digest);
    if (found) found->facts.name = *spec.image;
    return found;
  }

  // LaunchFrom::this_process. The launcher comes first: it gets ready meanwhile, and the fewer
  // pages of ours are in use, the sooner it is forked.
  Result<void> have_launcher_and_state() {
    if (!launcher_) {
      auto forked = LauncherClient::fork_here();
      if (!forked) return fail(forked.error());
      launcher_.emplace(std::move(*forked));
      launcher_->prepare(standing_of_caller());
    }
    return open_state();
  }

  // The plan with its scope; where the user's service manager gives none in spite of the facts, what
  // can be planned without. Then facts have changed.
  Result<Plan> plan_in_scope(const SandboxSpec& spec, Facts& facts, Plan plan,
                             OutputDelivery delivery) {
    auto scope = have_scope(plan.cgroup);
    if (scope) {
      plan.cgroup.parents[""] = std::move(*scope);
      return plan;
    }
    auto host = host_.gather_without_scope(spec.env_allowlist, scope.error().message());
    if (!host) return fail(host.error());
    facts.host.cgroup = std::move(host->cgroup);
    return make_plan(spec, facts.host, facts.image, facts.sources, delivery);
  }

  // Once for a launcher, which stays in it to its end.
  Result<std::string> have_scope(const CgroupPlan& plan) {
    const std::lock_guard lock(scope_mutex_);
    if (scope_.empty()) {
      const std::string& manager = plan.parents.at("");
      auto scope = move_into_scope({root_, plan.scope_bus, manager, launcher_->pid()});
      if (!scope) return scope;
      scope_ = std::move(*scope);
    }
    return scope_;
  }

  Result<void> open_state() {
    if (state_) return {};
    auto opened = StateDirectory::open(options_.state_directory);
    if (!opened) return fail(opened.error());
    state_.emplace(std::move(*opened));
    return {};
  }

  // Beside a running sandbox, when nobody waits for us. What cannot be collected stays on record.
  void collect_now_and_then() {
    const std::uint64_t now = monotonic_now();
    std::uint64_t last = last_collection_.load();
    if (last != 0 && now - last < kBetweenCollections) return;
    if (last_collection_.compare_exchange_strong(last, now)) (void)collect();
  }

  // Nothing where the layers are shared. The plan says then what it came to.
  Result<LayerCopies> copy_layers(Plan& plan) {
    if (plan.root.copies_directory.empty()) return LayerCopies{};
    auto copies = launcher_->copy_layers(plan, root_);
    if (copies && copies->files.reflinked > 0 && copies->files.copied == 0)
      plan.enforced[Protection::private_rootfs] = "reflink";
    return copies;
  }

  // Has the launcher clone it, and meanwhile makes what its program needs. Nothing is left of it
  // after an error.
  Result<Launched> clone_sandbox(const Facts& facts, const Plan& plan, const Streams& streams,
                                 const OpenedSources& sources, const LayerCopies& copies,
                                 Prepared& prepared) {
    auto pending = ask_launcher(facts, plan, sources, copies, prepared);
    auto completed = complete(plan, streams, null_, prepared);
    auto launched = pending ? pending->finish() : Result<Launched>(fail(pending.error()));
    if (launched && completed) return launched;
    // What was known of the host is no longer true, it may be.
    host_.forget();
    // A sandbox that exists is the launcher's to take away, now that we let go of it.
    if (launched) {
      shutdown(launched->control.number(), SHUT_RDWR);
      return fail(completed.error());
    }
    (void)take_away(prepared.belongings, root_, state_->records(), kPatience);
    return launched;
  }

  Result<PendingLaunch> ask_launcher(const Facts& facts, const Plan& plan,
                                     const OpenedSources& sources, const LayerCopies& copies,
                                     const Prepared& prepared) {
    LaunchInputs inputs{plan,
                        {},
                        prepared.belongings,
                        prepared.groups.init_group(),
                        root_,
                        state_->records(),
                        prepared.filters,
                        facts.host.can_mknod ? DeviceNodes::make : DeviceNodes::bind};
    inputs.copies = copies.directory;
    inputs.keeper = copies.keeper;
    // With privilege, mounts are copied out of this process's namespace; the launcher's ground has
    // none of them.
    if (prepared.belongings.first_id()) {
      auto acquired = acquire_mounts(plan, sources.facts, sources.fds, root_,
                                     FindBinds::by_descriptor, copies.directory);
      if (!acquired) return fail(acquired.error());
      inputs.mounts = std::move(*acquired);
    }
    return launcher_->launch(inputs, sources.facts);
  }

  static std::unique_ptr<Supervision> supervise(Plan plan, Prepared prepared, Launched launched,
                                                std::function<void()> on_detach,
                                                std::uint64_t began,
                                                std::vector<Milestone> milestones) {
    std::optional<TraceInputs> trace;
    if (prepared.trace) trace = std::move(prepared.trace->ours);
    return std::make_unique<Supervision>(SupervisionInputs{
        std::move(prepared.belongings), std::move(plan), std::move(launched.pidfd),
        std::move(launched.control), std::move(launched.scratch), std::move(prepared.lease),
        std::move(prepared.groups), std::move(prepared.pipes.input),
        std::move(*prepared.pipes.output), std::move(*prepared.pipes.errors), std::move(trace),
        std::move(on_detach), began, std::move(milestones), std::move(launched.milestones)});
  }

  const EngineOptions options_;
  HostFactsCache host_;
  // LaunchFrom::this_process: both from the first launch on.
  std::optional<StateDirectory> state_;
  std::optional<LauncherClient> launcher_;
  std::mutex scope_mutex_;
  std::string scope_;  // that the launcher is in; empty: it has not needed one yet
  std::shared_ptr<Supervisor> supervisor_;
  UniqueFd root_;  // the host's "/"
  UniqueFd null_;
  std::atomic<std::uint64_t> last_collection_{0};
};

Result<Engine> Engine::create(EngineOptions options) {
  if (!options.scratch_directory.empty() && !options.scratch_directory.starts_with('/')) {
    return fail(Error{ErrorCode::invalid_argument,
                      "engine",
                      0,
                      "the directory for scratch is not absolute",
                      options.scratch_directory,
                      "write the whole path",
                      {}});
  }
  UniqueFd root(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!root || !null)
    return fail(errno_error(ErrorCode::setup_failed, "engine", "open / and /dev/null"));
  const bool from_launcher = options.launch_from == LaunchFrom::launcher;
  std::optional<StateDirectory> state;
  std::optional<LauncherClient> launcher;
  if (from_launcher) {
    auto opened = StateDirectory::open(options.state_directory);
    if (!opened) return fail(opened.error());
    state.emplace(std::move(*opened));
    auto executable = find_executable("cove-launcher", options.libexec);
    if (!executable) return fail(executable.error());
    auto started = LauncherClient::start(*executable);
    if (!started) return fail(started.error());
    launcher.emplace(std::move(*started));
    launcher->prepare(standing_of_caller());
  }
  auto supervisor =
      Supervisor::create(from_launcher ? Supervisor::Mode::thread : Supervisor::Mode::inline_loop);
  if (!supervisor) return fail(supervisor.error());
  return Engine(std::make_unique<Impl>(std::move(options), std::move(state), std::move(launcher),
                                       std::move(*supervisor), std::move(root), std::move(null)));
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Result<Facts> Engine::gather(const SandboxSpec& spec) {
  auto gathered = impl_->gather(spec);
  if (!gathered) return fail(gathered.error());
  return std::move(gathered->facts);
}

Result<Plan> Engine::plan(const SandboxSpec& spec, OutputDelivery delivery) {
  return impl_->plan(spec, delivery);
}

Result<Sandbox> Engine::launch(const SandboxSpec& spec, const Streams& streams) {
  return impl_->launch(spec, streams);
}

SandboxResult Engine::run(const SandboxSpec& spec, const Streams& streams) {
  auto sandbox = launch(spec, streams);
  if (sandbox) return sandbox->wait();
  SandboxResult result;
  result.error = sandbox.error();
  return result;
}

Result<int> Engine::collect() { return impl_->collect(); }

Sandbox::Sandbox(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Sandbox::Sandbox(Sandbox&&) noexcept = default;
Sandbox& Sandbox::operator=(Sandbox&&) noexcept = default;
Sandbox::~Sandbox() = default;

const std::string& Sandbox::id() const { return impl_->id(); }
void Sandbox::signal(int number) { impl_->signal(number); }
void Sandbox::resize(WindowSize window) { impl_->resize(window); }
void Sandbox::cancel() { impl_->cancel(); }
SandboxResult Sandbox::wait() { return impl_->wait(); }

}  // namespace cove
