// A stream of bytes out of a file that is plain, gzip or zstd, told apart by its first bytes. All
// decompression is in this process: no program is ever run for it. Memory is flat, about 3 MiB.
//
//   Result<std::unique_ptr<ByteSource>> source = ByteSource::open(file);
//   for (;;) { auto piece = (*source)->next(); if (!piece) ...; if (piece->empty()) break; ... }
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "cove/result.h"
#include "runtime/kernel/fd.h"

namespace cove {

enum class Compression { none, gzip, zstd };

// By magic number; a text shorter than that is plain.
Compression compression_of(std::string_view first_bytes);

class ByteSource {
 public:
  // Reads from the file's current position; the file stays the caller's and open. With `growth`,
  // the reading end of a pipe (growing_file.h), it is still being written, and is waited for.
  static Result<std::unique_ptr<ByteSource>> open(BorrowedFd file,
                                                  BorrowedFd growth = BorrowedFd());

  virtual ~ByteSource() = default;

  // The next bytes, at least one and at most `room`; none at the end. Errors: image_invalid for
  // damaged or truncated data and for anything behind it.
  virtual Result<std::size_t> read(char* into, std::size_t room) = 0;

  // Bytes of the file that were read or passed over so far, some ahead.
  virtual std::uint64_t taken() const = 0;

  // Passes over up to `count` bytes without reading them, where that is possible; returns how many.
  virtual std::int64_t skip(std::int64_t count) = 0;
};

// The same bytes, made by a thread that runs a few pieces ahead, and hashed by another.
class HashedSource {
 public:
  explicit HashedSource(std::unique_ptr<ByteSource> source);
  ~HashedSource();
  HashedSource(const HashedSource&) = delete;
  HashedSource& operator=(const HashedSource&) = delete;

  // The next bytes, valid until the next call; empty at the end.
  Result<std::string_view> next();
  // After next() gave the empty piece: the digest of everything.
  std::string digest();
  // Bytes that next() gave so far.
  std::uint64_t count() const { return count_; }

 private:
  struct Piece;
  struct Shared;
  std::unique_ptr<Shared> shared_;
  std::shared_ptr<Piece> piece_;  // what next() gave last
  std::uint64_t count_ = 0;
};

}  // namespace cove
