// cove run: one sandbox, from its options to its exit status.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <utility>

#include "cli/commands.h"
#include "cli/print.h"
#include "cli/remarks.h"
#include "cli/run_options.h"
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
  echo data | cove run -i --rootfs / -- wc -c
  cove run -v .:/workspace -w /workspace --timeout 10m builder make test
  cove run --json --timeout 5 -m 256m --output-limit 64k python-demo python3 main.py | jq .cause
  cove run --spec job.json --memory 1g

Exit status: the program's own; 128 + n for signal n; 124 for a time limit; 137 for out of memory
and for --output-policy kill; 125 for an error of cove's; 126 and 127 for a command that cannot be
executed, or is not there.
)";

// The sandbox that signals are passed on to. A handler reads it, so it outlives every handler's
// use: it is taken back before the sandbox goes.
std::atomic<Sandbox*> g_sandbox{nullptr};
static_assert(std::atomic<Sandbox*>::is_always_lock_free);

extern "C" void pass_on_signal(int number) {
  if (Sandbox* sandbox = g_sandbox.load()) sandbox->signal(number);
}

// From here on these signals are the program's to answer. Before the launch they end us, as usual.
void pass_signals_on(Sandbox& sandbox) {
  g_sandbox = &sandbox;
  struct sigaction action = {};
  action.sa_handler = pass_on_signal;
  action.sa_flags = SA_RESTART;
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
    sigaction(number, &action, nullptr);  // fails only for numbers that are no signals
  }
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

// The answer is given, and the process ends, before engine and sandbox go: what they leave to be
// taken away is nothing that the caller waits for.
int launch_and_tell(const RunRequest& request) {
  EngineOptions options = request.engine;
  options.launch_from = LaunchFrom::this_process;
  Result<Engine> engine = Engine::create(std::move(options));
  if (!engine) return tell(request, refusal(std::move(engine.error())));
  Streams streams;
  streams.delivery = request.json ? OutputDelivery::captured : OutputDelivery::passed_on;
  Result<Sandbox> sandbox = engine->launch(request.spec, streams);
  if (!sandbox) return tell(request, refusal(std::move(sandbox.error())));
  pass_signals_on(*sandbox);
  const SandboxResult result = sandbox->wait();
  g_sandbox = nullptr;
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
