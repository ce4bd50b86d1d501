// A sandbox set up for no other purpose than to see whether it can be.
#include "cove/engine.h"
#include "cove/host.h"
#include "runtime/host/confinement.h"

namespace cove {
namespace {

// A name that no image or host has.
constexpr const char* kNoCommand = "/.cove-trial";

}  // namespace

Finding try_sandbox(Engine& engine) {
  SandboxSpec spec;
  spec.rootfs = "/";
  spec.read_only = true;  // which is everybody's
  spec.command = {kNoCommand};
  const SandboxResult result = engine.run(spec);
  // The last step: everything before it went well.
  if (result.error && result.error->code == ErrorCode::command_not_found)
    return {"sandbox", Severity::ok, "one was set up, and taken down", {}, {}};
  if (!result.error) {
    return {"sandbox", Severity::broken,
            std::string("a program that is not there has run: ") + kNoCommand,
            "nothing that can be relied on", "please report it"};
  }
  Error error = *result.error;
  std::string cure = cure_for_confinement(gather_confinement());
  if (cure.empty()) cure = error.hint;
  if (cure.empty()) cure = "please report it, with all of what is said here";
  error.hint.clear();
  return {"sandbox", Severity::broken, error.message(), "no sandbox can run", std::move(cure)};
}

}  // namespace cove
