// Unpacks the layers that the store lacks into the staging directory, some at a time, each in a
// process of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <string>
#include <vector>

#include "cove/result.h"
#include "images/store/progress.h"
#include "images/store/select.h"
#include "images/store/store.h"
#include "images/unpack/confined.h"
#include "images/unpack/layer.h"

namespace cove {

// Where root works on what strangers wrote, the process that does it is root of a user namespace
// whose ids are nobody's. None where the layers belong to the caller, or where there can be no such
// namespace.
UniqueFd make_unpack_namespace(const StoreIds& ids);

class Unpacker {
 public:
  // All four outlive it.
  Unpacker(const Store& store, const Staging& staging, Source& source, const UnpackLimits& limits);

  // Errors name the layer in their step. `progress` may be empty.
  Result<void> unpack(const Selected& selected, const ProgressSink& progress = {});

  struct Unpacked {
    std::string staged;   // directory in staging
    std::string implied;  // file in staging: the text of its Implied (images/unpack/implied.h)
    std::string diff_id;
  };
  const std::vector<Unpacked>& unpacked() const { return unpacked_; }
  // One layer, also if the store has it.
  Result<Unpacked> unpack_one(const Blob& blob, const std::string& diff_id,
                              const std::string& step);
  // What was dropped or changed, and how often.
  const std::map<std::string, std::uint64_t>& notes() const { return notes_; }

 private:
  struct Running {
    ConfinedProcess process;
    UniqueFd directory;
    UniqueFd file;  // the process's own, too: how far that has read shows here
    Blob blob;
    std::string staged, diff_id, step;
    std::size_t layer = 0;  // which, of progress_
  };

  // A mount of a directory in staging in which the image's ids are those of user_namespace_. None
  // where there is no such namespace, or no longer, since it cannot be.
  UniqueFd idmapped(BorrowedFd directory);
  Result<void> start(const Blob& blob, const std::string& diff_id, const std::string& step);
  // Waits for the next of those that run, and returns which of progress_ it was; `meanwhile` is
  // called every now and then.
  Result<std::size_t> finish_one(const std::function<Result<void>()>& meanwhile);
  void note_progress(const Selected& selected);
  Result<void> finish(Running running);
  Result<LayerResult> result_of(Running& running);

  const Store& store_;
  const Staging& staging_;
  Source& source_;
  const UnpackLimits& limits_;
  UniqueFd user_namespace_;  // none where the layers belong to the caller, or cannot be idmapped
  std::list<Running> running_;
  std::vector<Unpacked> unpacked_;
  std::vector<LayerProgress> progress_;
  std::map<std::string, std::uint64_t> notes_;
  std::uint64_t bytes_ = 0, entries_ = 0;
};

}  // namespace cove
