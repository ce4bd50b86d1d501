#include "images/layout/byte_source.h"

#include <isa-l/igzip_lib.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "images/layout/documents.h"
#include "images/layout/growing_file.h"
#include "images/layout/sha256.h"

namespace cove {
namespace {

constexpr std::size_t kInputSize = 64 * 1024;
constexpr std::size_t kPieceSize = 256 * 1024;
constexpr std::size_t kPiecesAhead = 16;
constexpr unsigned kZstdWindowLog = 27;  // 128 MiB, what zstd(1) itself accepts without being told

Error damaged(std::string what) {
  Error error;
  error.code = ErrorCode::image_invalid;
  error.what = std::move(what);
  return error;
}

Error broken_off() {
  Error error;
  error.code = ErrorCode::network_failed;
  error.what = "the layer did not come to its end";
  return error;
}

// Buffered reading of the file itself.
class Input {
 public:
  Input(BorrowedFd file, BorrowedFd growth)
      : file_(file), growth_(growth), growing_(growth), buffer_(kInputSize, '\0') {}

  // What is buffered, after reading on if that is nothing. Empty at the end of the file.
  Result<std::string_view> fill() {
    if (at_ == end_) at_ = end_ = 0;
    while (at_ == end_ && !ended_) {
      if (Result<void> more = read_more(); !more) return fail(more.error());
    }
    return std::string_view(buffer_).substr(at_, end_ - at_);
  }

  // At least `count` bytes, unless the file is shorter. Only before anything was consumed.
  Result<std::string_view> peek(std::size_t count) {
    while (end_ < count && !ended_) {
      if (Result<void> more = read_more(); !more) return fail(more.error());
    }
    return std::string_view(buffer_).substr(0, end_);
  }

  void consume(std::size_t count) { at_ += count; }
  std::uint64_t taken() const { return taken_; }

  std::int64_t skip(std::int64_t count) {
    const std::int64_t buffered = std::min(count, static_cast<std::int64_t>(end_ - at_));
    at_ += static_cast<std::size_t>(buffered);
    const std::int64_t rest = count - buffered;
    if (rest == 0 || ended_) return buffered;
    // Not past the end: a truncated file has to be met as such.
    const off_t here = lseek(file_.number(), 0, SEEK_CUR);
    if (here < 0) return buffered;
    const off_t end = lseek(file_.number(), 0, SEEK_END);
    const off_t target = std::min(here + rest, end);
    if (lseek(file_.number(), target < here ? here : target, SEEK_SET) < 0 || target < here)
      return buffered;
    taken_ += static_cast<std::uint64_t>(target - here);
    return buffered + (target - here);
  }

 private:
  // Behind what is buffered. At the end of the file: nothing, or what came meanwhile.
  Result<void> read_more() {
    ssize_t got = 0;
    do {
      got = read(file_.number(), buffer_.data() + end_, buffer_.size() - end_);
    } while (got < 0 && errno == EINTR);
    if (got < 0) return fail(errno_error(ErrorCode::image_invalid, "", "read"));
    end_ += static_cast<std::size_t>(got);
    taken_ += static_cast<std::size_t>(got);
    if (got > 0) return {};
    ended_ = !growing_;
    if (!growing_) return {};
    const Growth growth = wait_for_growth(growth_);
    if (growth == Growth::broken) return fail(broken_off());
    growing_ = growth == Growth::more;
    return {};
  }

  BorrowedFd file_, growth_;
  bool growing_;
  std::string buffer_;
  std::size_t at_ = 0, end_ = 0;
  std::uint64_t taken_ = 0;
  bool ended_ = false;
};

class PlainSource : public ByteSource {
 public:
  explicit PlainSource(Input input) : input_(std::move(input)) {}
  Result<std::size_t> read(char* into, std::size_t room) override {
    const Result<std::string_view> in = input_.fill();
    if (!in) return fail(in.error());
    const std::size_t size = in->copy(into, room);
    input_.consume(size);
    return size;
  }
  std::int64_t skip(std::int64_t count) override { return input_.skip(count); }
  std::uint64_t taken() const override { return input_.taken(); }

