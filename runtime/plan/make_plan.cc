// Spec and facts in, Plan out. See cove/plan.h for the promise and runtime/plan/draft.h for the
// parts.
#include "runtime/model/check_spec.h"
#include "runtime/plan/draft.h"
#include "runtime/plan/profile.h"

namespace cove {

Result<Plan> make_plan(const SandboxSpec& spec, const HostFacts& host, const ImageFacts& image,
                       const std::vector<SourceFacts>& sources, OutputDelivery delivery) {
  // Checked before the profile is filled in, so that what is refused is what the caller wrote.
  std::vector<Error> mistakes;
  check_spec(spec, mistakes);
  const Result<SandboxSpec> profile = sandbox_profile(spec.profile.value_or("default"));
  if (!profile) mistakes.push_back(profile.error());
  const SandboxSpec filled = fill_in(spec, profile.value_or(SandboxSpec{}));

  Draft draft({filled, host, image, sources, delivery});
  for (Error& mistake : mistakes) draft.refuse(std::move(mistake));
  plan_identity(draft);
  plan_capabilities(draft);
  plan_process(draft);
  plan_environment(draft);
  plan_limits(draft);
  plan_streams(draft);
  plan_root(draft);
  plan_mounts(draft);
  plan_protections(draft);
  plan_network(draft);
  return draft.finish();
}

}  // namespace cove
