// The plan in the making: what it is made from, what is decided so far, and all mistakes found on
// the way.
//
// make_plan hands one Draft through the parts below, in order; each owns its fields of the Plan and
// reads only what the parts before it have decided. A part never stops at a mistake: it
// notes it and plans on with a harmless value, so that one answer names them all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cove/plan.h"

namespace cove {

inline constexpr const char* kDefaultWorkdir = "/workspace";
inline constexpr const char* kDefaultHostname = "sandbox";
inline constexpr Bytes kDefaultMemory = mebibytes(512);
inline constexpr Bytes kDefaultSwap{0};
inline constexpr Bytes kDefaultDisk = mebibytes(256);  // or half of the memory, if that is less
inline constexpr Bytes kDefaultOutput = mebibytes(16);
inline constexpr Bytes kDefaultTmpfs = mebibytes(64);
inline constexpr std::int64_t kDefaultPids = 256;
inline constexpr std::uint64_t kDefaultOpenFilesSoft = 1024;
inline constexpr std::uint64_t kDefaultOpenFilesHard = 65536;

// Why a protection cannot be held, and what the caller can do.
struct Loss {
  std::string reason;
  std::string cure;
};

// What a plan is made from; make_plan's own arguments, which outlive it.
struct PlanInputs {
  const SandboxSpec& spec;  // with its profile's fields filled in
  const HostFacts& host;
  const ImageFacts& image;
  const std::vector<SourceFacts>& sources;
  OutputDelivery delivery;
};

class Draft : public PlanInputs {
 public:
  explicit Draft(const PlanInputs& inputs) : PlanInputs(inputs) {}

  Plan plan;

  // Notes a mistake. A second one about the same place of the document is dropped: it follows from
  // the first.
  void refuse(Error error);

  Requirement requirement(Protection protection) const;
  bool wanted(Protection protection) const { return requirement(protection) != Requirement::off; }

  // Notes what holds a protection.
  void hold(Protection protection, std::string mechanism);
  void hold(LimitPlan limit);
  bool holds(Protection protection) const { return plan.enforced.contains(protection); }

  // Notes that nothing can: a mistake where the protection is required, a line of `degraded` where
  // it is preferred, nothing where it is off. `asked` is what it would have been ("512 MiB"), for
  // limits.
  void lose(Protection protection, const Loss& loss, const std::string& asked = {});

  // The plan, or all mistakes. Leaves the draft empty.
  Result<Plan> finish();

 private:
  std::vector<Error> errors_;
};

bool is_limit(Protection protection);

// Where a document asks for it: "$.resources.memory"; "$.require.seccomp" where there is no field.
std::string path_of(Protection protection);

Error problem(ErrorCode code, std::string step, std::string where, std::string what,
              std::string hint);

// The directory of a group below a hierarchy's mount point.
std::string group_path(const std::string& mount_point, const std::string& group);

bool uses_default_workdir(const Draft& draft);
bool has_writable_bind(const Draft& draft);
// And not in memory, where a limit holds it.
bool keeps_root_on_disk(const Draft& draft);
// After plan_capabilities.
bool holds_capability(const Draft& draft, std::string_view name);

// The parts, in their order.
void plan_identity(Draft& draft);
void plan_capabilities(Draft& draft);
void plan_process(Draft& draft);
void plan_environment(Draft& draft);
void plan_limits(Draft& draft);
void plan_streams(Draft& draft);
void plan_root(Draft& draft);
void plan_mounts(Draft& draft);
void plan_protections(Draft& draft);
void plan_network(Draft& draft);

}  // namespace cove
