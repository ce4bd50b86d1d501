// cove plan: what `cove run` with the same words would do, before anything is done.
#include <string>
#include <utility>

#include "cli/commands.h"
#include "cli/print.h"
#include "cli/run_options.h"
#include "cove/engine.h"
#include "cove/json.h"

namespace cove::cli {
namespace {

constexpr const char* kUsage =
    R"(Usage: cove plan [options] IMAGE [--] [COMMAND...]

Prints, as JSON, what `cove run` with the same words would do, and runs nothing: every mount, limit
and protection, the mechanism that holds it ("enforced") and what this host cannot hold
("degraded"). With --json the plan is one line, and that of `cove run --json`.

)";

constexpr const char* kExamples = R"(
Examples:
  cove plan python-demo
  cove plan --json -m 256m --rootfs / -- true | jq .limits
  cove plan --profile strict python-demo >/dev/null && echo this host can hold it all

Exit status: 0 with a plan; 125 where `cove run` would refuse.
)";

Result<Plan> make(const RunRequest& request) {
  EngineOptions options = request.engine;
  options.launch_from = LaunchFrom::this_process;
  Result<Engine> engine = Engine::create(std::move(options));
  if (!engine) return fail(std::move(engine.error()));
  return engine->plan(request.spec,
                      request.json ? OutputDelivery::captured : OutputDelivery::passed_on);
}

}  // namespace

int plan_command(Words words) {
  const Result<RunRequest> request = parse_run_options(words, host_surroundings());
  if (!request) {
    return wants_json(words) ? complain_as_json(request.error()) : complain(request.error());
  }
  if (request->help) {
    return print(kUsage + describe_options(run_option_texts()) + kExamples) ? 0 : kExitOurError;
  }

  const Result<Plan> plan = make(*request);
  if (!plan) return request->json ? complain_as_json(plan.error()) : complain(plan.error());
  const Indent indent = request->json ? Indent::none : Indent::pretty;
  return print(to_json(*plan, indent) + "\n") ? 0 : kExitOurError;
}

}  // namespace cove::cli
