// What a sandbox changes in its root, on disk: for a plain user on kernels whose tmpfs cannot be the
// upper layer of an overlay (before 6.6), and for who asks for it.
//
//   BASE/        0700, the caller's
//     <id>/      one per sandbox, locked (flock) as long as its launcher holds it
//       upper/ work/
//
// A directory of ours (by name and mark) whose lock can be had belongs to nobody: what a killed
// launcher left is removed by the next one that makes such a directory. Only from the ground, since files in it belong to ids of sandboxes.
#pragma once

#include <string>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

class DiskScratch {
 public:
  // `base` is absolute, on the host; it is made if missing. Errors: setup_failed and
  // permission_denied, "scratch".
  static Result<DiskScratch> make(BorrowedFd host_root, const std::string& base,
                                  const std::string& sandbox_id);
  DiskScratch(DiskScratch&&) = default;
  DiskScratch& operator=(DiskScratch&& other) noexcept;
  // Removes it.
  ~DiskScratch();

  BorrowedFd directory() const { return directory_; }

 private:
  DiskScratch(UniqueFd base, std::string name, UniqueFd directory)
      : base_(std::move(base)), name_(std::move(name)), directory_(std::move(directory)) {}
  UniqueFd base_;
  std::string name_;
  UniqueFd directory_;  // holds the lock
};

}  // namespace cove