 private:
  Input input_;
};

class GzipSource : public ByteSource {
 public:
  explicit GzipSource(Input input) : input_(std::move(input)) { start_member(); }

  Result<std::size_t> read(char* into, std::size_t room) override {
    for (;;) {
      const Result<std::string_view> in = input_.fill();
      if (!in) return fail(in.error());
      if (between_members_) {
        if (in->empty()) return 0;
        start_member();
      }
      state_.next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(in->data()));
      state_.avail_in = static_cast<std::uint32_t>(in->size());
      state_.next_out = reinterpret_cast<std::uint8_t*>(into);
      state_.avail_out = static_cast<std::uint32_t>(room);
      const int status = isal_inflate(&state_);
      input_.consume(in->size() - state_.avail_in);
      if (status < 0 || status > ISAL_OUT_OVERFLOW)
        return fail(damaged("the gzip data is damaged"));
      between_members_ = state_.block_state == ISAL_BLOCK_FINISH;
      const std::size_t made = room - state_.avail_out;
      if (made > 0) return made;
      if (in->empty() && !between_members_) return fail(damaged("the gzip data is truncated"));
    }
  }
  std::int64_t skip(std::int64_t) override { return 0; }
  std::uint64_t taken() const override { return input_.taken(); }

 private:
  void start_member() {
    isal_inflate_init(&state_);
    state_.crc_flag = ISAL_GZIP;  // header and checksum are the library's business
    between_members_ = false;
  }

  Input input_;
  inflate_state state_{};
  bool between_members_ = false;
};

class ZstdSource : public ByteSource {
 public:
  explicit ZstdSource(Input input)
      : input_(std::move(input)), stream_(ZSTD_createDStream(), ZSTD_freeDStream) {
    if (!stream_) throw std::bad_alloc();
    ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, kZstdWindowLog);
  }

  Result<std::size_t> read(char* into, std::size_t room) override {
    for (;;) {
      const Result<std::string_view> in = input_.fill();
      if (!in) return fail(in.error());
      if (in->empty() && frame_done_) return 0;
      ZSTD_inBuffer from{in->data(), in->size(), 0};
      ZSTD_outBuffer to{into, room, 0};
      const std::size_t left = ZSTD_decompressStream(stream_.get(), &to, &from);
      if (ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation) return fail(out_of_memory());
      if (ZSTD_isError(left)) {
        return fail(damaged(std::string("the zstd data is damaged: ") + ZSTD_getErrorName(left)));
      }
      input_.consume(from.pos);
      frame_done_ = left == 0;
      if (to.pos > 0) return to.pos;
      if (in->empty() && !frame_done_) return fail(damaged("the zstd data is truncated"));
    }
  }
  std::int64_t skip(std::int64_t) override { return 0; }
  std::uint64_t taken() const override { return input_.taken(); }

 private:
  Input input_;
  std::unique_ptr<ZSTD_DStream, std::size_t (*)(ZSTD_DStream*)> stream_;
  bool frame_done_ = false;
};

}  // namespace

Compression compression_of(std::string_view first_bytes) {
  if (first_bytes.starts_with("\x1f\x8b")) return Compression::gzip;
  if (first_bytes.starts_with("\x28\xb5\x2f\xfd")) return Compression::zstd;
  return Compression::none;
}

Result<std::unique_ptr<ByteSource>> ByteSource::open(BorrowedFd file, BorrowedFd growth) {
  Input input(file, growth);
  const Result<std::string_view> first = input.peek(4);
  if (!first) return fail(first.error());
  switch (compression_of(*first)) {
    case Compression::gzip:
      return std::make_unique<GzipSource>(std::move(input));
    case Compression::zstd:
      return std::make_unique<ZstdSource>(std::move(input));
    case Compression::none:
      break;
  }
  return std::make_unique<PlainSource>(std::move(input));
}

