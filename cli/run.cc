// cove run: one sandbox, from its options to its exit status.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "cli/commands.h"
#include "cli/print.h"
#include "cli/remarks.h"
#include "cli/run_options.h"
#include "cli/terminal.h"
#include "cove/engine.h"
#include "cove/json.h"

namespace cove::cli {
namespace {

constexpr const char* kUsage =
    R"(Usage: cove run [options] IMAGE [--] [COMMAND...]
       cove run [options] --rootfs DIR [--] COMMAND...

Runs COMMAND in a new sandbox and exits with its status. What stands behind IMAGE belongs to the
command, also where it begins with "-".

)";

constexpr const char* kExamples = R"(
Examples:
  cove run python-demo python3 -c 'print(6 * 7)'
  cove run -it python-demo bash
  echo data | cove run -i --rootfs / -- wc -c
  cove run -v .:/workspace -w /workspace --timeout 10m builder make test
  cove run --json --timeout 5 -m 256m --output-limit 64k python-demo python3 main.py | jq .cause
  cove run --spec job.json --memory 1g

Exit status: the program's own; 128 + n for signal n; 124 for a time limit; 137 for out of memory
and for --output-policy kill; 125 for an error of cove's; 126 and 127 for a command that cannot be
executed, or is not there.
)";

// What the handlers of signals act on. Each outlives every handler's use: it is taken back before
// it goes.
std::atomic<Sandbox*> g_sandbox{nullptr};
std::atomic<CallerTerminal*> g_terminal{nullptr};  // none: it is left as it is
static_assert(std::atomic<Sandbox*>::is_always_lock_free);

extern "C" void pass_on_signal(int number) {
  if (Sandbox* sandbox = g_sandbox.load()) sandbox->signal(number);
}

extern "C" void pass_on_window(int) {
  if (Sandbox* sandbox = g_sandbox.load()) sandbox->resize(window_of_caller());
}

// Whoever stops us (no key does, they all go inside) gets a terminal to work with.
extern "C" void stop_with_terminal(int) {
  const int saved_errno = errno;
  CallerTerminal* terminal = g_terminal.load();
  if (terminal != nullptr) terminal->restore();
  raise(SIGSTOP);
  if (terminal != nullptr) terminal->make_raw();
  pass_on_window(SIGWINCH);
  errno = saved_errno;
}

void handle(int number, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(number, &action, nullptr);  // fails only for numbers that are no signals
}

// From here on these signals are the program's to answer. Before the launch they end us, as usual.
void pass_signals_on(Sandbox& sandbox) {
  g_sandbox = &sandbox;
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2})
    handle(number, pass_on_signal);
  handle(SIGWINCH, pass_on_window);
  pass_on_window(SIGWINCH);  // it may have changed since the launch began
}

void hand_over_keyboard(CallerTerminal& terminal) {
  g_terminal = &terminal;
  handle(SIGTSTP, stop_with_terminal);
  terminal.make_raw();
}

void take_keyboard_back(std::optional<CallerTerminal>& terminal) {
  g_terminal = nullptr;
  terminal.reset();
}

SandboxResult refusal(Error error) {
  SandboxResult refused;
  refused.error = std::move(error);
  return refused;
}

int tell(const RunRequest& request, const SandboxResult& result) {
  if (request.json) return print(to_json(result) + "\n") ? exit_status(result) : kExitOurError;
  for (const std::string& remark : remarks(request.spec, result)) complain(remark);
  return exit_status(result);
}

// The sandbox goes on under a process of its own, this one's copy, and nobody waits for it.
void detach(std::optional<CallerTerminal>& terminal) {
  std::array<int, 2> left{-1, -1};  // at its end once the copy has left the terminal's session
  const pid_t pid = pipe2(left.data(), O_CLOEXEC) == 0 ? fork() : -1;
  if (pid == 0) {
    g_terminal = nullptr;
    terminal->forget();
    terminal.reset();
    setsid();
    close(left[0]);
    close(left[1]);
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null, fd);
    return;
  }
  const Error error = errno_error(ErrorCode::resource_exhausted, {}, "cannot leave the sandbox");
  take_keyboard_back(terminal);
  if (pid < 0) {
    complain(error);
    return;
  }
  // The end of a session's leader, as we may be, hangs up on all of it.
  char nothing = 0;
  close(left[1]);
  (void)!read(left[0], &nothing, 1);
  complain("detached; sandbox " + g_sandbox.load()->id() + " goes on, and ends with process " +
           std::to_string(pid));
  _exit(0);
}

Streams streams_of(const RunRequest& request, std::optional<CallerTerminal>& terminal) {
  Streams streams;
  streams.delivery = request.json ? OutputDelivery::captured : OutputDelivery::passed_on;
  // A pipe or file reaches the program as it is, also beside a terminal.
  streams.input = isatty(STDIN_FILENO) ? TerminalInput::typed : TerminalInput::piped;
  streams.window = window_of_caller();
  if (terminal) streams.detach_keys = request.detach_keys;
  streams.on_detach = [&terminal] { detach(terminal); };
  return streams;
}

bool wants_keyboard(const RunRequest& request) {
  const auto& input = request.spec.stdin_source;
  return request.spec.tty.value_or(false) && input &&
         std::holds_alternative<StdinInherit>(*input) && isatty(STDIN_FILENO);
}

// The answer is given, and the process ends, before engine and sandbox go: what they leave to be
// taken away is nothing that the caller waits for.
int launch_and_tell(const RunRequest& request) {
  std::optional<CallerTerminal> terminal;
  if (wants_keyboard(request)) {
    Result<CallerTerminal> watched = CallerTerminal::watch(STDIN_FILENO);
    if (!watched) return tell(request, refusal(std::move(watched.error())));
    terminal.emplace(std::move(*watched));
  }
  EngineOptions options = request.engine;
  options.launch_from = LaunchFrom::this_process;
  Result<Engine> engine = Engine::create(std::move(options));
  if (!engine) return tell(request, refusal(std::move(engine.error())));
  Result<Sandbox> sandbox = engine->launch(request.spec, streams_of(request, terminal));
  if (!sandbox) return tell(request, refusal(std::move(sandbox.error())));
  pass_signals_on(*sandbox);
  if (terminal) hand_over_keyboard(*terminal);
  const SandboxResult result = sandbox->wait();
  g_sandbox = nullptr;
  take_keyboard_back(terminal);
  const int status = tell(request, result);
  // Where a container or a service ends with us, what is left has to go before: Engine's destructor
  // waits for that.
  const bool others_end_with_us = getpid() == 1 || getppid() == 1;
  if (!others_end_with_us) _exit(status);
  return status;
}

}  // namespace

int run_command(Words words) {
  // A reader that goes away is an EPIPE to whoever writes, not the end of us and of the sandbox.
  signal(SIGPIPE, SIG_IGN);

  const Result<RunRequest> request = parse_run_options(words, host_surroundings());
  if (!request) {
    return wants_json(words) ? complain_as_json(request.error()) : complain(request.error());
  }
  if (request->help) {
    return print(kUsage + describe_options(run_option_texts()) + kExamples) ? 0 : kExitOurError;
  }

  return launch_and_tell(*request);
}

}  // namespace cove::cli
