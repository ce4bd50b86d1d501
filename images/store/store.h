// The image store on disk, for those who write it: locks, staging, index.json, records, garbage.
//
//   oci-layout index.json blobs/sha256/   an OCI image layout that other tools can read
//   layers/<hex>/                         layers, unpacked once
//   implied/<hex>                         of each: directories that it does not contain (implied.h)
//   sizes/<hex>                           of each: its bytes on disk, once somebody asked (inventory.h)
//   images/                               records (images/store_index/record.h)
//   staging/<unique>/                     work in progress; locked while somebody works on it
//   ids.json                              which ids the layers have (StoreIds)
//   index.lock                            held for the moment of a change
//   content.lock                          shared: a load, which counts on content; exclusive:
//   whoever removes content
//
// content.lock is taken before index.lock. All locks are flock(2): a killed process holds none.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cove/result.h"
#include "images/layout/documents.h"
#include "images/store_index/record.h"
#include "images/unpack/implied.h"
#include "runtime/kernel/fd.h"

namespace cove {

// A flock that ends with its owner.
class FileLock {
 public:
  enum class Mode { shared, exclusive };
  enum class Wait { block, refuse };
  // Refused (Wait::refuse): no lock, held() is false.
  static Result<FileLock> take(BorrowedFd directory, const char* name, Mode mode,
                               Wait wait = Wait::block);
  // Of a file that is open; for writing, where NFS is to have an exclusive lock.
  static Result<FileLock> take_open(UniqueFd file, const char* name, Mode mode, Wait wait);
  bool held() const { return static_cast<bool>(file_); }
  BorrowedFd file() const { return file_; }

 private:
  UniqueFd file_;
};

// Of layers, when these are unpacked. Without them an image takes half of the place or less, runs as
// any other, and can neither be saved nor be compared with what it was. Manifest and configuration
// stay. A load with KeepBlobs::yes brings them back; one with KeepBlobs::no leaves those that are
// there to the next removal of anything (Store::collect_garbage).
enum class KeepBlobs { yes, no };

// A staging directory; removed with its owner.
class Staging {
 public:
  Staging(Staging&& other) noexcept = default;
  Staging& operator=(Staging&&) = delete;
  ~Staging();
  BorrowedFd directory() const { return directory_; }
  const std::string& path() const { return path_; }  // relative to the store's top
  // A new file in it, 0600, open to be written and read again.
  Result<UniqueFd> create_file(const std::string& name) const;
  // A new file that is whole. It is on disk once the store was flushed.
  Result<void> write_file(const std::string& name, std::string_view text) const;

 private:
  friend class Store;
  Staging(std::string path, UniqueFd top, UniqueFd directory)
      : path_(std::move(path)), top_(std::move(top)), directory_(std::move(directory)) {}
  std::string path_;
  UniqueFd top_;
  UniqueFd directory_;  // carries the flock that says "in use"
};

// An image as index.json has it.
struct IndexEntry {
  Descriptor manifest;
  std::string name;  // empty: none
};

struct StoredManifest {
  Descriptor descriptor;
  Manifest manifest;
};

class Store {
 public:
  // Makes it where it is missing. Refuses a directory that holds something else, belongs to or
  // is open to others, or has layers of other ids.
  static Result<Store> open(const std::string& directory, const StoreIds& ids);
  const StoreIds& ids() const { return ids_; }

  const std::string& directory() const { return directory_; }
  BorrowedFd top() const { return top_; }
  std::string path(const std::string& relative) const { return directory_ + "/" + relative; }

  Result<FileLock> lock_index() const;
  Result<FileLock> lock_content(FileLock::Mode mode,
                                FileLock::Wait wait = FileLock::Wait::block) const;

  // A fresh staging directory, after those that killed processes left were removed.
  Result<Staging> stage() const;

  bool has(const std::string& relative) const;
  // Moves a staged file or directory to its place; what is there already stays (content is named by
  // digest).
  Result<void> publish(const Staging& staging, const std::string& staged,
                       const std::string& relative) const;
  // Replaces a small file: written aside, fsync, renamed.
  Result<void> write_file(const std::string& relative, std::string_view text) const;
  Result<void> flush() const;  // syncfs(2)
  // Flushes a directory of the store: what was moved there stays there.
  Result<void> flush_directory(const char* relative) const;
  // Directories that a layer uses and does not contain.
  Implied implied_in(const std::string& diff_id) const;

  // Of an image that is there.
  Result<StoredManifest> manifest_of(const std::string& digest) const;

  // With the index locked:
  Result<void> put_image(const ImageRecord& record, const Descriptor& manifest,
                         const std::vector<std::string>& names) const;
  // Of an image that nobody runs from; while this is held, nobody begins to (hold_image waits). Not
  // held(): it is in use, and was so for `patience`. Nothing (std::nullopt): it has no record.
  Result<std::optional<FileLock>> claim_image(const std::string& digest,
                                              std::chrono::milliseconds patience) const;
  // The image that has the name; empty: none of ours.
  std::string digest_of_name(const std::string& name) const;
  std::vector<std::string> names_of_image(const std::string& digest) const;  // sorted
  // Takes the name from its image, which stays; an entry of another tool's goes with its name. False:
  // there is no such name.
  Result<bool> remove_name(const std::string& name) const;
  // Removes an image that was claimed, with all its names, which are returned.
  Result<std::vector<std::string>> remove_image(const std::string& digest) const;
  // With the content locked, exclusive, too. Returns the bytes of blobs that were freed.
  Result<std::uint64_t> collect_garbage() const;

 private:
  Store(std::string directory, UniqueFd top, StoreIds ids)
      : directory_(std::move(directory)), top_(std::move(top)), ids_(ids) {}
  Result<void> settle_ids() const;
  Result<FileLock> try_claim(const std::string& digest) const;
  Result<void> unlink_names(const std::vector<std::string>& names) const;
  Result<void> put_record(const ImageRecord& record) const;
  Result<void> collect_blobs(std::uint64_t& freed) const;
  Result<void> collect_layers() const;
  Result<void> collect_temporaries() const;
  Result<void> remove_stale_staging() const;
  Result<Staging> make_staging() const;  // with the index locked

  std::string directory_;
  UniqueFd top_;
  StoreIds ids_;
};

}  // namespace cove
