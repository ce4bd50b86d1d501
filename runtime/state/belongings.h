// What belongs to a sandbox on the host and outlives its processes: cgroups, a record, a uid range.
//
// The engine that makes them and the launcher that the sandbox is cloned from hold them both. The
// engine's `lease` tells them apart: as long as its other end is open, the engine still makes
// groups or reads their counters; afterwards, and once init is gone, the launcher takes all of it
// away. So nothing stays behind a caller that was killed, and nobody waits for it behind one that
// was not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "runtime/kernel/fd.h"
#include "runtime/state/state_directory.h"

namespace cove {

struct Belongings {
  std::string id;
  SandboxRecord record;
  UniqueFd record_file;  // holds the record's lock
  UniqueFd slots;        // holds the slot's lock; none where there is no slot
  UniqueFd image;        // ImageHold: keeps the layers in the store; none for a plain directory
  UniqueFd lease;        // readable (end of file) once the engine has no more use for the groups

  // First id on the host of the sandbox's range; none: those of a plain user.
  std::optional<std::uint32_t> first_id() const;
  // Once nothing runs from its layers. Unlocked, not only closed: the engine, and children that its
  // caller forked, may have duplicates.
  void release_image();
};

// The engine's end of a lease. Shut down, not only closed: a child that the caller forked may hold
// a duplicate.
class Lease {
 public:
  Lease() = default;
  explicit Lease(UniqueFd end) : end_(std::move(end)) {}
  Lease(Lease&&) = default;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

 private:
  UniqueFd end_;
};

}  // namespace cove
