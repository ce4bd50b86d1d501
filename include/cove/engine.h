// Engine and Sandbox: launch a spec, get its result.
//
//   auto engine = cove::Engine::create();
//   if (!engine) return complain(engine.error());
//   cove::SandboxSpec spec;
//   spec.image = "python-demo";
//   spec.command = {"python3", "-c", "print(6 * 7)"};
//   cove::SandboxResult result = engine->run(spec);
//   // result.stdout_stream.bytes == "42\n"
//
// The caller's process stays as it is: Cove changes neither its working directory, umask,
// environment, resource limits, signal handlers and masks, nor its namespaces, and none of Cove's
// processes is ever reaped by its wait(-1) or gives it a SIGCHLD (LaunchFrom::this_process aside). What an Engine adds is one small
// process (the launcher, from which every sandbox is cloned), one thread with all signals blocked
// (the supervisor of all its sandboxes) and descriptors, all close-on-exec.
//
// Threads: an Engine may be used by many threads at once; so may a Sandbox. When an Engine is
// destroyed, or its process ends in any way, its sandboxes end with it, and nothing of them stays.
// (Behind a result, cgroups and the like are taken away by the launcher within milliseconds.)
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cove/facts.h"
#include "cove/plan.h"
#include "cove/result.h"
#include "cove/sandbox_result.h"
#include "cove/spec.h"

namespace cove {

// From which process sandboxes are cloned.
enum class LaunchFrom {
  // A process of the engine's own, started at Engine::create. The only right choice for a library.
  launcher,
  // A fork of this process, made at the first launch; it must have a single thread then. For the
  // `cove` command, which has one thing to do: sandboxes are supervised inside Sandbox::wait, and
  // what is left of them is taken away behind the end of this process.
  this_process,
};

struct EngineOptions {
  LaunchFrom launch_from = LaunchFrom::launcher;
  // The image store. Empty: $COVE_ROOT, else /var/lib/cove for root (who may write there), else
  // $XDG_DATA_HOME/cove or ~/.local/share/cove.
  std::string store;
  // Where running sandboxes are recorded, so that what a killed process left can be collected.
  // Empty: the first that can be used of /run/cove (for root), $XDG_RUNTIME_DIR/cove and
  // /tmp/cove-UID. Made with mode 0700.
  std::string state_directory;
  // Where a plain user's sandboxes keep what they change in an image's root: an absolute directory,
  // of this user alone (made with 0700 if missing), on a file system with user xattrs. It has no
  // limit of size. Empty: in memory, within the limit `disk`; and below Linux 6.6, whose tmpfs
  // cannot hold it, /var/tmp/cove-UID. For root always in memory.
  // Also where copies of an image's layers are made (SandboxSpec::private_rootfs), root's too.
  // Empty: `copies` in the store.
  std::string scratch_directory;
  // Parent for cgroups, a path below the hierarchies' mount points. Empty: the caller's own groups;
  // where those cannot be divided, for root the top of the hierarchy, for a plain user a scope that
  // its service manager (systemd's) gives to the launcher. The caller itself is never moved.
  std::string cgroup_parent;
  // The directory of cove-launcher and cove-image, for programs that bring their own; nowhere else is
  // looked then. Empty: the first that has them of $COVE_LIBEXEC, the directory of the executable,
  // ../libexec/cove from there, and where Cove was configured to be installed
  // (docs/embedding.md).
  std::string libexec;
};

// With SandboxSpec::tty, how StdinInherit reaches the program.
enum class TerminalInput {
  typed,  // into the terminal, as if by a keyboard: it echoes, edits lines, and makes signals of
          // control characters. At the end of the source, the end-of-file character is typed once
  piped,  // by a pipe of its own beside the terminal, every byte as it is
};

// Where the program's streams go. Descriptors stay the caller's, must stay open until the result is
// there, and are never handed into the sandbox: their bytes are copied.
struct Streams {
  int stdin_fd = 0;  // read for StdinInherit only
  OutputDelivery delivery = OutputDelivery::captured;
  int stdout_fd = 1;  // passed_on only
  int stderr_fd = 2;
  // With SandboxSpec::tty only:
  TerminalInput input = TerminalInput::typed;
  WindowSize window;  // as the program first sees it; later: Sandbox::resize
  // Bytes that end the copying where they are typed, in this order: from then on nothing is read from
  // stdin_fd nor written to stdout_fd, the output only counted, and the sandbox goes on. The
  // beginning of the sequence reaches the program with the next key. Empty: there are none.
  std::string detach_keys;
  // Called then, once, by the thread that supervises.
  std::function<void()> on_detach;
};

class Sandbox {
 public:
  Sandbox(Sandbox&&) noexcept;
  Sandbox& operator=(Sandbox&&) noexcept;
  // A sandbox that was not waited for is cancelled.
  ~Sandbox();

  const std::string& id() const;

  // Sends a signal to the program (not to its children). Async-signal-safe, so that a handler may
  // forward signals. No effect once the program has ended.
  void signal(int number);

  // Sets the size of the program's terminal (SandboxSpec::tty), whose foreground processes get
  // SIGWINCH. Async-signal-safe, so that a handler of SIGWINCH may call it. No effect without one.
  void resize(WindowSize window);

  // Kills every process of the sandbox; its result says `cancelled`.
  void cancel();

  // Blocks until the program has ended and every process of the sandbox is gone. May be called
  // once.
  SandboxResult wait();

  class Impl;

 private:
  friend class Engine;
  explicit Sandbox(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

// What a launch is made from, gathered.
struct Facts {
  HostFacts host;
  ImageFacts image;
  std::vector<SourceFacts> sources;
};

class Engine {
 public:
  static Result<Engine> create(EngineOptions options = {});
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();

  // Looks at the host, the image and the mount sources. What it reads of the kernel (sysctls, mounts
  // of cgroup hierarchies) it reads again only when the caller's ids, capabilities, cgroups,
  // processors or limit of open files have changed. An image that is a transport
  // ("docker-archive:...") is loaded into the store first, if it is not there.
  Result<Facts> gather(const SandboxSpec& spec);

  // gather + make_plan: what launch would do.
  Result<Plan> plan(const SandboxSpec& spec, OutputDelivery delivery = OutputDelivery::captured);

  // gather + make_plan + launch. When it returns, the sandbox's processes exist; the program may
  // not have been reached yet, and a failure up to its exec is reported by Sandbox::wait.
  Result<Sandbox> launch(const SandboxSpec& spec, const Streams& streams = {});

  // launch + wait. There is always a result; what launch refused is in its `error`.
  SandboxResult run(const SandboxSpec& spec, const Streams& streams = {});

  // Removes what processes of Cove that were killed have left (groups, records, uid ranges). Also
  // done beside every launch. Returns the number of sandboxes collected.
  Result<int> collect();

  class Impl;

 private:
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cove
