// Mount sources: opened once, looked at, and from then on known by descriptor.
#pragma once

#include <string>
#include <vector>

#include "cove/facts.h"
#include "cove/spec.h"
#include "runtime/kernel/fd.h"

namespace cove {

struct OpenedSources {
  std::vector<SourceFacts> facts;  // one per bind mount of the spec, in its order
  std::vector<UniqueFd> fds;       // O_PATH; none where the source is missing or refused
};

// Never fails as a whole: what is wrong with a source is in its facts, for planning to refuse.
OpenedSources open_sources(const SandboxSpec& spec);

}  // namespace cove
