#include "images/pack/gzip_writer.h"

#include <isa-l/igzip_lib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <vector>

#include "runtime/kernel/io.h"

namespace cove {
namespace {

constexpr int kLevel = 2;  // of 0 to 3
constexpr std::size_t kOutputSize = 256 * 1024;

}  // namespace

struct GzipWriter::State {
  isal_zstream stream{};
  std::vector<std::uint8_t> level_buffer = std::vector<std::uint8_t>(ISAL_DEF_LVL2_DEFAULT);
  std::string output = std::string(kOutputSize, '\0');
};

GzipWriter::GzipWriter(BorrowedFd out) : out_(out), state_(std::make_unique<State>()) {
  isal_zstream& stream = state_->stream;
  isal_deflate_init(&stream);
  stream.gzip_flag = IGZIP_GZIP;
  stream.level = kLevel;
  stream.level_buf = state_->level_buffer.data();
  stream.level_buf_size = static_cast<std::uint32_t>(state_->level_buffer.size());
}

GzipWriter::~GzipWriter() = default;

bool GzipWriter::write(std::string_view bytes) {
  constexpr std::size_t kMost = std::numeric_limits<std::uint32_t>::max();
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kMost);
    if (!deflate(piece, Last::no)) return false;
    bytes.remove_prefix(piece.size());
  }
  return true;
}

bool GzipWriter::finish() { return deflate({}, Last::yes); }

bool GzipWriter::deflate(std::string_view bytes, Last last) {
  isal_zstream& stream = state_->stream;
  stream.next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<std::uint32_t>(bytes.size());
  stream.end_of_stream = last == Last::yes ? 1 : 0;
  do {
    stream.next_out = reinterpret_cast<std::uint8_t*>(state_->output.data());
    stream.avail_out = static_cast<std::uint32_t>(state_->output.size());
    if (isal_deflate(&stream) != COMP_OK) {
      errno = EIO;
      return false;
    }
    const std::size_t made = state_->output.size() - stream.avail_out;
    if (!kernel::write_all(out_, std::string_view(state_->output).substr(0, made))) return false;
  } while (stream.avail_out == 0);
  return true;
}

}  // namespace cove
