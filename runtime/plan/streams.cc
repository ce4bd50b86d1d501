// How much of the output is kept.
#include "runtime/plan/draft.h"

namespace cove {

void plan_streams(Draft& draft) {
  const ResourceSpec& resources = draft.spec.resources;
  const bool captured = draft.delivery == OutputDelivery::captured;
  StreamPlan stream;
  stream.policy = resources.output_policy.value_or(OutputPolicy::head);
  if (draft.wanted(Protection::output)) {
    stream.limit = resources.output;
    if (!stream.limit && captured) stream.limit = kDefaultOutput;
  }
  // The end of what a program writes is not known before it ends; what was passed on cannot be
  // taken back.
  const bool keeps_the_end =
      stream.policy == OutputPolicy::tail || stream.policy == OutputPolicy::head_tail;
  if (keeps_the_end && !captured) {
    draft.refuse(problem(ErrorCode::invalid_argument, "output", "$.resources.output_policy",
                         "the end of the output cannot be kept where it is passed on as it comes",
                         "capture it (--json), or use the policy head or kill"));
  }
  if (stream.limit) {
    draft.hold({Protection::output, "supervisor", {}, std::to_string(stream.limit->count)});
  }
  draft.plan.stdout_stream = draft.plan.stderr_stream = stream;
}

}  // namespace cove
