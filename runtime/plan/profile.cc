#include "runtime/plan/profile.h"

#include "profiles/embedded.h"
#include "runtime/model/fragment.h"

namespace cove {
namespace {

template <typename T>
void fill(std::optional<T>& field, const std::optional<T>& value) {
  if (!field) field = value;
}

void fill_resources(ResourceSpec& spec, const ResourceSpec& profile) {
  fill(spec.cpus, profile.cpus);
  fill(spec.memory, profile.memory);
  fill(spec.swap, profile.swap);
  fill(spec.pids_limit, profile.pids_limit);
  fill(spec.disk, profile.disk);
  fill(spec.output, profile.output);
  fill(spec.output_policy, profile.output_policy);
  fill(spec.open_files, profile.open_files);
  fill(spec.cpu_weight, profile.cpu_weight);
  fill(spec.io_weight, profile.io_weight);
  spec.rlimits.insert(profile.rlimits.begin(), profile.rlimits.end());
}

}  // namespace

Result<SandboxSpec> sandbox_profile(std::string_view name) {
  if (name == "default") return SandboxSpec{};
  std::string names = "default";
  for (const EmbeddedProfile& profile : embedded_profiles()) {
    if (profile.kind != "sandbox") continue;
    if (profile.name == name) return spec_fragment_from_json(profile.json);
    if (profile.name != "default") names += ", " + std::string(profile.name);
  }
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.step = "spec";
  error.where = "$.profile";
  error.what = "there is no profile \"" + std::string(name) + "\"";
  error.hint = "there are " + names;
  return fail(std::move(error));
}

SandboxSpec fill_in(SandboxSpec spec, const SandboxSpec& profile) {
  fill(spec.entrypoint, profile.entrypoint);
  fill(spec.command, profile.command);
  fill(spec.workdir, profile.workdir);
  fill(spec.user, profile.user);
  fill(spec.hostname, profile.hostname);
  spec.env.insert(profile.env.begin(), profile.env.end());
  spec.env_allowlist.insert(spec.env_allowlist.begin(), profile.env_allowlist.begin(),
                            profile.env_allowlist.end());
  fill(spec.stdin_source, profile.stdin_source);
  fill(spec.tty, profile.tty);
  fill_resources(spec.resources, profile.resources);
  fill(spec.timeout, profile.timeout);
  fill(spec.cpu_timeout, profile.cpu_timeout);
  fill(spec.grace, profile.grace);
  fill(spec.network, profile.network);
  fill(spec.private_networks, profile.private_networks);
  fill(spec.read_only, profile.read_only);
  fill(spec.private_rootfs, profile.private_rootfs);
  fill(spec.seccomp, profile.seccomp);
  fill(spec.seccomp_mode, profile.seccomp_mode);
  fill(spec.capabilities, profile.capabilities);
  spec.require.insert(profile.require.begin(), profile.require.end());
  return spec;
}

}  // namespace cove