// Two threads: one makes pieces, one hashes them while they are taken. On two processors this is
// faster than two stages, since the three are about as long as one another.
struct HashedSource::Piece {
  std::unique_ptr<char[]> bytes = std::make_unique_for_overwrite<char[]>(kPieceSize);
  std::size_t size = 0;
  std::string_view view() const { return {bytes.get(), size}; }
};

struct HashedSource::Shared {
  using Held = std::shared_ptr<Piece>;

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Held> to_take, to_hash;
  std::vector<Held> spare;  // buffers to be used again
  std::optional<Error> error;
  bool ended = false;      // no more pieces will come
  bool abandoned = false;  // nobody will take them
  std::optional<std::string> digest;
  std::thread maker, hasher;

  // With the mutex held: whoever is the last to have the piece gives its buffer back.
  void release(Held piece) {
    if (piece && piece.use_count() == 1) spare.push_back(std::move(piece));
    changed.notify_all();
  }

  void make_all(ByteSource& source) {
    std::optional<Error> failed;
    try {
      if (const Result<void> done = make_pieces(source); !done) failed = done.error();
    } catch (const std::bad_alloc&) {
      failed = out_of_memory();
    }
    const std::lock_guard lock(mutex);
    error = std::move(failed);
    ended = true;
    changed.notify_all();
  }

  Result<void> make_pieces(ByteSource& source) {
    for (;;) {
      const Held piece = next_buffer();
      if (!piece) return {};
      const Result<std::size_t> size = source.read(piece->bytes.get(), kPieceSize);
      if (!size) return fail(size.error());
      if (*size == 0) return {};
      piece->size = *size;
      const std::lock_guard lock(mutex);
      to_take.push_back(piece);
      to_hash.push_back(piece);
      changed.notify_all();
    }
  }

  // Waits until there is room for another; none where nobody wants it.
  Held next_buffer() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] {
      return abandoned || (to_take.size() < kPiecesAhead && to_hash.size() < kPiecesAhead);
    });
    if (abandoned) return nullptr;
    if (spare.empty()) return std::make_shared<Piece>();
    Held piece = std::move(spare.back());
    spare.pop_back();
    return piece;
  }

  void hash_all() {
    Sha256 hash;
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return !to_hash.empty() || ended || abandoned; });
      if (to_hash.empty() || abandoned) break;
      Held piece = std::move(to_hash.front());
      to_hash.pop_front();
      lock.unlock();
      hash.update(piece->view());
      lock.lock();
      release(std::move(piece));
    }
    digest = hash.finish();
    changed.notify_all();
  }
};

HashedSource::HashedSource(std::unique_ptr<ByteSource> source)
    : shared_(std::make_unique<Shared>()) {
  Shared* shared = shared_.get();
  shared->maker = std::thread([shared, owned = std::move(source)] { shared->make_all(*owned); });
  shared->hasher = std::thread([shared] { shared->hash_all(); });
}

HashedSource::~HashedSource() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->abandoned = true;
    shared_->changed.notify_all();
  }
  shared_->maker.join();
  shared_->hasher.join();
}

Result<std::string_view> HashedSource::next() {
  std::unique_lock lock(shared_->mutex);
  shared_->release(std::move(piece_));
  piece_.reset();
  shared_->changed.wait(lock, [&] { return !shared_->to_take.empty() || shared_->ended; });
  if (shared_->to_take.empty()) {
    if (shared_->error) return fail(*shared_->error);
    return std::string_view();
  }
  piece_ = std::move(shared_->to_take.front());
  shared_->to_take.pop_front();
  shared_->changed.notify_all();
  count_ += piece_->size;
  return piece_->view();
}

std::string HashedSource::digest() {
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait(lock, [&] { return shared_->digest.has_value(); });
  return *shared_->digest;
}

}  // namespace cove
