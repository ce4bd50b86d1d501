#include "runtime/plan/draft.h"

#include <algorithm>
#include <array>

namespace cove {
namespace {

// The limits, their fields, and whether the spec or a profile names them. All else is isolation.
struct LimitField {
  Protection protection;
  const char* path;
  bool (*named)(const SandboxSpec& spec);
};

constexpr std::array<LimitField, 11> kLimitFields{{
    {Protection::memory, "$.resources.memory",
     [](const SandboxSpec& s) { return s.resources.memory.has_value(); }},
    {Protection::swap, "$.resources.swap",
     [](const SandboxSpec& s) { return s.resources.swap.has_value(); }},
    {Protection::cpus, "$.resources.cpus",
     [](const SandboxSpec& s) { return s.resources.cpus.has_value(); }},
    {Protection::cpu_weight, "$.resources.cpu_weight",
     [](const SandboxSpec& s) { return s.resources.cpu_weight.has_value(); }},
    {Protection::io_weight, "$.resources.io_weight",
     [](const SandboxSpec& s) { return s.resources.io_weight.has_value(); }},
    {Protection::pids, "$.resources.pids_limit",
     [](const SandboxSpec& s) { return s.resources.pids_limit.has_value(); }},
    {Protection::disk, "$.resources.disk",
     [](const SandboxSpec& s) { return s.resources.disk.has_value(); }},
    {Protection::output, "$.resources.output",
     [](const SandboxSpec& s) { return s.resources.output.has_value(); }},
    {Protection::open_files, "$.resources.open_files",
     [](const SandboxSpec& s) { return s.resources.open_files.has_value(); }},
    {Protection::timeout, "$.timeout", [](const SandboxSpec& s) { return s.timeout.has_value(); }},
    {Protection::cpu_timeout, "$.cpu_timeout",
     [](const SandboxSpec& s) { return s.cpu_timeout.has_value(); }},
}};

const LimitField* find_limit(Protection protection) {
  for (const LimitField& field : kLimitFields) {
    if (field.protection == protection) return &field;
  }
  return nullptr;
}

// A plain user has one id and cannot call setgroups; nearly all runs of plain users would be
// refused.
bool preferred_by_default(Protection protection) {
  return protection == Protection::uid_separation || protection == Protection::supplementary_groups;
}

std::string name_of_protection(Protection protection) { return std::string(to_string(protection)); }

}  // namespace

bool is_limit(Protection protection) { return find_limit(protection) != nullptr; }

std::string path_of(Protection protection) {
  if (protection == Protection::private_rootfs) return "$.private_rootfs";
  const LimitField* field = find_limit(protection);
  return field ? field->path : "$.require." + name_of_protection(protection);
}

Error problem(ErrorCode code, std::string step, std::string where, std::string what,
              std::string hint) {
  Error error;
  error.code = code;
  error.step = std::move(step);
  error.where = std::move(where);
  error.what = std::move(what);
  error.hint = std::move(hint);
  return error;
}

void Draft::refuse(Error error) {
  const bool known = std::any_of(errors_.begin(), errors_.end(), [&](const Error& earlier) {
    return !error.where.empty() && earlier.where == error.where;
  });
  if (!known) errors_.push_back(std::move(error));
}

Requirement Draft::requirement(Protection protection) const {
  if (const auto said = spec.require.find(protection); said != spec.require.end()) {
    return said->second;
  }
  if (const LimitField* limit = find_limit(protection)) {
    return limit->named(spec) ? Requirement::required : Requirement::preferred;
  }
  return preferred_by_default(protection) ? Requirement::preferred : Requirement::required;
}

void Draft::hold(Protection protection, std::string mechanism) {
  plan.enforced[protection] = std::move(mechanism);
}

void Draft::hold(LimitPlan limit) {
  hold(limit.protection, limit.mechanism);
  plan.limits.push_back(std::move(limit));
}

void Draft::lose(Protection protection, const Loss& loss, const std::string& asked) {
  switch (requirement(protection)) {
    case Requirement::off:
      return;
    case Requirement::preferred:
      plan.degraded.push_back({protection, loss.reason});
      return;
    case Requirement::required:
      break;
  }
  const std::string name = name_of_protection(protection);
  if (is_limit(protection)) {
    refuse(problem(ErrorCode::limit_not_enforceable, "limit " + name, path_of(protection),
                   asked + " cannot be enforced: " + loss.reason,
                   loss.cure + "; --best-effort runs without"));
  } else {
    refuse(problem(ErrorCode::isolation_unavailable, name, path_of(protection),
                   "cannot be had: " + loss.reason, loss.cure));
  }
}

Result<Plan> Draft::finish() {
  if (errors_.empty()) return std::move(plan);
  Error first = std::move(errors_.front());
  first.more.insert(first.more.end(), std::make_move_iterator(errors_.begin() + 1),
                    std::make_move_iterator(errors_.end()));
  return fail(std::move(first));
}

std::string group_path(const std::string& mount_point, const std::string& group) {
  return group == "/" || group.empty() ? mount_point : mount_point + group;
}

bool uses_default_workdir(const Draft& draft) {
  // BuildKit writes "/" into the configuration of an image that has no WORKDIR.
  const std::string& images = draft.image.config.workdir;
  return !draft.spec.workdir && (images.empty() || images == "/");
}

bool keeps_root_on_disk(const Draft& draft) {
  return !draft.host.scratch_directory.empty() && !draft.host.privileged &&
         !draft.image.host_tools && !draft.spec.read_only.value_or(false);
}

bool has_writable_bind(const Draft& draft) {
  return std::any_of(draft.spec.mounts.begin(), draft.spec.mounts.end(),
                     [](const MountSpec& m) { return m.type == MountType::bind && !m.read_only; });
}

}  // namespace cove
