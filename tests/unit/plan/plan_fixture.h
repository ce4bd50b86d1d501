// Facts to plan with, and short ways to look at a plan.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cove/plan.h"
#include "tests/unit/host/hosts.h"

namespace cove {

inline ImageFacts demo_image() {
  ImageFacts image;
  image.name = "demo:latest";
  image.digest = "sha256:6a5c";
  image.layers = {"/var/lib/cove/layers/aaa", "/var/lib/cove/layers/bbb"};
  image.layer_ids = LayerIds::image;
  image.config.command = {"python3"};
  image.config.env = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"};
  image.passwd =
      "root:x:0:0:root:/root:/bin/sh\n"
      "app:x:1001:1002::/home/app:/bin/sh\n"
      "admin:x:0:0::/root:/bin/sh\n";
  image.group = "root:x:0:\napp:x:1002:\nvideo:x:44:app\n";
  return image;
}

inline SandboxSpec demo_spec() {
  SandboxSpec spec;
  spec.image = "demo";
  return spec;
}

inline MountSpec bind_of(std::string host_path, std::string container_path, bool read_only) {
  MountSpec mount;
  mount.host_path = std::move(host_path);
  mount.container_path = std::move(container_path);
  mount.read_only = read_only;
  return mount;
}

inline SourceFacts source_of(std::string host_path) {
  SourceFacts source;
  source.host_path = source.resolved_path = std::move(host_path);
  source.kind = SourceKind::directory;
  source.owner_uid = 501;
  source.owner_gid = 20;
  source.writable = true;
  return source;
}

// Everything that make_plan takes, to be changed by a test before it plans.
struct Planning {
  SandboxSpec spec = demo_spec();
  HostFacts host = recorded_host("debian12_root");
  ImageFacts image = demo_image();
  std::vector<SourceFacts> sources;
  OutputDelivery delivery = OutputDelivery::captured;

  Planning() = default;
  explicit Planning(const char* host_name) : host(recorded_host(host_name)) {}

  void add_bind(const std::string& host_path, const std::string& container_path, bool read_only) {
    spec.mounts.push_back(bind_of(host_path, container_path, read_only));
    sources.push_back(source_of(host_path));
  }

  Plan plan() const {
    const Result<Plan> made = make_plan(spec, host, image, sources, delivery);
    EXPECT_TRUE(made) << made.error().message();
    return made.value_or(Plan{});
  }

  // The first mistake; its `more` has the others.
  Error refusal() const {
    const Result<Plan> made = make_plan(spec, host, image, sources, delivery);
    EXPECT_FALSE(made) << "it should have been refused";
    return made ? Error{} : made.error();
  }
};

inline const LimitPlan* find_limit(const Plan& plan, Protection protection) {
  for (const LimitPlan& limit : plan.limits) {
    if (limit.protection == protection) return &limit;
  }
  return nullptr;
}

// "memory.max=1024 by cgroup-v2", "256 by rlimit", "none".
inline std::string limit_text(const Plan& plan, Protection protection) {
  const LimitPlan* limit = find_limit(plan, protection);
  if (!limit) return "none";
  return (limit->file.empty() ? "" : limit->file + "=") + limit->value + " by " + limit->mechanism;
}

inline std::string enforced_text(const Plan& plan, Protection protection) {
  const auto found = plan.enforced.find(protection);
  return found == plan.enforced.end() ? "no" : found->second;
}

inline bool is_degraded(const Plan& plan, Protection protection) {
  return std::any_of(plan.degraded.begin(), plan.degraded.end(),
                     [&](const Degradation& lost) { return lost.protection == protection; });
}

inline const MountPlan* find_mount(const Plan& plan, std::string_view target) {
  for (const MountPlan& mount : plan.mounts) {
    if (mount.target == target) return &mount;
  }
  return nullptr;
}

inline std::string variable(const Plan& plan, std::string_view name) {
  for (const auto& [known, value] : plan.process.env) {
    if (known == name) return value;
  }
  return "(unset)";
}

inline void expect_error(const Error& error, ErrorCode code, std::string_view where,
                         std::string_view text) {
  EXPECT_EQ(to_string(error.code), to_string(code)) << error.message();
  EXPECT_EQ(error.where, where) << error.message();
  EXPECT_NE(error.message().find(text), std::string::npos) << error.message();
}

}  // namespace cove
