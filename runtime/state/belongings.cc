#include "runtime/state/belongings.h"

#include <sys/file.h>
#include <sys/socket.h>

namespace cove {

std::optional<std::uint32_t> Belongings::first_id() const {
  return record.slot ? std::optional(kFirstSlotId + *record.slot * kSlotIds) : std::nullopt;
}

void Belongings::release_image() {
  if (image) flock(image.number(), LOCK_UN);
  image.reset();
}

Lease& Lease::operator=(Lease&& other) noexcept {
  std::swap(end_, other.end_);
  return *this;
}

Lease::~Lease() {
  if (end_) shutdown(end_.number(), SHUT_RDWR);
}

}  // namespace cove
