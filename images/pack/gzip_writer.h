// A gzip stream into a file descriptor, by ISA-L: as quick as copying, nearly as small as gzip(1). The
// same bytes give the same stream on one machine; a processor of another kind may find other matches.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/kernel/fd.h"

namespace cove {

class GzipWriter {
 public:
  explicit GzipWriter(BorrowedFd out);
  ~GzipWriter();
  GzipWriter(const GzipWriter&) = delete;
  GzipWriter& operator=(const GzipWriter&) = delete;

  // False with errno; then it is of no more use.
  bool write(std::string_view bytes);
  // What is still buffered, and the end of the stream.
  bool finish();

 private:
  struct State;
  enum class Last { no, yes };
  bool deflate(std::string_view bytes, Last last);

  BorrowedFd out_;
  std::unique_ptr<State> state_;
};

}  // namespace cove
