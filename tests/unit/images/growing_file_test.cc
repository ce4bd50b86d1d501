// A file that is read while it is written, and platforms.
#include "images/layout/growing_file.h"

#include <poll.h>

#include <array>
#include <thread>

#include "images/layout/byte_source.h"
#include "images/layout/platform.h"
#include "runtime/kernel/io.h"
#include "tests/unit/images/archives.h"

namespace cove {
namespace {

using testing::compressed;
using testing::Filter;
using testing::ScratchDirectory;

// Writes `bytes` in pieces, with pauses, and then says that it is complete, or not.
class Writer {
 public:
  Writer(const std::string& path, std::string bytes, bool completes) {
    file_ = UniqueFd(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    growth_ = kernel::make_pipe();
    thread_ = std::thread([this, bytes = std::move(bytes), completes] {
      for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
        const std::string piece = bytes.substr(at, kPiece);
        EXPECT_EQ(write(file_.number(), piece.data(), piece.size()),
                  static_cast<ssize_t>(piece.size()));
        tell_growth(growth_.writing);
        if (at / kPiece % 8 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      if (completes) tell_complete(growth_.writing);
      growth_.writing.reset();
    });
  }
  ~Writer() { thread_.join(); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  BorrowedFd growth() const { return growth_.reading; }

 private:
  static constexpr std::size_t kPiece = 10'000;
  UniqueFd file_;
  kernel::Pipe growth_;
  std::thread thread_;
};

Result<std::string> read_all(const std::string& path, BorrowedFd growth) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  Result<std::unique_ptr<ByteSource>> source = ByteSource::open(file, growth);
  if (!source) return fail(source.error());
  std::string all;
  std::array<char, 10'000> piece{};
  for (;;) {
    const Result<std::size_t> size = (*source)->read(piece.data(), piece.size());
    if (!size) return fail(size.error());
    if (*size == 0) return all;
    all.append(piece.data(), *size);
  }
}

std::string some_text() {
  std::string text;
  for (int i = 0; text.size() < 400'000; ++i) text += std::to_string(i * i % 7919);
  return text;
}

TEST(GrowingFile, IsReadWhileItIsWritten) {
  const ScratchDirectory scratch;
  for (const Filter filter : {Filter::none, Filter::gzip, Filter::zstd}) {
    const std::string path = scratch / ("file" + std::to_string(static_cast<int>(filter)));
    const Writer writer(path, compressed(some_text(), filter), true);
    const Result<std::string> read = read_all(path, writer.growth());
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(*read, some_text());
  }
}

TEST(GrowingFile, ThatDoesNotComeToItsEndIsAnError) {
  const ScratchDirectory scratch;
  for (const Filter filter : {Filter::none, Filter::gzip, Filter::zstd}) {
    const std::string path = scratch / ("file" + std::to_string(static_cast<int>(filter)));
    const Writer writer(path, compressed(some_text(), filter), false);
    const Result<std::string> read = read_all(path, writer.growth());
    ASSERT_FALSE(read) << "also where what is there reads as a whole";
    EXPECT_EQ(read.error().code, ErrorCode::network_failed);
  }
}

TEST(GrowingFile, OfNoBytesIsEmpty) {
  const ScratchDirectory scratch;
  const Writer writer(scratch / "file", "", true);
  EXPECT_EQ(read_all(scratch / "file", writer.growth()), "");
}

TEST(GrowingFile, NeverMakesItsWriterWait) {
  kernel::Pipe pipe = kernel::make_pipe();
  for (int i = 0; i < 200'000; ++i) tell_growth(pipe.writing);  // a pipe takes 65,536 bytes
  tell_complete(pipe.writing);
  EXPECT_EQ(wait_for_growth(pipe.reading), Growth::complete);
  pipe.writing.reset();
  EXPECT_EQ(wait_for_growth(pipe.reading), Growth::broken);
}

TEST(Platforms, AreReadAndCompared) {
  EXPECT_EQ(to_string(*parse_platform("linux/amd64")), "linux/amd64");
  EXPECT_EQ(to_string(*parse_platform("linux/arm/v7")), "linux/arm/v7");
  for (const std::string text : {"", "linux", "/", "linux/", "/amd64", "linux//v7", "a/b/c/d",
                                 "Linux/amd64", "linux/amd 64", "linux/\x1b[m"}) {
    const Result<Platform> platform = parse_platform(text);
    ASSERT_FALSE(platform) << text;
    EXPECT_EQ(platform.error().code, ErrorCode::invalid_argument);
  }
  EXPECT_FALSE(parse_platform("linux/" + std::string(33, 'a')));
  EXPECT_TRUE(fits({"linux", "arm", "v7"}, {"linux", "arm", ""}));
  EXPECT_TRUE(fits({"linux", "arm", ""}, {"linux", "arm", "v7"}));
  EXPECT_FALSE(fits({"linux", "arm", "v6"}, {"linux", "arm", "v7"}));
  EXPECT_FALSE(fits({"windows", "amd64", ""}, {"linux", "amd64", ""}));
}

}  // namespace
}  // namespace cove
